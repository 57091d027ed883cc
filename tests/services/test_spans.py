"""Objects that the kernel sends: the same bytes, and verified like all others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage_backends.memory import MemoryBackend
from tests import samples
from tests.services.conftest import Bench, make_bench
from vna.errors import Corrupt
from vna.index.database import Database
from vna.model.identifiers import Selection
from vna.model.instances import StoredInstance
from vna.services.spans import FileSpan, Piece

SMALL = {"rows": 64, "columns": 64}
LARGE = {"rows": 2048, "columns": 2048}


def kept(bench: Bench, data: bytes) -> StoredInstance:
    uid = bench.keep(data).uids.sop_instance_uid
    (instance,) = bench.retrieve.select(Selection(sop_instance_uids=(uid,)))
    return instance


def sent(piece: Piece) -> bytes:
    if isinstance(piece, bytes):
        return piece
    return os.pread(piece.fd, piece.length, piece.offset)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_the_same_bytes_as_when_they_are_read(bench: Bench, size: dict[str, int]) -> None:
    data = samples.ct(**size)  # type: ignore[arg-type]
    pieces, length = bench.retrieve.part10_pieces(kept(bench, data))
    found = [(piece, sent(piece)) for piece in pieces]
    assert b"".join(part for _, part in found) == data
    assert length == len(data)
    assert all(isinstance(piece, FileSpan) for piece, _ in found)


@pytest.mark.parametrize("rows", [16, 2048])
def test_a_head_of_ours_stands_in_front_of_a_bare_dataset(bench: Bench, rows: int) -> None:
    elements = (
        samples.identity()
        | samples.image()
        | {"PixelData": samples.Typed("OW", bytes(rows * 4096))}
    )
    instance = kept(bench, samples.dataset(elements))
    pieces, length = bench.retrieve.part10_pieces(instance)
    found = b"".join(map(sent, pieces))
    reader, expected_length = bench.retrieve.open_part10(instance)
    with reader:
        expected = b""
        while chunk := reader.read(2**20):
            expected += chunk
    assert found == expected
    assert length == expected_length == len(found)


def damage(bench: Bench, position: int) -> None:
    (path,) = [path for path in bench.store_directory.rglob("*.dcm") if path.is_file()]
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(position)
        file.write(b"\xaa\x55")


def test_of_a_small_object_that_is_damaged_nothing_is_sent(bench: Bench) -> None:
    instance = kept(bench, samples.ct(**SMALL))  # type: ignore[arg-type]
    damage(bench, -100 + instance.location.length)
    pieces, _ = bench.retrieve.part10_pieces(instance)
    with pytest.raises(Corrupt, match="damaged"):
        next(pieces)


def test_of_a_large_object_that_is_damaged_the_end_is_not_sent(bench: Bench) -> None:
    instance = kept(bench, samples.ct(**LARGE))  # type: ignore[arg-type]
    damage(bench, 1000)
    pieces, length = bench.retrieve.part10_pieces(instance)
    received = 0
    with pytest.raises(Corrupt, match="damaged"):
        for piece in pieces:
            received += len(sent(piece))
    assert 0 < received < length


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_an_object_that_was_cut_short(bench: Bench, size: dict[str, int]) -> None:
    instance = kept(bench, samples.ct(**size))  # type: ignore[arg-type]
    (path,) = [path for path in bench.store_directory.rglob("*.dcm") if path.is_file()]
    path.chmod(0o600)
    os.truncate(path, instance.location.length - 10)
    with pytest.raises(Corrupt):
        for piece in bench.retrieve.part10_pieces(instance)[0]:
            sent(piece)


def test_closing_the_pieces_closes_the_file(bench: Bench) -> None:
    pieces, _ = bench.retrieve.part10_pieces(kept(bench, samples.ct(**LARGE)))  # type: ignore[arg-type]
    piece = next(pieces)
    assert isinstance(piece, FileSpan)
    pieces.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(piece.fd)


def test_what_lies_in_no_file_comes_as_bytes(database: Database, tmp_path: Path) -> None:
    bench = make_bench(database, MemoryBackend(), tmp_path / "spool")
    data = samples.ct(**SMALL)  # type: ignore[arg-type]
    pieces, length = bench.retrieve.part10_pieces(kept(bench, data))
    found = list(pieces)
    assert all(isinstance(piece, bytes) for piece in found)
    assert b"".join(map(sent, found)) == data
    assert length == len(data)
