"""A spool that seals: what waits in its files is read by nobody else, and stored as it lies there."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from storage_backends.encryption import EncryptedBackend
from storage_backends.filesystem import FilesystemBackend
from storage_backends.memory import MemoryBackend
from storage_backends.testing import read, sample
from tests.backends.test_encrypted_contract import keyring
from vna.errors import OutOfSpace, Unavailable
from vna.model.instances import Location
from vna.services.storage import ObjectStore
from vna.spool import Spool, Spooled

BOUND = 100_000
MIB = 2**20


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A spool that keeps 100 000 bytes of an object in memory."""
    spool = Spool(tmp_path / "spool", BOUND, seals=True)
    yield spool
    spool.close()


def spooled_in(spool: Spool, data: bytes, piece: int = 16_384) -> Spooled:
    with spool.open() as writer:
        for start in range(0, len(data), piece):
            writer.write(data[start : start + piece])
        return writer.finish()


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


@pytest.mark.parametrize("size", [BOUND + 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 5])
@pytest.mark.parametrize("piece", [16_384, MIB, 2**22])
def test_what_was_written_can_be_read_in_every_way(spool: Spool, size: int, piece: int) -> None:
    data = sample(size)
    with spooled_in(spool, data, piece) as spooled:
        assert spooled.digest.value == blake3(data).hexdigest()
        assert spooled.data_key
        pieces = spooled.pieces()
        assert pieces is not None
        assert len(pieces) == size
        for span in (
            slice(0, 10),
            slice(70_000, 70_008),
            slice(5, size),
            slice(size - 3, size + 9),
        ):
            assert pieces[span] == data[span]
        assert spooled.first(600) == data[:600]
        with spooled.open() as one, spooled.open() as two:
            assert (one.read(10), two.read(), one.read()) == (data[:10], data, data[10:])
        spans = [(0, size), (132, size - 132), (7, 10**9)]
        expected = [blake3(data[start : start + length]).hexdigest() for start, length in spans]
        assert [digest.value for digest in spooled.digests(spans)] == expected
        for _ in range(2):
            with spooled.buffer() as view:
                assert view.readonly
                assert view == data


def test_small_objects_wait_in_memory_as_ever(spool: Spool) -> None:
    with spooled_in(spool, b"small") as spooled:
        assert (spooled.path, spooled.data_key, spooled.pieces()) == (None, b"", None)
        assert spooled.first(3) == b"sma"


def test_nothing_on_the_disk_can_be_read(spool: Spool, tmp_path: Path) -> None:
    data = b"Doe^Jane" * 400_000
    with spooled_in(spool, data) as spooled:
        (path,) = files_below(tmp_path)
        assert path == spooled.path
        assert b"Doe^Jane" not in path.read_bytes()
        assert spooled.data_key not in path.read_bytes()
        with spooled.buffer() as view:
            assert view == data
            assert files_below(tmp_path) == [path], "it is written to a file without a name"
    assert files_below(tmp_path) == []


def test_what_a_killed_process_leaves_is_sealed_and_swept(spool: Spool, tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from vna.spool import Spool\n"
        "w = Spool(Path(sys.argv[1]), 0, seals=True).open(); w.write(b'Doe^Jane' * 400000)\n"
        "w.finish().buffer().__enter__(); os.kill(os.getpid(), 9)"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "spool")], cwd=Path(__file__).parents[2]
    )
    (left,) = files_below(tmp_path)
    assert left.stat().st_size > 3_000_000
    assert b"Doe^Jane" not in left.read_bytes()
    assert spool.sweep() == 1


def test_who_only_looks_at_bytes_gets_them_in_one_piece(spool: Spool) -> None:
    with spool.open_plain() as writer:
        writer.write(sample(2 * MIB))
        with writer.finish() as spooled:
            assert (spooled.data_key, spooled.pieces()) == (b"", None)
            assert spooled.path is not None
            assert spooled.path.read_bytes() == sample(2 * MIB)


def test_an_unfinished_writer_leaves_nothing(spool: Spool, tmp_path: Path) -> None:
    with spool.open() as writer:
        writer.write(sample(3 * MIB))
        assert len(files_below(tmp_path)) == 1
    assert files_below(tmp_path) == []


def test_a_file_that_somebody_changed_is_no_object(spool: Spool) -> None:
    with spooled_in(spool, sample(3 * MIB)) as spooled:
        assert spooled.path is not None
        with spooled.path.open("r+b") as file:
            file.seek(2 * MIB)
            file.write(b"other")
        with pytest.raises(Unavailable, match="changed a file of the spool"):
            spooled.digest_of(1, spooled.size)
        with pytest.raises(Unavailable, match="changed"), spooled.buffer():
            pass


def test_no_room_for_the_plain_bytes_is_reported(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with spooled_in(spool, sample(3 * MIB)) as spooled:
        monkeypatch.setattr(os, "write", fail)
        with pytest.raises(OutOfSpace), spooled.buffer():
            pass
        monkeypatch.undo()
        assert len(files_below(tmp_path)) == 1
        with spooled.buffer() as view:
            assert view == sample(3 * MIB)


def test_a_large_object_needs_little_memory(spool: Spool) -> None:
    piece = memoryview(bytes(16_384))
    tracemalloc.start()
    try:
        with spool.open() as writer:
            for _ in range(64 * 32):
                writer.write(piece)
            with writer.finish() as spooled:
                spooled.digests([(132, spooled.size - 132), (2000, 10**9)])
                with spooled.buffer() as view:
                    assert len(view) == 32 * MIB
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB


def test_it_becomes_an_object_by_its_name_alone(spool: Spool, tmp_path: Path) -> None:
    inner = FilesystemBackend(tmp_path / "objects", "sealed")
    plain = FilesystemBackend(tmp_path / "plain", "plain")
    objects = ObjectStore(
        {"sealed": EncryptedBackend(inner, keyring("one")), "plain": plain}, "sealed"
    )
    data = sample(3 * MIB + 5)
    with spooled_in(spool, data) as spooled:
        assert spooled.path is not None
        inode = spooled.path.stat().st_ino
        place, copy = (Location(name, "a.dcm", 0, len(data)) for name in ("sealed", "plain"))
        objects.keep(spooled, copy)
        objects.keep(spooled, place)
        assert inode in {path.stat().st_ino for path in files_below(tmp_path / "objects")}
        assert spooled.digest_of(5, MIB).value == blake3(data[5 : 5 + MIB]).hexdigest()
    for one in (place, copy):
        with objects.open(one) as reader:
            assert reader.read() == data
    assert read(plain, "a.dcm") == data
    objects.close()


def test_a_plain_file_is_encrypted_as_it_is_read(tmp_path: Path) -> None:
    inner = MemoryBackend()
    objects = ObjectStore({"sealed": EncryptedBackend(inner, keyring("one"))}, "sealed")
    spool = Spool(tmp_path, BOUND)
    with spooled_in(spool, sample(2 * MIB)) as spooled:
        place = Location("sealed", "a.dcm", 0, spooled.size)
        objects.keep(spooled, place)
    with objects.open(place) as reader:
        assert reader.read() == sample(2 * MIB)
    spool.close()
