"""Delivered files begin as PS3.10 7.1 wants, whatever the stored ones begin with."""

from __future__ import annotations

import io

import pydicom
import pytest

from tests import samples
from tests.services.conftest import Bench
from tests.services.test_retrieve import kept
from vna.dicom.part10 import file_meta
from vna.services.header_bytes import chunks

UIDS = (samples.CT_IMAGE, "1.2.3")


def delivered(bench: Bench, data: bytes) -> tuple[bytes, bytes]:
    """The delivered file, and the dataset bytes as stored."""
    instance = kept(bench, data)
    reader, length = bench.retrieve.open_part10(instance)
    with reader:
        file = b"".join(chunks(reader))
    assert len(file) == length
    reader, _ = bench.retrieve.open_dataset(instance)
    with reader:
        return file, b"".join(chunks(reader))


def dataset(syntax: str = samples.EXPLICIT) -> bytes:
    elements = samples.identity(SOPClassUID=samples.CT_IMAGE, SOPInstanceUID="1.2.3")
    return samples.dataset(elements, syntax)


@pytest.mark.parametrize(
    "head",
    [
        file_meta(*UIDS, samples.EXPLICIT)[132:],
        bytes(128) + file_meta(*UIDS, samples.EXPLICIT)[132:],
        file_meta(*UIDS, samples.EXPLICIT)[64:],
        file_meta(*UIDS, samples.IMPLICIT),
        file_meta(*UIDS, samples.BIG_ENDIAN),
        file_meta(*UIDS, ""),
        b"",
    ],
    ids=["bare meta", "no prefix", "short preamble", "implicit?", "big endian?", "none", "bare"],
)
def test_an_odd_beginning_is_replaced(bench: Bench, head: bytes) -> None:
    stored = dataset()
    file, kept_dataset = delivered(bench, head + stored)
    assert kept_dataset == stored
    assert file == file_meta(*UIDS, samples.EXPLICIT) + stored
    read = pydicom.dcmread(io.BytesIO(file))
    assert (read.SOPInstanceUID, read.PatientID) == ("1.2.3", "PID-1")


@pytest.mark.parametrize("syntax", [samples.EXPLICIT, samples.IMPLICIT, samples.BIG_ENDIAN])
def test_a_regular_file_stays_byte_for_byte(bench: Bench, syntax: str) -> None:
    head = file_meta(*UIDS, syntax, "SENDER")
    head = b"preamble".ljust(128, b"!") + head[128:]
    data = head + dataset(syntax)
    assert delivered(bench, data)[0] == data
