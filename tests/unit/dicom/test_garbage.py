"""Whatever the bytes are: a header, or InvalidInstance; never another error, a hang, or a large
allocation.
"""

from __future__ import annotations

import struct
import tracemalloc

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import samples
from tests.samples import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT
from vna.dicom.header import read_header
from vna.dicom.json import dataset_json
from vna.dicom.part10 import PREAMBLE, file_meta
from vna.errors import InvalidInstance

SYNTAXES = (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED)
WHOLE = [
    *(samples.ct(rows=4, columns=4, transfer_syntax_uid=uid) for uid in SYNTAXES),
    samples.encapsulated([[b"\xff\xd8\xff\xe0", b"ab"], [b"\xff\xd8\xff\xe1"]]),
    file_meta("1.2", "1.2.3", EXPLICIT)
    + samples.writer(undefined=True).dataset(
        samples.identity(ProcedureCodeSequence=[{"ConceptCodeSequence": [{"CodeValue": "1"}]}])
    ),
]


def parse(data: bytes) -> None:
    try:
        header = read_header(data)
    except InvalidInstance:
        return
    layout = header.layout
    assert 0 <= layout.dataset_offset <= layout.header_length
    assert layout.header_length <= layout.tail_offset or layout.tail_offset == 0
    if header.frames is not None:
        for number in {1, header.frames.count}:
            offset, length = header.frames.span(number)
            assert offset >= layout.dataset_offset
            assert length >= 0
    for stop in (None, layout.header_length):
        orjson.dumps(
            dataset_json(
                data,
                dataset_offset=layout.dataset_offset,
                transfer_syntax_uid=header.transfer_syntax_uid,
                stop=stop,
                bulk_uri=str,
            )
        )
    attributes = header.attributes
    for level in (attributes.patient, attributes.study, attributes.series, attributes.instance):
        assert b"\\u0000" not in orjson.dumps(level)


@given(st.binary(max_size=400))
@example(b"")
@example(PREAMBLE)
@example(PREAMBLE + b"\2\0")
@example(b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 20)
def test_garbage(data: bytes) -> None:
    parse(data)
    parse(PREAMBLE + data)
    for uid in SYNTAXES:
        parse(file_meta("1.2", "1.2.3", uid) + data)


@given(st.sampled_from(WHOLE), st.integers(0, 2**16))
@settings(max_examples=200)
def test_any_truncation_of_a_whole_object(data: bytes, cut: int) -> None:
    parse(data[: cut % len(data)])


HITS = st.lists(st.tuples(st.integers(0, 2**16), st.binary(min_size=1, max_size=8)), max_size=6)


@given(st.sampled_from(WHOLE), HITS)
@settings(max_examples=200)
def test_any_damage_to_a_whole_object(data: bytes, hits: list[tuple[int, bytes]]) -> None:
    damaged = bytearray(data)
    for position, bytes_ in hits:
        start = position % len(data)
        damaged[start : start + len(bytes_)] = bytes_
    parse(bytes(damaged))


@given(
    st.lists(
        st.sampled_from(
            [
                struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF),
                struct.pack("<HHI", 0xFFFE, 0xE000, 8),
                struct.pack("<HHI", 0xFFFE, 0xE00D, 0),
                struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
                struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF),
                struct.pack("<HH2sHI", 0x0009, 0x1001, b"UN", 0, 0xFFFFFFFF),
                struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF),
                struct.pack("<HH2sH", 0x0008, 0x0018, b"UI", 4) + b"1.2\0",
                struct.pack("<HHI", 0x0008, 0x0018, 4) + b"1.2\0",
                struct.pack("<HH2sH", 0x0028, 0x0008, b"IS", 2) + b"3 ",
            ]
        ),
        max_size=30,
    )
)
@settings(max_examples=200)
def test_any_order_of_structure(parts: list[bytes]) -> None:
    parse(b"".join(parts))


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0xFFFFFFFF, 0x7FFFFFFF])
@pytest.mark.parametrize("tag", [0x00080005, 0x00100020, 0x00420011, 0x7FE00001, 0x7FE00010])
def test_memory_does_not_follow_length_fields(tag: int, length: int) -> None:
    elements = samples.identity()
    del elements["PatientID"]
    head = samples.part10(elements)
    lie = struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"UT", 0, length) + bytes(100)
    tracemalloc.start()
    try:
        parse(head + lie)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_a_deeply_nested_object() -> None:
    opening = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF)
    opening += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    parse(samples.small() + opening * 20_000)


@pytest.mark.parametrize("limit", [*range(0, 2000, 37)])
def test_a_ct_cut_anywhere(limit: int) -> None:
    for data in WHOLE:
        parse(data[:limit])
