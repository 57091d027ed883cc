"""A Postgres that is there and answers nobody: who waits for it is let go, and finds it again when it goes on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.index.processes import family, postmaster_of
from tests.index.samples import ORIGIN, new_instance
from vna.errors import Unavailable
from vna.index.database import Database
from vna.index.embedded import EmbeddedPostgres
from vna.index.instances import InstanceIndex
from vna.index.upgrade import upgrade
from vna.model.instances import Outcome

PATIENCE = 0.5
ENOUGH = 120.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frozen")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    started = EmbeddedPostgres.start(folder)
    yield started
    started.release()


class Frozen:
    """Every process of a server stands still within this."""

    def __init__(self, data_dir: Path) -> None:
        self._postmaster = postmaster_of(data_dir)
        self._stopped: list[int] = []

    def __enter__(self) -> None:
        os.kill(self._postmaster, signal.SIGSTOP)  # first, so that it makes no more children
        self._stopped = family(self._postmaster)
        for process_id in self._stopped[1:]:
            os.kill(process_id, signal.SIGSTOP)

    def __exit__(self, *exc_info: object) -> None:
        for process_id in self._stopped:
            os.kill(process_id, signal.SIGCONT)


class Waiting(threading.Thread):
    """Does one thing, and keeps the error."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except Exception as exc:  # noqa: BLE001 - the test looks at it
            self.error = exc

    def ends(self) -> Exception | None:
        """Its error, once it has ended."""
        self.join(ENOUGH)
        assert not self.is_alive(), "it waits for ever"
        return self.error


def test_nobody_waits_for_ever(server: EmbeddedPostgres, folder: Path) -> None:
    with Database(server.url, pool_size=4, connect_timeout=2, patience=PATIENCE) as database:
        upgrade(database)
        index = InstanceIndex(database)
        index.register(new_instance(instance="1"), ORIGIN)
        is_frozen, frozen = threading.Event(), Frozen(folder)

        def object_that_takes_long() -> None:
            is_frozen.wait(ENOUGH)

        in_the_middle = Waiting(
            lambda: index.register(new_instance(instance="2"), ORIGIN, object_that_takes_long)
        )
        with frozen:
            is_frozen.set()
            waiting = [
                in_the_middle,
                Waiting(lambda: index.register(new_instance(instance="3"), ORIGIN)),
                Waiting(index.counts),
                Waiting(database.ping),
            ]
            errors = [waited.ends() for waited in waiting]
            assert [type(error) for error in errors] == [Unavailable] * 4, errors
        while True:  # the pool looks for the server again on its own
            try:
                database.ping()
                break
            except Unavailable:
                continue
        for number in "123":
            outcome = index.register(new_instance(instance=number), ORIGIN).outcome
            assert outcome in {Outcome.STORED, Outcome.DUPLICATE}
        assert index.counts().instances == 3


def test_who_takes_long_is_waited_for(server: EmbeddedPostgres) -> None:
    """The server answers others meanwhile: it is alive."""
    with Database(server.url, connect_timeout=2, patience=0.05) as database:
        with database.connection() as connection:
            row = connection.execute("SELECT 'done' FROM pg_sleep(2)").fetchone()
        assert row == ("done",)


def test_a_child_has_a_watch_of_its_own(server: EmbeddedPostgres, folder: Path) -> None:
    with Database(server.url, connect_timeout=2, patience=PATIENCE) as database:
        database.ping()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                database.ping()
                with Frozen(folder):
                    waited = Waiting(database.ping).ends()
                code = 0 if isinstance(waited, Unavailable) else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        database.ping()
