"""A header that is read slice by slice is the one that is read from the whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import samples
from tests.samples import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, corpus_files, pydicom_files
from vna.dicom import header as header_module
from vna.dicom import pixel_layout
from vna.dicom.header import Header, HeaderReader, read_header, read_held
from vna.errors import InvalidInstance

FRAGMENTS = [[bytes([number]) * 700, b"\xff\xd8\xff" * 100] for number in range(20)]
BEHIND = b"\xfc\xff\xfc\xff" + b"OB\0\0" + (20).to_bytes(4, "little") + bytes(20)


class InPieces:
    """An object that remembers what was asked of it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.slices: list[int] = []
        self.was_whole = False

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, span: slice, /) -> bytes:
        found = self.data[span]
        self.slices.append(len(found))
        return found

    def pieces(self) -> InPieces:
        return self

    @contextmanager
    def buffer(self) -> Iterator[memoryview]:
        self.was_whole = True
        yield memoryview(self.data)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is small counts as large here."""
    monkeypatch.setattr(header_module, "_FIRST_BYTES", (512, 2**14))
    monkeypatch.setattr(pixel_layout, "_MAX_TAIL_BYTES", 4096)


def told(data: bytes) -> Header | str:
    try:
        return read_header(data)
    except InvalidInstance as exc:
        return str(exc)


def told_in_pieces(held: InPieces) -> Header | str:
    try:
        return read_held(held)
    except InvalidInstance as exc:
        return str(exc)


@pytest.mark.parametrize(
    "data",
    [
        *(samples.ct(rows=64, transfer_syntax_uid=uid) for uid in (EXPLICIT, IMPLICIT, BIG_ENDIAN)),
        samples.encapsulated(FRAGMENTS),
        samples.encapsulated(FRAGMENTS, table=b""),
        samples.ct(rows=64) + BEHIND,
        samples.ct(rows=64)[:-1000],
    ],
    ids=["explicit", "implicit", "big endian", "fragments", "no table", "tail", "cut off"],
)
def test_the_first_bytes_and_a_few_more_will_do(data: bytes) -> None:
    held = InPieces(data)
    assert read_held(held) == read_header(data)
    assert not held.was_whole
    assert max(held.slices) <= 2**14


@pytest.mark.parametrize(
    "data",
    [
        samples.ct(rows=64, transfer_syntax_uid=DEFLATED),
        samples.ct(rows=64)[132:],
        samples.small(PatientComments="no pixel data"),
        samples.ct(rows=64, ImageComments="x" * 2**14),
        samples.ct(rows=8) + BEHIND[:8] + (5000).to_bytes(4, "little") + bytes(5000),
    ],
    ids=["deflated", "no preamble", "no pixel data", "long header", "long tail"],
)
def test_in_doubt_the_whole_is_read(data: bytes) -> None:
    held = InPieces(data)
    assert told_in_pieces(held) == told(data)
    assert held.was_whole


def test_real_files_have_the_same_header_in_pieces() -> None:
    headers = HeaderReader()
    in_pieces = 0
    for path in (*pydicom_files(), *corpus_files()):
        held = InPieces(path.read_bytes())
        expected = told(held.data)
        assert told_in_pieces(held) == expected, path
        if isinstance(expected, Header):
            assert headers.read_held(InPieces(held.data)) == expected, path
        in_pieces += not held.was_whole
    assert in_pieces > 20


DAMAGED = [samples.ct(rows=8, transfer_syntax_uid=uid) for uid in (EXPLICIT, IMPLICIT, BIG_ENDIAN)]
DAMAGED += [samples.encapsulated(FRAGMENTS), samples.ct(rows=8) + BEHIND]


@given(
    base=st.sampled_from(DAMAGED),
    changes=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 3000),
    first=st.integers(200, 2**14),
)
@settings(max_examples=120, deadline=None, database=None)
def test_whatever_is_damaged_reads_the_same_in_pieces(
    base: bytes, changes: list[tuple[int, int]], cut: int, first: int
) -> None:
    data = bytearray(base[: len(base) - cut])
    for at, value in changes:
        data[at % len(data)] = value
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(header_module, "_FIRST_BYTES", (first, 2**14))
        assert told_in_pieces(InPieces(bytes(data))) == told(bytes(data))
