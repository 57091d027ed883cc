"""The processes of a gateway share out who connects."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dicomweb import siblings
from dicomweb.siblings import LONGEST_PAUSE, PAUSE, Siblings
from tests.dicomweb.servers import Server, gunicorn
from vna.index.database import Database

CLIENTS = 16
PROBE = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr("dicomweb.siblings.time.sleep", found.append)
    return found


def test_who_has_more_clients_lets_others_first(pauses: list[float]) -> None:
    group = Siblings()
    one, other = group.join(), group.join()
    one.report(2)
    other.report(0)
    one.let_others_first()
    other.let_others_first()
    assert pauses == [2 * PAUSE]
    other.report(2)
    one.let_others_first()
    assert pauses == [2 * PAUSE]


def test_a_pause_is_short_whatever_a_sibling_does(pauses: list[float]) -> None:
    group = Siblings()
    one, stuck = group.join(), group.join()
    one.report(1000)
    stuck.report(0)
    one.let_others_first()
    assert pauses == [LONGEST_PAUSE]


def test_a_process_that_is_gone_or_not_yet_there_is_not_waited_for(pauses: list[float]) -> None:
    group = Siblings()
    one, other = group.join(), group.join()
    one.report(5)
    one.let_others_first()
    other.report(0)
    other.leave()
    one.let_others_first()
    assert pauses == []
    again = group.join()
    again.report(0)
    one.let_others_first()
    assert len(pauses) == 1


def test_more_processes_than_places_share_the_last_one(pauses: list[float]) -> None:
    group = Siblings()
    places = [group.join() for _ in range(siblings.MOST + 5)]
    for place in places:
        place.report(1)
        place.let_others_first()
    assert pauses == []


def test_counts_are_seen_across_a_fork() -> None:
    group = Siblings()
    one, other = group.join(), group.join()
    one.report(3)
    child = os.fork()
    if not child:
        other.report(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert group.surplus(0) == 2


@pytest.fixture
def server(database: Database, tmp_path: Path) -> Iterator[Server]:
    with gunicorn(database.url, tmp_path / "data", workers=2) as running:
        yield running


@pytest.mark.slow
def test_bursts_of_connections_do_not_land_in_one_process(server: Server) -> None:
    """As a rule: on a machine where nothing is left for the other process for a while, one takes all."""
    until = time.monotonic() + 60
    while min(_burst(server), default=0) == 0:  # not all of them have begun
        assert time.monotonic() < until
    shared = sum(min(_burst(server)) > 0 for _ in range(20))
    assert shared >= 10


def _burst(server: Server) -> list[int]:
    """How many of CLIENTS connections, made at once, each process has taken."""
    with ExitStack() as stack:
        for connection in [stack.enter_context(server.connect()) for _ in range(CLIENTS)]:
            connection.sendall(PROBE)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        counts = [_connections(pid, server.port) for pid in _children(server.process.pid)]
    assert sum(counts) == CLIENTS
    return counts


def _children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def _connections(pid: int, port: int) -> int:
    """How many clients of `port` are connected to a process."""
    ours = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == _ESTABLISHED
    }
    links = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return sum(link.removeprefix("socket:[").removesuffix("]") in ours for link in links)


_ESTABLISHED = "01"
