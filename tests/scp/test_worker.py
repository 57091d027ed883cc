"""The door under gunicorn: several processes on one port, drained by SIGTERM, cut by SIGQUIT."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.process import free_port
from tests.scp.site import LOOPBACK, PATIENCE
from tests.scp.test_storage import CONTEXTS, Sample, large_sample, sample, send
from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.errors import AssociationEnded, AssociationRejected, ConnectionLost
from vna.dimse.settings import RequestorSettings
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.model.identifiers import Selection

DEADLINE = 60
MANY = 50


@dataclass
class Server:
    """A running gunicorn master and where it listens."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    def associate(self) -> Association:
        """Open an association."""
        settings = RequestorSettings("TESTS", "VNA", CONTEXTS, timeouts=PATIENCE)
        return Association.request((LOOPBACK, self.port), settings)

    def workers(self) -> set[str]:
        """The process ids of those that have accepted an association."""
        return set(re.findall(r"association accepted pid=(\d+)", self.log.read_text()))

    def stop(self, number: signal.Signals) -> str:
        """Send the signal, wait for the end, and return the log."""
        self.process.send_signal(number)
        assert self.process.wait(DEADLINE) == 0
        return self.log.read_text()


@pytest.fixture
def server(
    database: Database, database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Server]:
    """The archive with as many workers as the parameter says, two by default; a second number in it
    limits the associations.
    """
    workers, *limit = getattr(request, "param", (2,))
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-m", "tests.scp.serve_process"]
    arguments = [str(port), str(workers), database_url, str(tmp_path), *map(str, limit)]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*command, *arguments], stderr=stderr, stdout=subprocess.PIPE, text=True
        )
    running = Server(process, port, log)
    try:
        await_start(running, workers)
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=DEADLINE)


def await_start(server: Server, workers: int) -> None:
    """Wait until each worker says that it accepts associations, and one has answered an echo."""
    while server.log.read_text().count("accepting associations") < workers:
        if server.process.poll() is not None:
            pytest.fail(server.log.read_text())
    with server.associate() as association:
        assert scu.echo(association).status == 0
        association.release()


def stored(database: Database, item: Sample) -> int:
    selection = Selection(sop_instance_uids=(item.sop_instance_uid,))
    return len(InstanceIndex(database).select(selection))


def test_sigterm_finishes_what_is_being_stored_and_ends_idle_peers(
    server: Server, database: Database
) -> None:
    item, small = large_sample(), sample()
    with server.associate() as idle, server.associate() as storing:
        assert send(storing, small).status == 0

        def slowly() -> Iterator[bytes]:
            yield item.dataset[:-1000]
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(AssociationEnded):
                idle.receive()
            yield item.dataset[-1000:]

        assert send(storing, item, slowly()).status == 0
    assert server.process.wait(DEADLINE) == 0
    assert stored(database, item) == stored(database, small) == 1
    log = server.log.read_text()
    assert len(re.findall("archive closed", log)) == 2
    with pytest.raises(ConnectionLost):
        server.associate()


def test_sigquit_ends_at_once_and_loses_nothing_acknowledged(
    server: Server, database: Database
) -> None:
    item = sample()
    with server.associate() as association:
        assert send(association, item).status == 0
        server.stop(signal.SIGQUIT)
        with pytest.raises(AssociationEnded):
            association.receive()
    assert stored(database, item) == 1


def test_associations_spread_over_the_workers(server: Server) -> None:
    with ExitStack() as open_ones:
        for _ in range(MANY):
            association = open_ones.enter_context(server.associate())
            assert scu.echo(association).status == 0
            if len(server.workers()) == 2:
                return
    pytest.fail(f"one worker got all of {MANY} associations")


@pytest.mark.parametrize("server", [(1,)], indirect=True)
def test_a_worker_that_is_killed_is_replaced(server: Server, database: Database) -> None:
    with server.associate() as association:
        assert scu.echo(association).status == 0
        (worker,) = server.workers()
        os.kill(int(worker), signal.SIGKILL)
        with pytest.raises(AssociationEnded):
            association.receive()
    item = sample()
    with server.associate() as association:
        assert send(association, item).status == 0
    assert stored(database, item) == 1
    server.stop(signal.SIGTERM)


@pytest.mark.parametrize("server", [(3, 4)], indirect=True)
def test_the_limit_is_for_all_workers_together_and_outlives_none_of_them(server: Server) -> None:
    with ExitStack() as open_ones:
        for _ in range(4):
            open_ones.enter_context(server.associate())
        with pytest.raises(AssociationRejected) as rejected:
            server.associate()
        assert rejected.value.transient
        for worker in server.workers():
            os.kill(int(worker), signal.SIGKILL)
    with ExitStack() as open_ones:
        for _ in range(4):
            open_ones.enter_context(server.associate())
        with pytest.raises(AssociationRejected):
            server.associate()
