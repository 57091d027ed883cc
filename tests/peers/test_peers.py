"""The other archives start, do each kind of work, are accounted for, and are gone afterwards."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.benchmarks import peer_tasks, raw_sink
from tests.benchmarks.objects import small
from tests.benchmarks.peer_rows import tasks
from tests.benchmarks.peer_run import Run
from tests.benchmarks.peer_tasks import Size
from tests.e2e.process import free_port
from tests.peers import dcmqrscp, namespace, orthanc, usage
from tests.peers.dcmqrscp import running_dcmqrscp
from tests.peers.namespace import private_network
from tests.peers.orthanc import OrthancSettings, running_orthanc
from tests.peers.peer import LOOPBACK, Modalities, Peer, PeerFailed, serving

SIZE = Size(rounds=1, ct=8, small=8, large=(4, 4, 4), studies=16, repeats=3)
LARGE = {"long", "ultrasound", "frames"}
"""Studies over whose rows a peer may take minutes: of the brief form the others show each kind of work."""
Running = Callable[[Path, Modalities], AbstractContextManager[Peer]]

possible = pytest.mark.skipif(
    not namespace.is_possible(),
    reason="network namespaces need root, and a system that allows them",
)
with_orthanc = pytest.mark.skipif(
    bool(orthanc.missing()), reason=f"to be installed: apt-get install {orthanc.missing()}"
)
with_dcmtk = pytest.mark.skipif(
    bool(dcmqrscp.missing()), reason=f"to be installed: apt-get install {dcmqrscp.missing()}"
)


def sqlite_orthanc(folder: Path, modalities: Modalities) -> AbstractContextManager[Peer]:
    settings = OrthancSettings(modalities=modalities, postgres=False, dicomweb=True)
    return running_orthanc(folder, settings)


def postgres_orthanc(folder: Path, modalities: Modalities) -> AbstractContextManager[Peer]:
    return running_orthanc(folder, OrthancSettings(modalities=modalities, dicomweb=True))


PEERS = [
    pytest.param(running_dcmqrscp, marks=with_dcmtk, id="dcmqrscp"),
    pytest.param(sqlite_orthanc, marks=with_orthanc, id="orthanc"),
]


@contextmanager
def running(start: Running, folder: Path) -> Iterator[Peer]:
    """The peer and a C-MOVE destination that it knows, in a network of their own."""
    with private_network():
        port = free_port()
        with (
            raw_sink.running_sink(port, folder / "sink.log"),
            start(folder / "peer", {raw_sink.AE_TITLE: (LOOPBACK, port)}) as peer,
        ):
            yield peer


@possible
@pytest.mark.slow
@pytest.mark.parametrize("start", PEERS)
@pytest.mark.parametrize(
    "skipped", [LARGE, pytest.param(set[str](), marks=pytest.mark.crash)], ids=["brief", "whole"]
)
def test_every_row_can_be_measured(start: Running, open_folder: Path, skipped: set[str]) -> None:
    with running(start, open_folder) as peer:
        chosen = [t for t in tasks() if not t.name.startswith("large") and t.is_for(peer)]
        chosen = [task for task in chosen if task.needs not in skipped]
        rows = list(Run([peer], SIZE, float("inf"), lambda _text: None).rows(chosen))
    assert [f"{row.work.key}: {row.failures}" for row in rows if row.failures] == []
    assert [row.work.key for row in rows if not row.figures[peer.name]] == []


@possible
@with_orthanc
def test_a_database_counts_among_the_processes_and_ends_with_them(open_folder: Path) -> None:
    with running(postgres_orthanc, open_folder) as peer:
        roots = peer.roots()
        commands = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in usage.tree(roots)]
        peer_tasks.store(small(), 8, 1, peer)
        address, http_port = peer.address, peer.http_port
        assert http_port is not None
        socket.create_connection((LOOPBACK, http_port), timeout=10).close()
    assert {"Orthanc", "postgres"} <= set(commands)
    assert usage.pss_bytes(roots) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=10)


@with_orthanc
def test_orthanc_is_not_started_in_the_open(tmp_path: Path) -> None:
    if namespace.is_private():
        pytest.skip("this machine has no network but the loopback interface")
    with pytest.raises(PeerFailed, match="private_network"), running_orthanc(tmp_path / "peer"):
        pass


def test_a_program_that_ends_at_once_is_told_of_with_its_log(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo it broke; exit 3"]
    with (
        pytest.raises(PeerFailed, match=r"ended with 3:\nit broke"),
        serving(command, free_port(), tmp_path / "log"),
    ):
        pass


@pytest.fixture
def open_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the account of Postgres may enter."""
    return tmp_path_factory.mktemp("peers")
