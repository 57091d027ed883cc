"""Frames: found in one round trip, read together, or left to the kernel to send."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import samples
from tests.services.conftest import Bench
from tests.services.test_spans import sent
from vna.errors import NotFound
from vna.index.frame_places import _WHOLE_BYTES
from vna.model.identifiers import InstanceUids
from vna.services.decoders import InProcess
from vna.services.frames import FrameService
from vna.services.spans import FileSpan

UIDS = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.2", "SOPInstanceUID": "1.3"}
NAMES = InstanceUids("1.1", "1.2", "1.3")
SIDE = 256


@pytest.fixture
def frames(bench: Bench) -> FrameService:
    return FrameService(bench.retrieve, bench.pixels, InProcess(), 2**24)


def jpegs(count: int, size: int = 100) -> list[list[bytes]]:
    return [[b"\xff\xd8" + n.to_bytes(4, "big") + bytes(size - 6)] for n in range(count)]


@pytest.fixture
def statements(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is asked of the database."""
    asked: list[object] = []
    database: Any = bench.index.frame_places._database
    attempt = database.attempt

    def counting(operation: Callable[[Any], object]) -> object:
        asked.append(operation)
        return attempt(operation)

    monkeypatch.setattr(database, "attempt", counting)
    return asked


@pytest.mark.parametrize("numbers", [[1], [7000], [3, 1, 3], list(range(1, 60))])
@pytest.mark.parametrize("count", [60, 10_000])
def test_one_round_trip_and_no_header(
    bench: Bench, frames: FrameService, statements: list[object], numbers: list[int], count: int
) -> None:
    """Of a long table only the entries asked for are fetched; more of them than a few bring all of it."""
    if max(numbers) > count:
        numbers = [count]
    stored = jpegs(count)
    bench.keep(samples.encapsulated(stored, **UIDS))  # type: ignore[arg-type]
    assert (8 * count > _WHOLE_BYTES) is (count > 60)
    statements.clear()
    found = frames.find(NAMES, numbers)
    given = list(frames.read(found, frames.syntaxes(found)[0]))
    assert len(statements) == 1
    assert [frame.number for frame in given] == numbers
    assert [frame.data for frame in given] == [stored[n - 1][0] for n in numbers]
    assert found.count == count


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_native_frames_in_any_order(bench: Bench, frames: FrameService, bits: int) -> None:
    data = samples.multiframe(9, rows=5, columns=7, bits=bits, **UIDS)
    bench.keep(data)
    instance = frames.find(NAMES, [1]).instance
    for numbers in ([1], [9], [2, 3, 4], [9, 1, 1, 5], list(range(9, 0, -1))):
        found = frames.find(NAMES, numbers)
        expected = [frame.data for frame in bench.pixels.frames(instance, numbers)]
        assert [frame.data for frame in frames.read(found, samples.EXPLICIT)] == expected


def test_neighbours_are_read_together(
    bench: Bench, frames: FrameService, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.keep(samples.multiframe(100, rows=8, columns=8, **UIDS))  # type: ignore[arg-type]
    reads: list[tuple[int, int | None]] = []
    opened = bench.retrieve.open

    def counting(instance: Any, *, start: int = 0, length: int | None = None) -> object:
        reads.append((start, length))
        return opened(instance, start=start, length=length)

    monkeypatch.setattr(bench.retrieve, "open", counting)
    found = frames.find(NAMES, [*range(1, 51), 99, 100, 60])
    assert len(list(frames.read(found, samples.EXPLICIT))) == 53
    assert [length for _, length in reads] == [50 * 64, 2 * 64, 64]


def test_what_is_not_there(bench: Bench, frames: FrameService) -> None:
    with pytest.raises(NotFound, match="no instance"):
        frames.find(NAMES, [1])
    bench.keep(samples.multiframe(3, **UIDS))  # type: ignore[arg-type]
    for number in (4, 2**27, 9_999_999_999, 0, -1, -(2**40)):
        with pytest.raises(NotFound, match=f"3 frames, no frame {number}"):
            frames.find(NAMES, [1, number])
    with pytest.raises(NotFound, match="no instance"):
        frames.find(InstanceUids("1.1", "1.9", "1.3"), [1])
    with pytest.raises(NotFound, match="no instance"):
        frames.find(InstanceUids("1.9", "1.2", "1.3"), [1])


def test_frame_0_of_a_long_table(bench: Bench, frames: FrameService) -> None:
    bench.keep(samples.encapsulated(jpegs(10_000), **UIDS))  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="10000 frames, no frame 0"):
        frames.find(NAMES, [0])


