"""The version before goes on serving beside this one, and nothing that it can't read is written before it has gone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import cast

import orjson
import psycopg
import pytest
from psycopg import sql

from tests.index.samples import ORIGIN, attributes, new_instance
from tests.index.version_8 import Version8, make_schema
from vna.audit import AuditAction, AuditEvent
from vna.errors import Unavailable
from vna.index import upgrade as upgrading
from vna.index.audit import PostgresAuditLog
from vna.index.changes import ChangeIndex
from vna.index.copies import CopyIndex
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.post_upgrades import Rewriting
from vna.index.search import SearchIndex
from vna.index.sql import load, upgrade_names
from vna.index.trash import TrashIndex
from vna.index.upgrade import status, upgrade
from vna.model.identifiers import InstanceUids, Level, Origin, Selection
from vna.model.instances import NewInstance
from vna.model.query import JsonElement, Query

POST = "0010_post_short_rows"
STUDY = InstanceUids("1.1", "", "")


def numbered(number: int) -> NewInstance:
    own = attributes(
        T00200013=("IS", number), T00080033=("TM", f"10150{number}.5"), T00201041=("DS", number / 4)
    )
    return new_instance(instance=f"1.1.1.{number}", instance_attributes=own)


@pytest.fixture
def database(empty_database_url: str) -> Iterator[Database]:
    """A database that the version before has made."""
    with Database(empty_database_url) as database:
        make_schema(database)
        yield database


def answers(database: Database) -> dict[str, object]:
    """What this version says of every instance."""
    records = SearchIndex(database).find(Query(Level.IMAGE, (), None))
    found = {uid_in(record.attributes): record.attributes for record in records}
    kept = {
        one.uids.sop_instance_uid: one for one in InstanceIndex(database).select(Selection(("P1",)))
    }
    frames = {uid: InstanceIndex(database).frames(one.instance_id) for uid, one in kept.items()}
    return {
        "found": found,
        "kept": {uid: (one.object_digest, one.dataset_digest) for uid, one in kept.items()},
        "frames": frames,
        "changes": [(one.action, one.uids) for one in ChangeIndex(database).after(0, 1000).changes],
        "audit": audit(database),
    }


def uid_in(found: dict[str, JsonElement]) -> str:
    (uid,) = cast("list[str]", found["00080018"]["Value"])
    return uid


def audit(database: Database) -> list[tuple[object, ...]]:
    with database.connection() as connection:
        return connection.execute(
            "SELECT action, door, peer, study_instance_uid, sop_instance_uid FROM audit ORDER BY id"
        ).fetchall()


def short_rows(database: Database) -> int:
    with database.connection() as connection:
        row = connection.execute(
            "SELECT count(*) FROM instance WHERE differences IS NOT NULL"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_both_versions_serve_side_by_side(database: Database) -> None:
    before, index = Version8(database), InstanceIndex(database)
    assert before.register(numbered(1))[0] == "stored"
    applied = upgrade(database)
    assert "0009_pre_differences" in applied
    assert POST not in applied
    assert status(database).pending == (POST,)

    # Each stores into the same series, and reads what the other has stored.
    outcome, series = before.register(numbered(2))
    assert outcome == "stored"
    assert before.register(numbered(3), series) == ("stored", series)
    for number in (4, 5):
        assert index.register(numbered(number), ORIGIN).outcome == "stored"
    again = replace(numbered(4), location=replace(numbered(4).location, key="another"))
    assert before.register(again)[0] == "duplicate"
    assert before.register(replace(again, transfer_syntax_uid="1.2"))[0] == "conflict"
    PostgresAuditLog(database).record(AuditEvent(AuditAction.ARCHIVE_STARTED, ORIGIN))
    before.rows("audit", ["instance.refused", "web", "p", "", "c", "1.1", "1.1.1.9", None])

    new = [numbered(number) for number in range(1, 6)]
    uids = [one.uids.sop_instance_uid for one in new]
    assert [
        (uid, orjson.loads(text)["00080033"], number)
        for uid, text, number in before.rows("attributes")
    ] == [
        (one.uids.sop_instance_uid, one.attributes.instance["00080033"], str(at))
        for at, one in enumerate(new, 1)
    ]
    assert before.changes() == [("stored", one.uids) for one in new]
    assert [
        before.kept(one.uids.sop_instance_uid, one.dataset_digest, one.transfer_syntax_uid)
        for one in new
    ] == [1] * 5
    assert len(before.rows("kept_objects", {"uids": uids})) == 6
    frames = before.rows("find_frames", [65536, [1], uids[4], "1.1.1", "1.1"])
    assert frames[0][:6][3] == uids[4]
    assert [line[0] for line in audit(database)] == [
        *["instance.stored"] * 5,
        "instance.duplicate",
        "instance.conflict",
        "archive.started",
        "instance.refused",
    ]
    assert short_rows(database) == 0
    found = answers(database)["found"]
    assert isinstance(found, dict)
    assert sorted(found) == uids


def test_each_restores_what_the_other_has_deleted(database: Database) -> None:
    before, index = Version8(database), InstanceIndex(database)
    before.register(numbered(1))
    upgrade(database)
    index.register(numbered(2), ORIGIN)
    told = answers(database)["found"]
    ((entry, count),) = before.rows("delete_instances", ["1.1", "", "", "web", "", "", "1"])
    assert count == 2
    assert TrashIndex(database).restore(entry, Origin("cli")) is not None
    deleted = TrashIndex(database).delete(STUDY, Origin("web", correlation_id="2"))
    assert deleted is not None
    ((restored, duplicates, conflicts),) = before.rows(
        "trash_restore", [deleted.trash_id, "cli", "", "", ""]
    )
    assert (restored, duplicates, conflicts) == (2, 0, 0)
    assert answers(database)["found"] == told


def test_short_rows_begin_when_the_older_version_has_gone(
    database: Database, empty_database_url: str
) -> None:
    before, index = Version8(database), InstanceIndex(database)
    for number in (1, 2):
        before.register(numbered(number))
    upgrade(database)
    index.register(numbered(3), ORIGIN)
    with psycopg.connect(empty_database_url, application_name="vna"):
        assert upgrade(database, with_post=True) == []
        assert status(database).pending == (POST,)
    index.register(numbered(4), ORIGIN)
    told = answers(database)
    assert upgrade(database, with_post=True) == [POST]
    assert short_rows(database) == 0
    assert Rewriting(database).step() == 1
    assert Rewriting(database).step() == 0
    assert short_rows(database) == 4
    assert answers(database) == told
    # Who still takes the series for one that shares nothing writes whole rows; who asks anew does not.
    index.register(numbered(5), ORIGIN)
    assert short_rows(database) == 4
    InstanceIndex(database).register(numbered(6), ORIGIN)
    assert short_rows(database) == 5
    found = answers(database)["found"]
    assert isinstance(found, dict)
    assert {uid: one["00080033"] for uid, one in found.items()} == {
        f"1.1.1.{n}": numbered(n).attributes.instance["00080033"] for n in range(1, 7)
    }


def test_what_is_rewritten_is_a_duplicate_and_heals_as_before(database: Database) -> None:
    Version8(database).register(numbered(1))
    upgrade(database, with_post=True)
    Rewriting(database).step()
    assert short_rows(database) == 1
    again = replace(numbered(1), location=replace(numbered(1).location, key="another"))
    assert InstanceIndex(database).register(again, ORIGIN).outcome == "duplicate"
    copy = CopyIndex(database).find(again)
    assert copy is not None
    assert copy.object_digest == again.object_digest


def test_rewriting_goes_on_where_it_was_cut_off(database: Database) -> None:
    before = Version8(database)
    for series in range(45):
        before.register(new_instance(series=f"1.1.{series}", instance=f"1.1.{series}.1"))
    upgrade(database, with_post=True)
    assert [Rewriting(database).step() for _ in range(4)] == [20, 20, 5, 0]
    assert short_rows(database) == 45


def until_somebody_waits(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """For a lock that another connection to this database holds."""
    waiting = (
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE NOT granted AND datname = current_database()"
    )
    while connection.execute(waiting).fetchone() == (0,):
        pass


def test_an_upgrade_gives_way_to_who_is_in_the_middle_of_something(
    database: Database, empty_database_url: str
) -> None:
    Version8(database).register(numbered(1))
    with psycopg.connect(empty_database_url) as reader, ThreadPoolExecutor(1) as pool:
        reader.execute("SELECT FROM instance")
        applied = pool.submit(upgrade, database)
        until_somebody_waits(reader)
        for table in ("series", "change", "location", "trash"):
            reader.execute(sql.SQL("SELECT FROM {}").format(sql.Identifier(table)))
        reader.commit()
        assert "0011_pre_copies" in applied.result()


def test_an_upgrade_does_not_wait_behind_a_backup(
    database: Database, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrading, "_PATIENCE", (0.05, 0.1))
    with psycopg.connect(empty_database_url) as backup:
        backup.execute("SELECT FROM change")
        with pytest.raises(Unavailable, match="backup"):
            upgrade(database)
        assert status(database).pending == tuple(upgrade_names()[8:])
        assert Version8(database).register(numbered(1))[0] == "stored"
    assert "0009_pre_differences" in upgrade(database)


def test_who_stores_while_the_upgrade_works_is_done_when_it_is(
    database: Database, empty_database_url: str
) -> None:
    before = Version8(database)
    before.register(numbered(1))
    with psycopg.connect(empty_database_url) as node, ThreadPoolExecutor(1) as pool:
        node.execute(load("upgrades/0009_pre_differences"))
        storing = pool.submit(before.register, numbered(2))
        until_somebody_waits(node)
        node.execute(load("upgrades/0011_pre_copies"))
        node.execute(load("upgrades/0013_pre_corrections"))
        node.commit()
        assert storing.result()[0] == "stored"
    assert before.register(numbered(3))[0] == "stored"
    found = answers(database)["found"]
    assert isinstance(found, dict)
    assert len(found) == 3
