"""Bounded inflation."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable

import pytest

from tests.samples import deflate
from vna.dicom.deflate import inflate, inflated_object
from vna.dicom.inflation import inflated_pieces

TEXT = bytes(range(256)) * 1000


@pytest.mark.parametrize("packed", [deflate(TEXT), zlib.compress(TEXT), gzip.compress(TEXT)])
def test_every_wrapping_is_inflated(packed: bytes) -> None:
    result = inflate(b"HEAD" + packed, 4)
    assert result.data == TEXT
    assert result.is_whole
    assert not result.is_damaged


def test_the_limit_holds() -> None:
    result = inflate(deflate(bytes(50 * 2**20)), 0, limit=1000)
    assert result.data == bytes(1000)
    assert not result.is_whole
    assert not result.is_damaged


def test_a_cut_stream_gives_what_it_holds() -> None:
    packed = deflate(TEXT)
    result = inflate(packed[: len(packed) // 2], 0)
    assert TEXT.startswith(result.data)
    assert result.data
    assert result.is_damaged


def test_what_is_no_deflate_stream() -> None:
    result = inflate(b"\xff" * 100, 0)
    assert result.data == b""
    assert result.is_damaged


def test_positions_fit_the_inflated_object() -> None:
    assert inflated_object(b"HEAD" + deflate(TEXT), 4) == b"HEAD" + TEXT


def broken(text: bytes) -> bytes:
    """A stream that is in order up to the end of `text`, and then goes on with a block of no kind."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH) + b"\xff" * 40


@pytest.mark.parametrize("size", [1, 1000, 65_535, 65_537, len(TEXT)])
@pytest.mark.parametrize("room", [2**26, 70_000, 100])
def test_what_comes_before_the_damage_is_not_lost(size: int, room: int) -> None:
    result = inflate(broken(TEXT[:size]), 0, room)
    assert TEXT[:size].startswith(result.data)
    assert len(result.data) >= min(size - 1, room)
    assert not result.is_whole
    assert result.is_damaged == (size < room)


def test_damage_behind_what_expands_much_costs_little() -> None:
    result = inflate(broken(bytes(2**24)), 0, 2**26)
    assert result.data == bytes(2**24 - 1)
    assert result.is_damaged


@pytest.mark.parametrize("pack", [deflate, zlib.compress, gzip.compress, broken])
@pytest.mark.parametrize("size", [100, 65_536, 2**20])
def test_pieces_are_inflated_as_the_whole(pack: Callable[[bytes], bytes], size: int) -> None:
    packed = pack(random.Random(1).randbytes(200_000))
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert b"".join(inflated_pieces(pieces)) == inflate(packed, 0).data
