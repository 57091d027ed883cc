"""Registering instances: duplicates, conflicts, patients, what a later instance adds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage_backends.base import Digest
from tests.index.samples import ORIGIN, attributes, new_instance
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.search import SearchIndex
from vna.model.frames import EncapsulatedFrames
from vna.model.identifiers import InstanceUids, Level, Selection
from vna.model.instances import NewInstance, Outcome
from vna.model.query import Filter, JsonElement, Query, SingleValue


def audit_rows(database: Database) -> list[tuple[object, ...]]:
    with database.connection() as connection:
        return connection.execute(
            "SELECT action, door, peer, address, correlation_id, study_instance_uid, sop_instance_uid"
            " FROM audit ORDER BY id"
        ).fetchall()


def found(database: Database, level: Level) -> list[dict[str, JsonElement]]:
    return [record.attributes for record in SearchIndex(database).find(Query(level, (), None))]


def test_what_is_registered_is_selected_as_it_was(index: InstanceIndex) -> None:
    new = new_instance(warnings=("odd length", "umlaut ü"))
    registration = index.register(new, ORIGIN)
    assert registration.outcome is Outcome.STORED
    assert registration.location_is_kept
    assert registration.conflict_id is None
    assert registration.notes == ()
    (stored,) = index.select(Selection(sop_instance_uids=("1.1.1.1",)))
    assert stored.uids == new.uids
    assert stored.sop_class_uid == new.sop_class_uid
    assert stored.transfer_syntax_uid == new.transfer_syntax_uid
    assert stored.number_of_frames == 1
    assert stored.layout == new.layout
    assert stored.location == new.location
    assert stored.object_digest == new.object_digest
    assert stored.dataset_digest == new.dataset_digest
    assert index.frames(stored.instance_id) == new.frames
    assert index.warnings(stored.instance_id) == new.warnings


def test_large_frame_table_comes_back(index: InstanceIndex) -> None:
    frames = EncapsulatedFrames(tuple(range(1500, 5_000_000_000, 499_999)))
    index.register(new_instance(frames=frames, number_of_frames=frames.count), ORIGIN)
    (stored,) = index.select(Selection(study_instance_uids=("1.1",)))
    assert stored.number_of_frames == frames.count
    assert index.frames(stored.instance_id) == frames


def test_instance_without_frames(index: InstanceIndex) -> None:
    index.register(new_instance(frames=None, pixel_digest=None), ORIGIN)
    (stored,) = index.select(Selection(study_instance_uids=("1.1",)))
    assert index.frames(stored.instance_id) is None
    assert index.frames(stored.instance_id + 1) is None
    assert index.warnings(stored.instance_id) == ()


def test_same_dataset_again_is_a_duplicate(index: InstanceIndex, database: Database) -> None:
    first = new_instance()
    index.register(first, ORIGIN)
    again = new_instance(object_digest=Digest("blake3", "ab" * 32))  # another file meta
    registration = index.register(again, ORIGIN)
    assert registration.outcome is Outcome.DUPLICATE
    assert not registration.location_is_kept
    (stored,) = index.select(Selection(sop_instance_uids=("1.1.1.1",)))
    assert stored.location == first.location
    assert [row[0] for row in audit_rows(database)] == ["instance.stored", "instance.duplicate"]


def test_repeating_an_unconfirmed_call_stores_once(
    index: InstanceIndex, database: Database
) -> None:
    new = new_instance()
    assert index.register(new, ORIGIN) == index.register(new, ORIGIN)
    assert len(audit_rows(database)) == 1


def test_other_dataset_under_a_known_uid_is_kept_as_conflict(index: InstanceIndex) -> None:
    first, other = new_instance(), new_instance(content="other")
    index.register(first, ORIGIN)
    registration = index.register(other, ORIGIN)
    assert registration.outcome is Outcome.CONFLICT
    assert registration.location_is_kept
    (conflict,) = index.conflicts()
    assert conflict.conflict_id == registration.conflict_id
    assert conflict.kind == "content"
    assert conflict.location == other.location
    assert conflict.layout == other.layout
    assert conflict.dataset_digest == other.dataset_digest
    assert conflict.origin == ORIGIN
    assert conflict.resolved_at is None
    (stored,) = index.select(Selection(sop_instance_uids=("1.1.1.1",)))
    assert stored.location == first.location


def test_conflict_repeated_by_an_unconfirmed_call_keeps_its_location(index: InstanceIndex) -> None:
    index.register(new_instance(), ORIGIN)
    other = new_instance(content="other")
    assert index.register(other, ORIGIN) == index.register(other, ORIGIN)
    assert len(index.conflicts()) == 1


def test_conflicting_version_sent_again_is_listed_once(index: InstanceIndex) -> None:
    index.register(new_instance(), ORIGIN)
    first = index.register(new_instance(content="other"), ORIGIN)
    second = index.register(new_instance(content="other"), ORIGIN)
    third = index.register(new_instance(content="third"), ORIGIN)
    assert second.outcome is Outcome.CONFLICT
    assert second.conflict_id == first.conflict_id
    assert not second.location_is_kept
    assert third.conflict_id != first.conflict_id
    assert [c.conflict_id for c in index.conflicts(limit=1)] == [first.conflict_id]
    assert [c.conflict_id for c in index.conflicts(after=first.conflict_id or 0)] == [
        third.conflict_id
    ]


def test_conflict_leaves_no_study_of_its_own(index: InstanceIndex) -> None:
    index.register(new_instance(), ORIGIN)
    index.register(new_instance("2.1", "2.1.1", "1.1.1.1", patient_id="P2", content="x"), ORIGIN)
    counts = index.counts()
    assert (counts.patients, counts.studies, counts.series, counts.instances) == (1, 1, 1, 1)
    assert counts.open_conflicts == 1
    assert counts.stored_bytes == 2 * 525800


def test_study_under_another_patient_is_linked_and_listed_once(
    index: InstanceIndex, database: Database
) -> None:
    index.register(new_instance(), ORIGIN)
    for number in (2, 3):
        new = new_instance(instance=f"1.1.1.{number}", patient_id="OTHER", name="Else^Who")
        registration = index.register(new, ORIGIN)
        assert registration.outcome is Outcome.STORED
        assert registration.location_is_kept
        assert len(registration.notes) == 1
    (conflict,) = index.conflicts()
    assert conflict.kind == "patient_mismatch"
    assert conflict.patient_id == "OTHER"
    assert conflict.location is None
    assert index.counts().patients == 1
    (study,) = found(database, Level.STUDY)
    assert study["00100020"]["Value"] == ["P1"]


def test_issuers_keep_patients_apart(index: InstanceIndex) -> None:
    index.register(new_instance("1.1", "1.1.1", "1", issuer="A"), ORIGIN)
    index.register(new_instance("1.2", "1.2.1", "2", issuer="B"), ORIGIN)
    index.register(new_instance("1.3", "1.3.1", "3", issuer="B"), ORIGIN)
    assert index.counts().patients == 2
    assert index.register(new_instance("1.3", "1.3.1", "4", issuer="A"), ORIGIN).notes


def test_empty_patient_ids_never_merge(index: InstanceIndex) -> None:
    index.register(new_instance("1.1", "1.1.1", "1", patient_id=""), ORIGIN)
    index.register(new_instance("1.1", "1.1.2", "2", patient_id=""), ORIGIN)
    index.register(new_instance("1.2", "1.2.1", "3", patient_id=""), ORIGIN)
    index.register(new_instance("1.3", "1.3.1", "4", patient_id="  "), ORIGIN)
    assert index.counts().patients == 3
    assert index.conflicts() == []


def test_first_instance_names_and_later_ones_add_what_is_missing(
    index: InstanceIndex, database: Database
) -> None:
    first = new_instance(study_attributes=attributes(T00080050=("SH", ""), T00080020=("DA", "")))
    later = new_instance(
        instance="1.1.1.2",
        study_attributes=attributes(T00081030=("LO", "Else"), T00200010=("SH", "ID7")),
        series_attributes=attributes(T0008103E=("LO", "Axial"), T00200011=("IS", 9)),
        patient=attributes(T00100030=("DA", "19700101")),
    )
    index.register(first, ORIGIN)
    index.register(later, ORIGIN)
    (series,) = found(database, Level.SERIES)
    assert series["00081030"]["Value"] == ["Thorax 100%"]
    assert series["00080050"]["Value"] == ["ACC1"]
    assert series["00200010"]["Value"] == ["ID7"]
    assert series["0008103E"]["Value"] == ["Axial"]
    assert series["00200011"]["Value"] == [1]
    assert series["00100030"]["Value"] == ["19700101"]
    for tag, value in ((0x00080020, "20240131"), (0x00200010, "ID7"), (0x00100030, "19700101")):
        query = Query(Level.STUDY, (Filter(tag, SingleValue(value)),))
        assert len(list(SearchIndex(database).find(query))) == 1


def test_another_name_under_the_same_patient_id_stays_with_its_study(
    index: InstanceIndex, database: Database
) -> None:
    index.register(new_instance("1.1", "1.1.1", "1", name="Doe^John"), ORIGIN)
    index.register(new_instance("1.2", "1.2.1", "2", name="Roe^Jane"), ORIGIN)
    assert index.counts().patients == 1
    names = {
        study["0020000D"]["Value"][0]: study["00100010"]["Value"]  # type: ignore[index]
        for study in found(database, Level.STUDY)
    }
    assert names == {"1.1": [{"Alphabetic": "Doe^John"}], "1.2": [{"Alphabetic": "Roe^Jane"}]}
    query = Query(Level.STUDY, (Filter(0x00100010, SingleValue("ROE^JANE")),), None)
    (record,) = SearchIndex(database).find(query)
    assert record.attributes["0020000D"]["Value"] == ["1.2"]


def test_parents_are_not_written_for_each_instance(
    index: InstanceIndex, database: Database
) -> None:
    index.register(new_instance(), ORIGIN)
    with database.connection() as connection:
        versions = "SELECT p.xmin, s.xmin, e.xmin FROM patient p, study s, series e"
        before = connection.execute(versions).fetchall()
        index.register(new_instance(instance="1.1.1.2"), ORIGIN)
        assert connection.execute(versions).fetchall() == before


@pytest.mark.parametrize(
    "value", ["a\0b", "\ud800", "x" * 5000, "\\u0000", "Ünï 山田 \\ % ' \" \n"], ids=repr
)
def test_hostile_text_is_stored(index: InstanceIndex, value: str) -> None:
    new = new_instance(
        name={"Alphabetic": value},
        patient_id=value[:60],
        study_attributes=attributes(T00081030=("LO", value), T00080050=("SH", value)),
        warnings=(value,),
    )
    assert index.register(new, ORIGIN).outcome is Outcome.STORED


@pytest.mark.parametrize(
    ("date", "time"),
    [
        ("00000000", "99"),
        ("20241301", "246060"),
        ("2024.01.31", "10:15"),
        ("abc", "101560.9999999"),
    ],
)
def test_dates_that_are_none_are_kept_as_they_are(
    index: InstanceIndex, database: Database, date: str, time: str
) -> None:
    odd = attributes(T00080020=("DA", date), T00080030=("TM", time))
    index.register(new_instance(study_attributes=odd), ORIGIN)
    (study,) = found(database, Level.STUDY)
    assert study["00080020"]["Value"] == [date]
    assert study["00080030"]["Value"] == [time]


def test_numbers_that_are_none_are_kept_as_they_are(
    index: InstanceIndex, database: Database
) -> None:
    odd: dict[str, JsonElement] = attributes(T00200013=("IS", "1e99x"), T00280010=("US", 2**70))
    index.register(new_instance(instance_attributes=odd), ORIGIN)
    (instance,) = found(database, Level.IMAGE)
    assert instance["00200013"]["Value"] == ["1e99x"]


def test_selection_narrows_orders_and_never_means_everything(index: InstanceIndex) -> None:
    for series, number, instance in (("1.1.2", 2, "c"), ("1.1.1", 1, "b"), ("1.1.1", 1, "a")):
        new = new_instance(
            series=series,
            instance=instance,
            series_attributes=attributes(T00200011=("IS", number)),
            instance_attributes=attributes(T00200013=("IS", ord(instance))),
        )
        index.register(new, ORIGIN)
    index.register(new_instance("2.1", "2.1.1", "d", patient_id="P2"), ORIGIN)

    def chosen(selection: Selection) -> list[str]:
        return [stored.uids.sop_instance_uid for stored in index.select(selection)]

    assert chosen(Selection()) == []
    assert chosen(Selection(patient_ids=("",))) == []
    assert chosen(Selection(study_instance_uids=("1.1",))) == ["a", "b", "c"]
    assert chosen(Selection(patient_ids=("P1", "P2"))) == ["a", "b", "c", "d"]
    assert chosen(Selection(patient_ids=("P2",), study_instance_uids=("1.1",))) == []
    assert chosen(Selection(series_instance_uids=("1.1.2", "2.1.1"))) == ["c", "d"]
    assert chosen(Selection(sop_instance_uids=("d", "a", "unknown"))) == ["a", "d"]


def test_same_series_uid_in_two_studies_is_two_series(index: InstanceIndex) -> None:
    index.register(new_instance("1.1", "9.9", "1"), ORIGIN)
    index.register(new_instance("1.2", "9.9", "2"), ORIGIN)
    assert index.counts().series == 2
    assert len(index.select(Selection(series_instance_uids=("9.9",)))) == 2


def test_audit_says_who_and_what(index: InstanceIndex, database: Database) -> None:
    index.register(new_instance(), replace(ORIGIN, peer="CT\0ü"))
    assert audit_rows(database) == [
        ("instance.stored", "dimse", "CTü", "10.0.0.1", "abc", "1.1", "1.1.1.1")
    ]


def test_uids_of_the_registration_count_not_those_of_the_attributes(
    index: InstanceIndex, database: Database
) -> None:
    new: NewInstance = replace(new_instance(), uids=InstanceUids("7.1", "7.2", "7.3"))
    index.register(new, ORIGIN)
    (instance,) = found(database, Level.IMAGE)
    assert instance["0020000D"]["Value"] == ["7.1"]
    assert instance["0020000E"]["Value"] == ["7.2"]
    assert instance["00080018"]["Value"] == ["7.3"]
