"""The digests of a stored instance: a function of its dataset alone, different for any other."""

from __future__ import annotations

from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from storage_backends.base import Digest
from tests import samples
from vna.dicom.header import read_header
from vna.errors import InvalidInstance
from vna.services.digests import PIXEL_TREE, instance_digests
from vna.spool import Spool

IN_MEMORY, IN_A_FILE = 2**20, 100


def digests(data: bytes, directory: Path, memory: int = IN_MEMORY) -> tuple[Digest, Digest | None]:
    with Spool(directory, memory).open() as writer:
        writer.write(data)
        with writer.finish() as spooled, spooled.buffer() as buffer:
            return instance_digests(spooled, read_header(buffer))


def dataset_of(data: bytes) -> bytes:
    return data[read_header(data).layout.dataset_offset :]


@pytest.mark.parametrize("memory", [IN_MEMORY, IN_A_FILE])
def test_the_dataset_digest_is_composed_of_lengths_and_parts(tmp_path: Path, memory: int) -> None:
    data = samples.multiframe(3) + samples.writer().dataset({0xFFFCFFFC: samples.Typed("OB", b"1")})
    layout = read_header(data).layout
    pixels = data[layout.pixel_offset :][: layout.pixel_length]
    before = data[layout.dataset_offset : layout.pixel_offset]
    behind = data[layout.pixel_offset + layout.pixel_length :]
    assert behind
    tree = b"".join(len(part).to_bytes(8, "little") for part in (before, pixels, behind))
    tree += b"".join(blake3(part).digest() for part in (before, pixels, behind))
    assert digests(data, tmp_path, memory) == (
        Digest(PIXEL_TREE, blake3(tree).hexdigest()),
        Digest("blake3", blake3(pixels).hexdigest()),
    )


@pytest.mark.parametrize(
    "data",
    [samples.small(), samples.ct(rows=16, transfer_syntax_uid=samples.DEFLATED)],
    ids=["no pixel data", "deflated"],
)
def test_without_pixel_data_to_see_it_is_plain(tmp_path: Path, data: bytes) -> None:
    expected = Digest("blake3", blake3(dataset_of(data)).hexdigest())
    assert digests(data, tmp_path) == (expected, None)


@pytest.mark.parametrize(
    "data",
    [samples.ct(rows=16), samples.encapsulated([[b"12", b"34"]]), samples.small()],
    ids=["native", "encapsulated", "no pixel data"],
)
def test_what_stands_before_the_dataset_does_not_count(tmp_path: Path, data: bytes) -> None:
    other = b"II*\0" + data[4:]
    assert digests(other, tmp_path) == digests(data, tmp_path)
    assert digests(dataset_of(data), tmp_path)[0].value == digests(data, tmp_path)[0].value


@given(st.integers(0, 2**16), st.integers(1, 255))
def test_any_other_byte_gives_another_digest(
    tmp_path_factory: pytest.TempPathFactory, place: int, change: int
) -> None:
    directory = tmp_path_factory.getbasetemp()
    data = samples.multiframe(2, SOPInstanceUID="1.2", SeriesInstanceUID="1.3")
    begin = read_header(data).layout.dataset_offset
    changed = bytearray(data)
    changed[begin + place % (len(data) - begin)] ^= change
    try:
        found = digests(bytes(changed), directory)
    except InvalidInstance:  # nothing that could be stored
        return
    assert found[0] != digests(data, directory)[0]
