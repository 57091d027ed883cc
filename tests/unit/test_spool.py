"""The spool: memory up to a bound, then a file; digests; nothing left behind."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from storage_backends.base import SupportsAdopt
from storage_backends.filesystem import FilesystemBackend
from storage_backends.testing import read, sample
from vna import spool as spool_module
from vna import spooled as spooled_module
from vna.errors import OutOfSpace, Unavailable
from vna.memory_budget import BLOCK
from vna.spool import Spool, Spooled

BOUND = 100_000


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """A spool that keeps 100 000 bytes of an object in memory."""
    return Spool(tmp_path / "spool", BOUND)


def _spooled(spool: Spool, data: bytes, piece: int = 16_384) -> Spooled:
    with spool.open() as writer:
        for start in range(0, len(data), piece):
            writer.write(data[start : start + piece])
        return writer.finish()


def _files(tmp_path: Path) -> list[Path]:
    return [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]


@pytest.mark.parametrize("size", [0, 1, BOUND, BOUND + 1, 2**20, 3 * 2**20 + 5])
@pytest.mark.parametrize("piece", [977, 16_384, 2**22])
def test_what_was_written_can_be_read_in_every_way(spool: Spool, size: int, piece: int) -> None:
    data = sample(size)
    with _spooled(spool, data, piece) as spooled:
        assert spooled.size == size
        assert (spooled.path is None) == (size <= BOUND)
        assert spooled.digest.value == blake3(data).hexdigest()
        with spooled.buffer() as view:
            assert view.readonly
            assert bytes(view) == data
        with spooled.open() as one, spooled.open() as two:
            assert one.read(10) == data[:10]
            assert two.read() == data
            assert one.read() == data[10:]
            assert one.read() == b""
            assert (one.seek(-min(5, size), os.SEEK_END), one.read(3)) == (
                max(0, size - 5),
                data[-5:][:3],
            )
            one.seek(0)
            target = bytearray(7)
            count = one.readinto(target)  # type: ignore[attr-defined]
            assert bytes(target[:count]) == data[:7]


@given(
    pieces=st.lists(st.binary(max_size=400), max_size=20),
    spans=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), max_size=5),
    bound=st.integers(0, 2000),
    chunk=st.integers(1, 700),
)
@settings(max_examples=60, deadline=None, database=None)
def test_any_pieces_and_spans_give_the_digests_of_the_bytes(
    pieces: list[bytes],
    spans: list[tuple[int, int]],
    bound: int,
    chunk: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data = b"".join(pieces)
    spool = Spool(tmp_path_factory.getbasetemp() / "hypothesis", bound)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool_module, "CHUNK", chunk)
        patch.setattr(spooled_module, "CHUNK", chunk)
        with spool.open() as writer:
            for number, piece in enumerate(pieces):
                writer.write((bytes, bytearray, memoryview)[number % 3](piece))
            spooled = writer.finish()
        with spooled, spooled.buffer() as view:
            assert bytes(view) == data
            expected = [blake3(data[start : start + length]).hexdigest() for start, length in spans]
            assert [digest.value for digest in spooled.digests(spans)] == expected
            for (start, length), value in zip(spans, expected, strict=True):
                assert spooled.digest_of(start, length).value == value
    spool.close()


def test_files_go_with_the_spooled_object(spool: Spool, tmp_path: Path) -> None:
    spooled = _spooled(spool, sample(BOUND + 1))
    assert _files(tmp_path) == [spooled.path]
    spooled.close()
    spooled.close()
    assert _files(tmp_path) == []
    with pytest.raises(ValueError, match="closed"):
        spooled.open()


def test_an_unfinished_writer_leaves_nothing(spool: Spool, tmp_path: Path) -> None:
    with spool.open() as writer:
        writer.write(sample(3 * 2**20))
        assert len(_files(tmp_path)) == 1
    assert _files(tmp_path) == []
    writer.abort()
    with pytest.raises(ValueError, match="finished"):
        writer.write(b"x")
    with pytest.raises(ValueError, match="finished"):
        writer.finish()


def test_a_finished_writer_takes_no_more(spool: Spool) -> None:
    writer = spool.open()
    writer.write(b"x")
    with writer.finish() as spooled:
        with pytest.raises(ValueError, match="finished"):
            writer.write(b"y")
        writer.abort()
        assert spooled.open().read() == b"x"


def test_pieces_may_be_reused_by_the_caller(spool: Spool) -> None:
    scratch = bytearray(b"aaaa")
    with spool.open() as writer:
        writer.write(memoryview(scratch))
        scratch[:] = b"bbbb"
        writer.write(memoryview(scratch))
        scratch[:] = b"cccc"
        with writer.finish() as spooled:
            assert spooled.open().read() == b"aaaabbbb"


def test_a_slice_that_outlives_the_buffer_does_no_harm(spool: Spool) -> None:
    data = sample(BOUND + 1)
    with _spooled(spool, data) as spooled:
        with spooled.buffer() as view:
            kept = view[10:20]
        assert bytes(kept) == data[10:20]


def test_an_adopted_file_stays_readable_and_is_not_removed(spool: Spool, tmp_path: Path) -> None:
    data = sample(3 * 2**20)
    backend = FilesystemBackend(tmp_path / "objects")
    assert isinstance(backend, SupportsAdopt)
    with _spooled(spool, data) as spooled:
        assert spooled.path is not None
        inode = spooled.path.stat().st_ino
        backend.adopt("a.dcm", spooled.path, size=spooled.size, digest=spooled.digest)
        assert spooled.digest_of(5, 2**21).value == blake3(data[5 : 5 + 2**21]).hexdigest()
        with spooled.buffer() as view:
            assert bytes(view) == data
        assert spooled.open().read() == data
    assert read(backend, "a.dcm") == data
    assert (tmp_path / "objects" / "a.dcm").stat().st_ino == inode
    backend.close()


def test_memory_is_put_without_a_copy(spool: Spool, tmp_path: Path) -> None:
    backend = FilesystemBackend(tmp_path / "objects")
    data = sample(BOUND)
    with _spooled(spool, data) as spooled, spooled.open() as source:
        backend.put("a.dcm", source, size=spooled.size, digest=spooled.digest)
        assert source.tell() == BOUND
    assert read(backend, "a.dcm") == data
    backend.close()


def test_a_large_object_needs_little_memory(spool: Spool) -> None:
    piece = memoryview(bytes(16_384))
    tracemalloc.start()
    try:
        with spool.open() as writer:
            for _ in range(64 * 64):
                writer.write(piece)
            with writer.finish() as spooled:
                spooled.digests([(132, spooled.size - 132), (2000, 10**9)])
                with spooled.open() as source:
                    while source.read(2**20):
                        pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert spooled.size == 64 * 2**20
    assert peak < 8 * 2**20


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.ENOSPC, OutOfSpace),
        (errno.EDQUOT, OutOfSpace),
        (errno.EIO, Unavailable),
        (errno.EROFS, OutOfSpace),
    ],
)
def test_a_failing_disk_is_reported_and_nothing_stays(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, error: type[Exception]
) -> None:
    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    writer = spool.open()
    writer.write(sample(BOUND))
    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(Unavailable) as caught:
        writer.write(sample(2**20))
    assert type(caught.value) is error
    monkeypatch.undo()
    assert _files(tmp_path) == []
    with _spooled(spool, b"next") as spooled:
        assert spooled.size == 4


def test_a_directory_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spool = Spool(tmp_path / "file" / "spool", 0)
    with pytest.raises(Unavailable), spool.open() as writer:
        writer.write(b"x")
    with pytest.raises(Unavailable):
        spool.sweep()


def test_a_sweep_removes_what_dead_processes_left_and_only_that(
    spool: Spool, tmp_path: Path
) -> None:
    program = (
        "import os, sys; from pathlib import Path; from vna.spool import Spool\n"
        "w = Spool(Path(sys.argv[1]), 0).open(); w.write(b'x' * 2**21); os.kill(os.getpid(), 9)"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "spool")],
        cwd=Path(__file__).parents[2],
    )
    dead = _files(tmp_path)
    assert len(dead) == 1
    with _spooled(spool, sample(BOUND + 1)) as mine:
        assert Spool(tmp_path / "spool", 0).sweep() == 1
        assert _files(tmp_path) == [mine.path]
    assert spool.sweep() == 0
    spool.close()
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_sweep_of_a_spool_that_was_never_used_finds_nothing(tmp_path: Path) -> None:
    assert Spool(tmp_path / "never", 0).sweep() == 0


def test_all_objects_together_hold_no_more_memory_than_the_process_may(tmp_path: Path) -> None:
    spool = Spool(tmp_path, memory_bytes=4 * BLOCK, process_memory_bytes=5 * BLOCK)
    writers = [spool.open() for _ in range(3)]
    for writer in writers:
        writer.write(bytes(2 * BLOCK))
    finished = [writer.finish() for writer in writers]
    assert [item.path is None for item in finished] == [True, True, False]
    assert all(item.size == 2 * BLOCK for item in finished)
    finished[0].close()
    finished[0].close()
    with spool.open() as writer:
        writer.write(bytes(3 * BLOCK))
        with writer.finish() as again:
            assert again.path is None, "what was closed makes room, once"
    assert spool.budget.left == 3 * BLOCK
    for item in finished:
        item.close()
    assert spool.budget.left == 5 * BLOCK
    spool.close()


def test_what_outgrows_its_memory_or_is_aborted_gives_it_back(tmp_path: Path) -> None:
    spool = Spool(tmp_path, memory_bytes=2 * BLOCK, process_memory_bytes=4 * BLOCK)
    with spool.open() as grown:
        grown.write(bytes(2 * BLOCK))
        grown.write(bytes(2**20))
        assert spool.budget.left == 4 * BLOCK
        grown.write(b"end")
        with grown.finish() as item:
            assert item.size == 2 * BLOCK + 2**20 + 3
    with spool.open() as aborted:
        aborted.write(b"some")
    assert spool.budget.left == 4 * BLOCK
    spool.close()
