"""Bounded inflation."""

from __future__ import annotations

import gzip
import zlib

import pytest

from tests.samples import deflate
from vna.dicom.deflate import inflate, inflated_object

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
