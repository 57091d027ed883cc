"""The decoder processes of a gateway under gunicorn: when they come, when they go, and who outlives whom."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import samples
from tests.dicomweb.multiparts import stow_body
from tests.dicomweb.servers import Server, gunicorn
from tests.unit.dicom.rle_frames import rle_frame
from vna.index.database import Database

pytestmark = pytest.mark.slow

UIDS = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "SOPInstanceUID": "1.2.3.4"}
PATH = "studies/1.2/series/1.2.3/instances/1.2.3.4"
PIXELS = bytes(range(16))
NATIVE = {"Accept": f"application/dicom; transfer-syntax={samples.EXPLICIT}"}


@pytest.fixture
def server(database: Database, tmp_path: Path) -> Iterator[Server]:
    with gunicorn(database.url, tmp_path / "data") as running:
        store(running)
        yield running


def store(server: Server) -> None:
    """Store a compressed image."""
    image: dict[str, Any] = {**UIDS, **samples.image()}
    frame = rle_frame(PIXELS, 4, 4, 8)
    file = samples.encapsulated([[frame]], transfer_syntax_uid=samples.RLE, **image)
    data, content_type = stow_body(file)
    headers = {"Content-Type": content_type}
    answer = requests.post(f"{server.url}/studies", data=data, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text


def decode(server: Server) -> None:
    """Have it decoded."""
    answer = requests.get(f"{server.url}/{PATH}", headers=NATIVE, timeout=60)
    assert answer.status_code == 200, answer.text
    assert PIXELS in answer.content


def children(process_id: int) -> list[int]:
    """The processes that `process_id` has started and that run; one that has ended has no command line."""
    tasks = Path(f"/proc/{process_id}/task").glob("*/children")
    started = [int(word) for task in tasks for word in task.read_text().split()]
    return [child for child in started if command_line(child)]


def command_line(process_id: int) -> bytes:
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def decoders(server: Server) -> tuple[int, int, int]:
    """A worker, the host that it has started, and the decoder."""
    (worker,) = children(server.process.pid)
    (host,) = children(worker)
    (decoder,) = children(host)
    return worker, host, decoder


@contextmanager
def ends(*process_ids: int) -> Iterator[None]:
    """Check that all of them end, after what is done inside."""
    watched = [os.pidfd_open(process_id) for process_id in process_ids]
    yield
    for descriptor, process_id in zip(watched, process_ids, strict=True):
        assert select.select([descriptor], [], [], 60.0)[0], f"{process_id} still runs"
        os.close(descriptor)


def test_they_come_with_the_first_image_that_is_decoded(server: Server) -> None:
    (worker,) = children(server.process.pid)
    assert children(worker) == []
    decode(server)
    first = decoders(server)
    decode(server)
    assert decoders(server) == first


@pytest.mark.parametrize("victim", ["decoder", "host", "worker"])
def test_one_that_is_killed_is_replaced_and_leaves_nobody(server: Server, victim: str) -> None:
    decode(server)
    worker, host, decoder = decoders(server)
    ending = {"decoder": (decoder,), "host": (decoder, host), "worker": (decoder, host, worker)}
    with ends(*ending[victim]):
        os.kill(ending[victim][-1], signal.SIGKILL)
    decode(server)
    assert decoders(server)[2] != decoder


def test_they_are_let_go_when_nothing_is_to_be_decoded(database: Database, tmp_path: Path) -> None:
    variables = {"VNA__DECODING__IDLE_SECONDS": "3"}
    with gunicorn(database.url, tmp_path / "data", variables=variables) as server:
        store(server)
        decode(server)
        worker, host, decoder = decoders(server)
        with ends(host, decoder):
            pass
        assert children(worker) == []
        decode(server)


def test_they_end_with_the_gateway(database: Database, tmp_path: Path) -> None:
    with gunicorn(database.url, tmp_path / "data") as server:
        store(server)
        decode(server)
        with ends(*decoders(server)):
            server.process.terminate()


def test_an_interrupt_and_a_termination_of_all_leave_them_to_their_gateway(server: Server) -> None:
    decode(server)
    _, host, decoder = before = decoders(server)
    for process_id in (host, decoder):
        os.kill(process_id, signal.SIGTERM)
        os.kill(process_id, signal.SIGINT)
    decode(server)
    assert decoders(server) == before