def test_a_part_of_a_long_table_is_read_without_the_rest(bench: Bench) -> None:
    """What is compressed has to be read, and decompressed, from its beginning on."""
    bench.keep(samples.encapsulated(jpegs(10_000), **UIDS))  # type: ignore[arg-type]
    with bench.index.frame_places._database.connection() as connection:
        row = connection.execute(
            "SELECT pg_column_size(frames) >= octet_length(frames) FROM instance"
        ).fetchone()
    assert row == (True,)


def files() -> Iterator[tuple[str, bytes, str]]:
    yield "native", samples.multiframe(3, rows=SIDE, columns=SIDE, **UIDS), samples.EXPLICIT  # type: ignore[arg-type]
    compressed = samples.encapsulated(jpegs(3, SIDE * SIDE), **UIDS)  # type: ignore[arg-type]
    yield "compressed", compressed, samples.JPEG_BASELINE


@pytest.mark.parametrize(("data", "syntax"), [x[1:] for x in files()], ids=[x[0] for x in files()])
def test_a_large_frame_is_a_part_of_a_file(
    bench: Bench, frames: FrameService, data: bytes, syntax: str
) -> None:
    bench.keep(data)
    found = frames.find(NAMES, [2])
    (expected,) = frames.read(found, syntax)
    spanned = frames.span(found, syntax)
    assert spanned is not None
    pieces, length = spanned
    piece = next(pieces)
    assert isinstance(piece, FileSpan)
    assert sent(piece) == expected.data
    assert length == len(expected.data) == piece.length
    pieces.close()
    with pytest.raises(OSError, match="descriptor"):
        os.pread(piece.fd, 1, 0)


@pytest.mark.parametrize(
    ("data", "numbers", "syntax"),
    [
        (samples.multiframe(3, rows=SIDE, columns=SIDE, **UIDS), [1, 2], samples.EXPLICIT),  # type: ignore[arg-type]
        (samples.multiframe(3, rows=SIDE, columns=SIDE, **UIDS), [1], samples.RLE),  # type: ignore[arg-type]
        (samples.multiframe(3, rows=8, columns=8, **UIDS), [1], samples.EXPLICIT),  # type: ignore[arg-type]
        (
            samples.multiframe(2, rows=1025, columns=1023, bits=1, **UIDS),
            [2],
            samples.EXPLICIT,
        ),
        (
            samples.encapsulated([[bytes(SIDE * SIDE), bytes(SIDE * SIDE)]], **UIDS),  # type: ignore[arg-type]
            [1],
            samples.JPEG_BASELINE,
        ),
        *(
            (
                samples.multiframe(
                    2,
                    rows=SIDE,
                    columns=SIDE,
                    bits=16,
                    transfer_syntax_uid=uid,
                    **UIDS,
                ),
                [1],
                samples.EXPLICIT,
            )
            for uid in (samples.BIG_ENDIAN, samples.DEFLATED)
        ),
    ],
    ids=["several", "another syntax", "small", "bits", "fragments", "big endian", "deflated"],
)
def test_what_does_not_lie_so_is_read(
    bench: Bench, frames: FrameService, data: bytes, numbers: list[int], syntax: str
) -> None:
    bench.keep(data)
    found = frames.find(NAMES, numbers)
    assert frames.span(found, syntax) is None
    assert len(list(frames.read(found, syntax))) == len(numbers)
