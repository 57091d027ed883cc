"""In whatever order instances come, go and come back: a search says of each what it said when all was kept whole."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.index.samples import attributes, new_instance
from tests.index.test_rolling_upgrade import uid_in
from tests.index.test_trash_machine import CLEAN
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.post_upgrades import Rewriting
from vna.index.search import SearchIndex
from vna.index.trash import TrashIndex
from vna.model.identifiers import InstanceUids, Level, Origin
from vna.model.query import Filter, JsonElement, Query, SingleValue

_OWN = {
    "a": attributes(T00200013=("IS", 1), T00080033=("TM", "101500"), T00201041=("DS", 1.0)),
    "b": attributes(T00200013=("IS", 2), T00080033=("TM", "101501"), T00201041=("DS", 1)),
    "c": attributes(T00080008=("CS", "A", "B"), T00080033=("DT", "20240131101501")),
    "d": attributes(T00200013=("IS", "x"), T00280010=("US",), T00080201=("SH", "+0100")),
}
_STORES = st.tuples(
    st.just("store"), st.integers(0, 1), st.integers(0, 5), st.sampled_from(sorted(_OWN))
)
_STEPS = st.one_of(
    _STORES,
    _STORES,
    st.tuples(st.just("delete"), st.integers(0, 2), st.integers(0, 5)),
    st.tuples(st.just("restore"), st.integers(0, 9)),
    st.tuples(st.sampled_from(["share", "rewrite"])),
)


class _Archive:
    """Two processes, one model; the database begins as one that older versions read."""

    def __init__(self, database: Database) -> None:
        with database.connection() as connection:
            connection.execute(CLEAN)
            connection.execute("DELETE FROM series_gone")
            connection.execute(
                "UPDATE oldest_reader SET version = 8, rewritten_to = 0, rewrite_to = 0"
            )
        self.database = database
        self.processes = [InstanceIndex(database), InstanceIndex(database)]
        self.trash = TrashIndex(database)
        self.visible: dict[str, dict[str, JsonElement]] = {}
        self.deleted: list[tuple[int, dict[str, dict[str, JsonElement]]]] = []
        self.requests = itertools.count()

    def origin(self) -> Origin:
        return Origin("web", correlation_id=f"request {next(self.requests)}")

    def store(self, process: int, number: int, own: str) -> None:
        uid, series = f"9.{number}", f"1.1.{number % 2}"
        new = new_instance("1.1", series, uid, instance_attributes=_OWN[own])
        self.processes[process].register(new, self.origin())
        valued = {key: item for key, item in new.attributes.instance.items() if item.get("Value")}
        self.visible.setdefault(uid, valued)

    def delete(self, level: int, number: int) -> None:
        uid, series = f"9.{number}", f"1.1.{number % 2}"
        uids = InstanceUids("1.1", series if level else "", uid if level == 2 else "")
        entry = self.trash.delete(uids, self.origin())
        gone = {
            known: self.visible.pop(known)
            for known in list(self.visible)
            if level == 0 or (int(known[2:]) % 2 == number % 2 if level == 1 else known == uid)
        }
        assert (entry is not None) is bool(gone)
        if entry is not None:
            self.deleted.append((entry.trash_id, gone))

    def restore(self, which: int) -> None:
        if self.deleted:
            entry, gone = self.deleted.pop(which % len(self.deleted))
            self.trash.restore(entry, self.origin())
            self.visible = gone | self.visible

    def share(self) -> None:
        """As the post upgrade does."""
        with self.database.connection() as connection:
            connection.execute(
                "UPDATE oldest_reader SET version = 10,"
                " rewrite_to = (SELECT coalesce(max(id), 0) FROM series)"
            )

    def rewrite(self) -> None:
        Rewriting(self.database).step()

    def check(self) -> None:
        search = SearchIndex(self.database)
        found: dict[str, Any] = {}
        for record in search.find(Query(Level.IMAGE, (), None)):
            found[uid_in(record.attributes)] = record.attributes
        assert found.keys() == self.visible.keys()
        for uid, wanted in self.visible.items():
            for key in {key for own in _OWN.values() for key in own}:
                assert _said(found[uid].get(key)) == _said(wanted.get(key)), (uid, key)
        for moment in ("101500", "101501"):
            asked = (Filter(0x00080033, SingleValue(moment)),)
            listed = search.find(Query(Level.IMAGE, asked, frozenset({0x00080018, 0x00200013})))
            assert {uid_in(record.attributes) for record in listed} == {
                uid
                for uid, own in self.visible.items()
                if own.get("00080033", {}).get("Value") == [moment]
            }


def _said(element: JsonElement | None) -> str:
    """With the VR, and 1 told from 1.0."""
    return repr(sorted((element or {}).items())) if (element or {}).get("Value") else ""


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(_STEPS, max_size=25))
def test_any_order_gives_the_same_answers(database: Database, steps: list[tuple[Any, ...]]) -> None:
    archive = _Archive(database)
    try:
        for name, *values in steps:
            getattr(archive, name)(*values)
            archive.check()
    finally:
        archive.share()
