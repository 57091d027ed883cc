"""The commit of a registration waits for the object: nothing is visible before, nothing stays when it fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from tests.index.samples import ORIGIN, new_instance
from tests.index.test_database import end_other_connections
from vna.errors import OutOfSpace, Unavailable, VnaError
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.model.frames import EncapsulatedFrames
from vna.model.instances import Outcome


class Keeper:
    """Counts how often it was called; tells how many instances others saw then."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.seen: list[int] = []

    def __call__(self) -> None:
        with psycopg.connect(self._url) as connection:
            row = connection.execute("SELECT count(*) FROM instance").fetchone()
            assert row is not None
            self.seen.append(row[0])


def test_nobody_sees_a_registration_before_its_object_is_kept(
    index: InstanceIndex, database_url: str
) -> None:
    keep = Keeper(database_url)
    assert index.register(new_instance(), ORIGIN, keep).outcome is Outcome.STORED
    assert keep.seen == [0]
    assert index.counts().instances == 1
    assert index.register(new_instance(instance="2"), ORIGIN, keep).outcome is Outcome.STORED
    assert keep.seen == [0, 1]


def test_an_object_that_is_not_kept_is_not_registered(index: InstanceIndex) -> None:
    def fail() -> None:
        raise OutOfSpace("full")

    for number in range(20):  # more than there are connections
        with pytest.raises(OutOfSpace, match="full"):
            index.register(new_instance(instance=str(number)), ORIGIN, fail)
    assert index.counts().instances == index.counts().studies == 0
    assert index.register(new_instance(), ORIGIN).outcome is Outcome.STORED


def test_whoever_knows_the_parents_no_more_is_asked_again(
    index: InstanceIndex, database: Database, database_url: str
) -> None:
    index.register(new_instance(), ORIGIN)
    with database.connection() as connection:
        connection.execute("DELETE FROM location; DELETE FROM instance; DELETE FROM series")
    keep = Keeper(database_url)
    assert index.register(new_instance(instance="2"), ORIGIN, keep).outcome is Outcome.STORED
    assert keep.seen == [0, 0], "the first call wrote nothing and asked for the parents"


def test_a_connection_lost_meanwhile_is_replaced(index: InstanceIndex, database_url: str) -> None:
    index.register(new_instance(), ORIGIN)
    lost: list[int] = []

    def lose_once() -> None:
        if lost:
            return
        lost.append(1)
        end_other_connections(database_url)

    assert index.register(new_instance(instance="2"), ORIGIN, lose_once).location_is_kept
    assert lost == [1]
    assert index.counts().instances == 2


def test_a_connection_that_has_forgotten_its_statements_is_taught_again(
    database_url: str,
) -> None:
    with Database(database_url, pool_size=1) as database:
        index = InstanceIndex(database)
        index.register(new_instance(), ORIGIN)
        with database.connection() as connection:
            connection.execute("DEALLOCATE ALL")
        assert index.register(new_instance(instance="2"), ORIGIN).outcome is Outcome.STORED
        with database.connection() as connection:
            connection.execute("DELETE FROM location; DELETE FROM instance; DELETE FROM series")
            connection.execute(
                "DELETE FROM study; DELETE FROM patient; DELETE FROM audit_line; DELETE FROM audit_instance"
            )


def test_large_parameters_pass(index: InstanceIndex) -> None:
    frames = EncapsulatedFrames(tuple(range(0, 8 * 10**9, 7919)))
    new = new_instance(frames=frames, number_of_frames=frames.count)
    assert index.register(new, ORIGIN).outcome is Outcome.STORED


def test_text_that_is_none_is_refused_and_never_cut(index: InstanceIndex) -> None:
    new = new_instance(transfer_syntax_uid="1.2\0.3")
    with pytest.raises(VnaError, match="refused"):
        index.register(new, ORIGIN)
    assert index.counts().instances == 0


def test_warnings_may_hold_what_arrays_are_written_with(index: InstanceIndex) -> None:
    warnings = ('a "quoted" \\ {word}', "", "NULL", "a,b", "'", "ü")
    index.register(new_instance(warnings=warnings), ORIGIN)
    with index._database.connection() as connection:
        row = connection.execute("SELECT warnings FROM instance").fetchone()
    assert row is not None
    assert tuple(row[0]) == warnings


def test_half_of_the_connections_may_wait_for_objects(
    database_url: str, database: Database
) -> None:
    with Database(database_url, pool_size=2) as small:
        index = InstanceIndex(small)
        waiting, go_on = threading.Event(), threading.Event()

        def slow() -> None:
            waiting.set()
            assert go_on.wait(60)

        thread = threading.Thread(target=index.register, args=(new_instance("1"), ORIGIN, slow))
        thread.start()
        try:
            assert waiting.wait(60)
            second = Keeper(database_url)
            new = new_instance("2", "2.1", "2.1.1", patient_id="other")
            assert index.register(new, ORIGIN, second).outcome is Outcome.STORED
            assert second.seen == [0, 0], "kept before a connection was taken, and asked again"
            assert index.counts().instances == 1
        finally:
            go_on.set()
            thread.join(60)
        assert index.counts().instances == 2


KILLED = """
import os, signal, sys
from tests.index.samples import ORIGIN, new_instance
from vna.index.database import Database
from vna.index.instances import InstanceIndex
index = InstanceIndex(Database(sys.argv[1], pool_size=2))
index.register(new_instance(instance="before"), ORIGIN)
index.register(new_instance(), ORIGIN, lambda: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_process_killed_before_the_commit_registers_nothing(
    index: InstanceIndex, database_url: str
) -> None:
    root = Path(__file__).parents[2]
    process = subprocess.run(
        [sys.executable, "-c", KILLED, database_url],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.returncode == -signal.SIGKILL
    assert index.register(new_instance(), ORIGIN).outcome is Outcome.STORED, "and holds no lock"
    assert index.counts().instances == 2


def test_an_unreachable_database_keeps_nothing(tmp_path: Path) -> None:
    calls: list[int] = []
    with (
        Database(
            f"postgresql://nobody@/none?host={tmp_path}", pool_size=4, connect_timeout=0.5
        ) as gone,
        pytest.raises(Unavailable),
    ):
        InstanceIndex(gone).register(new_instance(), ORIGIN, lambda: calls.append(1))
    assert calls == []
