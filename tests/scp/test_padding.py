"""A deflated dataset of odd length gets its padding byte when a try was in vain."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest

from vna.dicom.syntaxes import DEFLATED_EXPLICIT_VR, EXPLICIT_VR_LITTLE_ENDIAN
from vna.dimse.fragments import Data, Reader
from vna.scp.padding import for_another_try
from vna.scp.rendition import Payload


def contents(data: Data) -> bytes:
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    if isinstance(data, Reader):
        return data.read(-1)
    assert isinstance(data, Iterable)
    return b"".join(bytes(piece) for piece in data)


def forms(data: bytes) -> list[Data]:
    return [data, memoryview(data), io.BytesIO(data), [data[:1], data[1:]]]


@pytest.mark.parametrize("form", range(4))
@pytest.mark.parametrize(("data", "expected"), [(b"abc", b"abc\0"), (b"abcd", b"abcd")])
def test_the_second_try_is_even(form: int, data: bytes, expected: bytes) -> None:
    payload = for_another_try(Payload(forms(data)[form]), DEFLATED_EXPLICIT_VR, 1)
    assert contents(payload.data) == expected


@pytest.mark.parametrize("form", range(4))
@pytest.mark.parametrize(
    ("syntax", "tries"), [(DEFLATED_EXPLICIT_VR, 0), (EXPLICIT_VR_LITTLE_ENDIAN, 2)]
)
def test_anything_else_goes_as_it_is(form: int, syntax: str, tries: int) -> None:
    payload = Payload(forms(b"abc")[form])
    assert for_another_try(payload, syntax, tries) is payload


def test_what_was_opened_is_closed() -> None:
    closed: list[bool] = []
    payload = Payload(io.BytesIO(b"abc"), lambda: closed.append(True))
    for_another_try(payload, DEFLATED_EXPLICIT_VR, 1).close()
    assert closed == [True]
