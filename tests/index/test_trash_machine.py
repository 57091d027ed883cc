"""Whatever is stored, deleted, restored and swept in whatever order: the index is what a simple model says."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.index.dump import dump
from tests.index.samples import new_instance
from tests.index.test_trash_concurrency import check_whole, replayed
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.trash import TrashIndex
from vna.model.identifiers import InstanceUids, Origin
from vna.model.instances import Outcome

CLEAN = """
    DELETE FROM location; DELETE FROM trash_item; DELETE FROM trash; DELETE FROM change;
    DELETE FROM change_waiting; DELETE FROM conflict; DELETE FROM instance; DELETE FROM series;
    DELETE FROM study; DELETE FROM patient
"""

Version = tuple[str, str]
"""SOP Instance UID and content."""


@dataclass
class Model:
    """What there should be: the content that is visible by UID with its series, conflicts, and entries of the trash."""

    visible: dict[str, tuple[InstanceUids, str]] = field(default_factory=dict)
    conflicts: set[Version] = field(default_factory=set)
    trash: dict[int, list[tuple[str, InstanceUids, str]]] = field(default_factory=dict)


_NUMBERS = st.integers(0, 5)
_CONTENTS = st.sampled_from(["a", "b"])


class Archive(RuleBasedStateMachine):
    """Six UIDs in two studies of one patient, each in two contents; a UID may come in either study."""

    database: Database
    index: InstanceIndex

    @initialize()
    def begin(self) -> None:
        self.trash = TrashIndex(self.database)
        self.model, self.requests = Model(), itertools.count()
        self.keys: set[str] = set()

    def origin(self) -> Origin:
        return Origin("web", correlation_id=f"{id(self)} {next(self.requests)}")

    @rule(number=_NUMBERS, content=_CONTENTS, study=st.sampled_from(["1.1", "1.2"]))
    def store(self, number: int, content: str, study: str) -> None:
        uid = f"9.{number}"
        new = new_instance(study, f"{study}.{number % 2}", uid, content=f"{uid} {content}")
        registration = self.index.register(new, self.origin())
        known = self.model.visible.get(uid)
        if known is None:
            assert registration.outcome is Outcome.STORED
            self.model.visible[uid] = new.uids, content
        elif known[1] == content:
            assert registration.outcome is Outcome.DUPLICATE
        else:
            assert registration.outcome is Outcome.CONFLICT
            assert registration.location_is_kept is ((uid, content) not in self.model.conflicts)
            self.model.conflicts.add((uid, content))
        if registration.location_is_kept:
            self.keys.add(new.location.key)

    @rule(number=_NUMBERS, study=st.sampled_from(["1.1", "1.2"]), level=st.integers(0, 2))
    def delete(self, number: int, study: str, level: int) -> None:
        series, instance = f"{study}.{number % 2}", f"9.{number}"
        uids = InstanceUids(study, series if level else "", instance if level == 2 else "")
        found = self.trash.delete(uids, self.origin())
        gone = {
            uid: kept
            for uid, kept in self.model.visible.items()
            if kept[0].study_instance_uid == study
            and uids.series_instance_uid in ("", kept[0].series_instance_uid)
            and uids.sop_instance_uid in ("", uid)
        }
        if not gone:
            assert found is None
            return
        assert found is not None
        assert found.instances == len(gone)
        along = {version for version in self.model.conflicts if version[0] in gone}
        self.model.conflicts -= along
        self.model.trash[found.trash_id] = [
            *(("instance", *kept) for kept in gone.values()),
            *(("conflict", InstanceUids("", "", uid), content) for uid, content in sorted(along)),
        ]
        for uid in gone:
            del self.model.visible[uid]

    @rule(choice=st.randoms(use_true_random=False))
    def restore(self, choice: object) -> None:
        if not self.model.trash:
            return
        entry = choice.choice(sorted(self.model.trash))  # type: ignore[attr-defined]
        items = self.model.trash[entry]
        found = self.trash.restore(entry, self.origin())
        if not any(kind == "instance" for kind, _, _ in items):
            assert found is None
            return
        assert found is not None
        left = [item for item in items if not self._take_back(*item)]
        assert found.duplicates == sum(kind == "instance" for kind, _, _ in left)
        self.model.trash[entry] = left
        if not left:
            del self.model.trash[entry]

    def _take_back(self, kind: str, uids: InstanceUids, content: str) -> bool:
        """Whether an item leaves the trash."""
        uid = uids.sop_instance_uid
        known = self.model.visible.get(uid)
        if kind == "instance" and known is None:
            self.model.visible[uid] = uids, content
            return True
        if (known is not None and known[1] == content) or (uid, content) in self.model.conflicts:
            return False
        self.model.conflicts.add((uid, content))
        return True

    @rule(limit=st.integers(1, 3))
    def sweep(self, limit: int) -> None:
        """As the service does, up to `limit` items."""
        rows = {row["id"]: row for row in dump(self.database, "trash_item")["trash_item"]}
        items = self.trash.claim(0, 0, limit, None)
        for item in items:
            for place in item.objects:
                self.keys.remove(place.key)
            row = rows[item.item_id]
            entry = self.model.trash[row["trash"]]
            entry.remove(
                next(
                    known
                    for known in entry
                    if (known[0], known[1].sop_instance_uid)
                    == (row["kind"], row["sop_instance_uid"])
                )
            )
            if not entry:
                del self.model.trash[row["trash"]]
        assert self.trash.swept([item.item_id for item in items], self.origin()) == len(items)
        self.trash.forget(0)

    @invariant()
    def it_is_what_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        rows = dump(self.database, "instance", "conflict", "trash", "trash_item")
        assert {row["sop_instance_uid"] for row in rows["instance"]} == set(self.model.visible)
        assert len(rows["conflict"]) == len(self.model.conflicts)
        assert {row["id"] for row in rows["trash"]} == set(self.model.trash)
        assert len(rows["trash_item"]) == sum(map(len, self.model.trash.values()))
        check_whole(self.database, self.keys)
        assert replayed(self.database) == set(self.model.visible)

    def teardown(self) -> None:
        with self.database.connection() as connection:
            connection.execute(CLEAN)


@pytest.mark.timeout(280)
def test_any_order_of_operations(database: Database) -> None:
    class Bound(Archive):
        pass

    Bound.database, Bound.index = database, InstanceIndex(database)
    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
