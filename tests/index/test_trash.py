"""Deletion moves rows into the trash and restoring moves them back, exactly as they were."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.index.dump import PARENTS, VISIBLE, counts, dump, without
from tests.index.samples import ORIGIN, attributes, new_instance
from vna.index import name_tokens
from vna.index.changes import ChangeIndex
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.search import SearchIndex
from vna.index.trash import TrashIndex
from vna.model.identifiers import InstanceUids, Level, Origin, Selection
from vna.model.instances import NewInstance, Outcome
from vna.model.query import Filter, Query, SingleValue
from vna.model.trash import Deleted, Restored

STUDY = InstanceUids("1.1", "", "")
SERIES = InstanceUids("1.1", "1.1.1", "")
ONE = InstanceUids("1.1", "1.1.1", "1.1.1.1")


@pytest.fixture
def trash(database: Database) -> TrashIndex:
    return TrashIndex(database)


def caller(correlation_id: str) -> Origin:
    return Origin("web", "someone", "10.0.0.9", correlation_id)


def fill(index: InstanceIndex) -> list[NewInstance]:
    """Two series of two instances, and another study of the same patient."""
    instances = [
        new_instance(
            series=f"1.1.{series}",
            instance=f"1.1.{series}.{number}",
            study_attributes=attributes(T00080090=("PN", "Röntgen^Wilhelm")),
            series_attributes=attributes(T00081050=("PN", "Curie^Marie")),
        )
        for series in (1, 2)
        for number in (1, 2)
    ]
    instances.append(new_instance("1.2", "1.2.1", "1.2.1.1"))
    for new in instances:
        assert index.register(new, ORIGIN).outcome is Outcome.STORED
    return instances


def deleted(trash: TrashIndex, uids: InstanceUids, correlation_id: str = "one") -> Deleted:
    found = trash.delete(uids, caller(correlation_id))
    assert found is not None
    return found


def restored(trash: TrashIndex, trash_id: int) -> Restored:
    found = trash.restore(trash_id, caller("back"))
    assert found is not None
    return found


def again(new: NewInstance, **changes: object) -> NewInstance:
    """The same instance, received once more."""
    location = replace(new.location, key=new.location.key + "2")
    return replace(new, location=location, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uids", "gone", "left"),
    [
        (STUDY, 4, [1, 1, 1, 1]),
        (SERIES, 2, [1, 2, 2, 3]),
        (ONE, 1, [1, 2, 3, 4]),
        (InstanceUids("1.2", "1.2.1", "1.2.1.1"), 1, [1, 1, 2, 4]),
    ],
)
def test_what_is_named_goes_with_all_that_is_empty_then(
    database: Database,
    index: InstanceIndex,
    trash: TrashIndex,
    uids: InstanceUids,
    gone: int,
    left: list[int],
) -> None:
    fill(index)
    before = dump(database, *VISIBLE)
    entry = deleted(trash, uids)
    assert entry.instances == gone
    assert counts(database, *PARENTS, "instance") == left
    assert restored(trash, entry.trash_id) == Restored(gone, 0, 0)
    after = dump(database, *VISIBLE)
    for table in PARENTS:
        assert after[table] == before[table], table
    assert without(after["instance"], "id") == without(before["instance"], "id")
    assert without(after["location"], "instance") == without(before["location"], "instance")
    assert counts(database, "trash", "trash_item") == [0, 0]


def test_the_objects_stay_with_what_they_belong_to(
    database: Database, index: InstanceIndex, trash: TrashIndex
) -> None:
    instances = fill(index)
    entry = deleted(trash, STUDY)
    assert index.select(Selection(study_instance_uids=("1.1",))) == []
    assert counts(database, "location") == [5]
    restored(trash, entry.trash_id)
    found = {i.uids.sop_instance_uid: i for i in index.select(Selection(("P1",)))}
    for new in instances:
        kept = found[new.uids.sop_instance_uid]
        assert (kept.location, kept.layout) == (new.location, new.layout)
        assert (kept.object_digest, kept.dataset_digest) == (new.object_digest, new.dataset_digest)
        assert index.frames(kept.instance_id) == new.frames


@pytest.mark.parametrize(
    "uids",
    [
        InstanceUids("1.9", "", ""),
        InstanceUids("1.1", "1.2.1", ""),
        replace(ONE, study_instance_uid="1.2"),
    ],
)
def test_what_is_not_there_can_t_be_deleted(
    database: Database, index: InstanceIndex, trash: TrashIndex, uids: InstanceUids
) -> None:
    fill(index)
    before = dump(database, *VISIBLE, "audit")
    assert trash.delete(uids, caller("x")) is None
    assert dump(database, *VISIBLE, "audit") == before


def test_deleting_twice_finds_nothing_but_for_the_same_request(
    index: InstanceIndex, trash: TrashIndex
) -> None:
    fill(index)
    entry = deleted(trash, STUDY, "mine")
    assert trash.delete(STUDY, caller("mine")) == entry, "its commit was not confirmed perhaps"
    assert trash.delete(STUDY, caller("another")) is None
    assert trash.delete(SERIES, caller("mine")) is None


def test_everything_is_audited(database: Database, index: InstanceIndex, trash: TrashIndex) -> None:
    fill(index)
    entry = deleted(trash, SERIES, "c1")
    restored(trash, entry.trash_id)
    lines = [row for row in dump(database, "audit")["audit"] if "instances." in row["action"]]
    lines.sort(key=lambda row: int(row["id"]))
    assert [row["action"] for row in lines] == ["instances.deleted", "instances.restored"]
    assert lines[0]["detail"] == {"trash": entry.trash_id, "instances": 2, "series": "1.1.1"}
    assert (lines[0]["peer"], lines[0]["address"]) == ("someone", "10.0.0.9")
    assert (lines[0]["study_instance_uid"], lines[0]["correlation_id"]) == ("1.1", "c1")
    assert lines[1]["detail"]["restored"] == 2


def test_a_trashed_uid_is_stored_as_a_new_instance(index: InstanceIndex, trash: TrashIndex) -> None:
    instances = fill(index)
    deleted(trash, STUDY)
    for new in instances[:4]:
        assert index.register(again(new), ORIGIN).outcome is Outcome.STORED
    assert index.counts().instances == 5


def test_restoring_what_was_stored_again_is_a_duplicate_that_stays_in_the_trash(
    database: Database, index: InstanceIndex, trash: TrashIndex
) -> None:
    instances = fill(index)
    entry = deleted(trash, STUDY)
    index.register(again(instances[0]), ORIGIN)
    assert restored(trash, entry.trash_id) == Restored(3, 1, 0)
    assert index.counts().instances == 5
    assert counts(database, "trash", "trash_item", "location") == [1, 1, 6]
    assert restored(trash, entry.trash_id) == Restored(0, 1, 0)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_restoring_beside_other_content_is_a_conflict_that_keeps_both(
    database: Database, index: InstanceIndex, trash: TrashIndex, *, elsewhere: bool
) -> None:
    instances = fill(index)
    entry = deleted(trash, ONE)
    study, series = ("1.7", "1.7.1") if elsewhere else ("1.1", "1.1.1")
    other = new_instance(study, series, "1.1.1.1", content="other")
    assert index.register(other, ORIGIN).outcome is Outcome.STORED
    assert restored(trash, entry.trash_id) == Restored(0, 0, 1)
    (conflict,) = index.conflicts()
    assert conflict.kind == "content"
    assert conflict.location == instances[0].location
    assert conflict.uids == instances[0].uids
    assert conflict.dataset_digest == instances[0].dataset_digest
    (visible,) = index.select(Selection(sop_instance_uids=("1.1.1.1",)))
    assert visible.location == other.location
    assert counts(database, "trash", "trash_item") == [0, 0]


def test_a_restore_that_makes_nothing_visible_leaves_no_empty_study(
    index: InstanceIndex, trash: TrashIndex
) -> None:
    index.register(new_instance(), ORIGIN)
    entry = deleted(trash, STUDY)
    index.register(new_instance("1.7", "1.7.1", "1.1.1.1", content="other"), ORIGIN)
    assert restored(trash, entry.trash_id) == Restored(0, 0, 1)
    found = index.counts()
    assert (found.patients, found.studies, found.series) == (1, 1, 1)


def test_conflicts_go_with_their_instance_and_come_back(
    database: Database, index: InstanceIndex, trash: TrashIndex
) -> None:
    fill(index)
    index.register(new_instance(content="other"), ORIGIN)
    index.register(new_instance(instance="1.1.1.7", patient_id="P2"), ORIGIN)
    before = dump(database, "conflict", "location")
    entry = deleted(trash, STUDY)
    assert counts(database, "conflict") == [0]
    assert restored(trash, entry.trash_id) == Restored(5, 0, 0)
    after = dump(database, "conflict", "location")
    assert after["conflict"] == before["conflict"]
    assert without(after["location"], "instance") == without(before["location"], "instance")


def test_a_conflict_whose_version_became_visible_meanwhile_stays_in_the_trash(
    database: Database, index: InstanceIndex, trash: TrashIndex
) -> None:
    index.register(new_instance(), ORIGIN)
    other = new_instance(content="other")
    index.register(other, ORIGIN)
    entry = deleted(trash, STUDY)
    index.register(again(other), ORIGIN)
    assert restored(trash, entry.trash_id) == Restored(0, 0, 1)
    assert [row["kind"] for row in dump(database, "trash_item")["trash_item"]] == ["conflict"]


def test_parents_that_are_there_again_get_what_they_lack(
    database: Database, index: InstanceIndex, trash: TrashIndex
) -> None:
    fill(index)
    before = dump(database, *PARENTS)
    entry = deleted(trash, STUDY)
    poor = new_instance(instance="1.1.1.9")
    for level in (poor.attributes.study, poor.attributes.series, poor.attributes.patient):
        for key in ("00081030", "00080060", "00200011", "00080050", "00100010"):
            level.pop(key, None)
    index.register(poor, ORIGIN)
    restored(trash, entry.trash_id)
    after = dump(database, *PARENTS)
    for table in ("study", "series"):
        assert without(after[table], "id", "study", "created_at", "patient_attributes") == without(
            before[table], "id", "study", "created_at", "patient_attributes"
        )
    study = Filter(0x00080090, SingleValue("wilhelm rontgen"))
    query = Query(Level.STUDY, (study,), fuzzy=True)
    assert len(list(SearchIndex(database).find(query))) == 1, "names were made searchable again"


def test_a_study_that_is_another_patient_s_now_is_listed(
    index: InstanceIndex, trash: TrashIndex
) -> None:
    fill(index)
    entry = deleted(trash, STUDY)
    index.register(new_instance(instance="1.1.1.9", patient_id="P2"), ORIGIN)
    assert restored(trash, entry.trash_id) == Restored(4, 0, 0)
    assert [(c.kind, c.patient_id) for c in index.conflicts()] == [("patient_mismatch", "P1")]


def test_a_patient_who_is_told_of_otherwise_now_keeps_both_names(
    database: Database, index: InstanceIndex, trash: TrashIndex
) -> None:
    index.register(new_instance(name="Doe^John"), ORIGIN)
    entry = deleted(trash, STUDY)
    index.register(new_instance("1.2", "1.2.1", "1.2.1.1", name="Doe^Jane"), ORIGIN)
    restored(trash, entry.trash_id)
    names = {
        row["study_instance_uid"]: row["patient_name"] for row in dump(database, "study")["study"]
    }
    assert names == {"1.1": "doe^john", "1.2": "doe^jane"}
    assert counts(database, "patient") == [1]


def test_tokens_of_names_are_made_anew_when_their_scheme_has_changed(
    database: Database, index: InstanceIndex, trash: TrashIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(index)
    before = dump(database, *PARENTS)
    entry = deleted(trash, STUDY)
    with database.connection() as connection:
        connection.execute("UPDATE trash SET name_scheme = 'older'")
        connection.execute("UPDATE trash SET study = study || '{\"person_names\": \"''older''\"}'")
    restored(trash, entry.trash_id)
    assert dump(database, *PARENTS) == before
    assert name_tokens.fill_person_names(database) == 0


def test_series_known_to_a_process_are_told_anew_after_a_deletion(
    database: Database, database_url: str, index: InstanceIndex, trash: TrashIndex
) -> None:
    index.register(new_instance(), ORIGIN)
    deleted(trash, STUDY)
    poor = new_instance(instance="1.1.1.9")
    poor.attributes.study.pop("00081030")
    with Database(database_url, pool_size=1) as other:
        InstanceIndex(other).register(poor, ORIGIN)
    index.register(new_instance(instance="1.1.1.5"), ORIGIN)
    (study,) = dump(database, "study")["study"]
    assert study["attributes"]["00081030"]["Value"] == ["Thorax 100%"]


def test_a_deletion_and_its_restore_are_told_in_the_feed(
    database: Database, index: InstanceIndex, trash: TrashIndex
) -> None:
    fill(index)
    entry = deleted(trash, SERIES)
    restored(trash, entry.trash_id)
    changes = ChangeIndex(database).after(5, 100).changes
    assert [(c.action.value, c.uids.sop_instance_uid) for c in changes] == [
        ("deleted", "1.1.1.1"),
        ("deleted", "1.1.1.2"),
        ("restored", "1.1.1.1"),
        ("restored", "1.1.1.2"),
    ]


def test_the_list_tells_what_who_and_how_much(index: InstanceIndex, trash: TrashIndex) -> None:
    instances = fill(index)
    index.register(new_instance(content="other"), ORIGIN)
    deleted(trash, ONE, "c1")
    deleted(trash, InstanceUids("1.2", "", ""), "c2")
    first, second = trash.entries()
    assert (first.uids, first.instances, first.swept) == (ONE, 1, 0)
    assert first.size == 2 * instances[0].location.length, "with the version in conflict"
    assert first.origin == caller("c1")
    assert second.uids == InstanceUids("1.2", "", "")
    assert trash.entries(after=first.trash_id) == [second]
    assert trash.entries("1.1") == [first]
    assert trash.entries(limit=1) == [first]


def test_a_restore_of_nothing_says_so(index: InstanceIndex, trash: TrashIndex) -> None:
    fill(index)
    assert trash.restore(10**12, caller("x")) is None
    entry = deleted(trash, STUDY)
    restored(trash, entry.trash_id)
    assert trash.restore(entry.trash_id, caller("x")) is None


def test_what_a_sweep_has_begun_with_can_t_be_restored(
    index: InstanceIndex, trash: TrashIndex
) -> None:
    fill(index)
    entry = deleted(trash, STUDY)
    assert len(trash.claim(0, 0, 3, None)) == 3
    assert restored(trash, entry.trash_id) == Restored(1, 0, 0)
    assert trash.restore(entry.trash_id, caller("x")) is None
