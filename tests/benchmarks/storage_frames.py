"""One frame out of many, fetched from a bucket: the last ones must not cost more than the first."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import peer_fills, peer_tasks, raw_http, web_tasks
from tests.benchmarks.raw_http import RawHttp
from tests.benchmarks.report import Row
from tests.benchmarks.storage_stores import bucket_variables
from tests.peers.archive import running_archive_peer
from tests.peers.peer import Peer
from tests.s3_server import running_s3

FRAMES = "frames"
_NUMBERS = (1, 300)
_FRAME_BYTES = 256 * 512


def from_bucket(folder: Path, short: bool) -> Iterator[Row]:
    """Frame 1 and frame 300 of an object of 500 frames, in turns, by one client."""
    (folder / "s3").mkdir()
    with (
        running_s3(folder / "s3") as server,
        running_archive_peer(folder / "bucket", environment=bucket_variables(server)) as peer,
    ):
        list(peer_fills.fill_frames(peer, peer_tasks.SHORT))
        first, later = _medians(peer, 5 if short else 200)
    name = "frame 300 of 500 from S3, median"
    yield Row(name, later, "ms", "frame 1", first, "<= 1.5 x")


def _medians(peer: Peer, repeats: int) -> list[float]:
    """Milliseconds for each of them."""
    times: dict[int, list[float]] = {frame: [] for frame in _NUMBERS}
    with RawHttp(web_tasks.address(peer)) as connection:
        for number in range(repeats + 1):
            for frame in _NUMBERS[:: 1 if number % 2 else -1]:
                request = web_tasks.frame_of_many(frame)(number, peer_tasks.SHORT, peer)
                started = time.perf_counter()
                raw_http.expect(connection.ask(request), (200,), _FRAME_BYTES)
                times[frame].append((time.perf_counter() - started) * 1000)
    return [statistics.median(times[frame][1:]) for frame in _NUMBERS]
