"""Telling DICOM from other files by their first bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import samples
from vna.migration.sniff import HEAD_BYTES, Kind, sniff

NOT_DICOM = {
    "empty": b"",
    "text": b"Hello, this is a plain text file with some words in it.\n" * 10,
    "utf-16 text": "Hello, this is a plain text file".encode("utf-16") * 20,
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(200),
    "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(200),
    "elf": b"\x7fELF\x02\x01\x01" + bytes(200),
    "zeros": bytes(5000),
    "pdf": b"%PDF-1.7\n" + b"x" * 300,
    "xml": b"<?xml version='1.0'?><a/>" * 20,
    "short": b"\x08\x00",
    "nifti": b"\x5c\x01\x00\x00" + bytes(344) + b"n+1\0",
}


def _kind(data: bytes) -> Kind:
    return sniff(data[:HEAD_BYTES], len(data))


@pytest.mark.parametrize("name", NOT_DICOM)
def test_other_files_are_told_apart(name: str) -> None:
    assert _kind(NOT_DICOM[name]) is Kind.OTHER


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"]
)
def test_dicom_is_known_with_and_without_preamble_and_meta(syntax: str) -> None:
    whole = samples.small(syntax)
    bare = samples.dataset(samples.identity(), syntax)
    for data in (whole, whole[128:], whole[132:], bare, bytes(128) + whole[132:]):
        assert _kind(data) is Kind.DICOM


def test_zip_and_dicomdir_are_known() -> None:
    assert _kind(b"PK\x03\x04" + bytes(50)) is Kind.ZIP
    assert _kind(b"PK\x05\x06" + bytes(18)) is Kind.ZIP
    whole = samples.small(SOPClassUID="1.2.840.10008.1.3.10")
    assert _kind(whole) is Kind.DICOMDIR


def test_a_dataset_that_only_mentions_the_directory_class_is_dicom() -> None:
    assert _kind(samples.small(StudyDescription="1.2.840.10008.1.3.10")) is Kind.DICOM


@given(st.binary(max_size=300), st.integers(0, 2**40))
@settings(max_examples=300, deadline=None, database=None)
def test_any_bytes_have_a_kind(head: bytes, size: int) -> None:
    assert sniff(head, size) in Kind


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_every_real_file_is_known() -> None:
    paths: tuple[Path, ...] = (*samples.pydicom_files(), *samples.corpus_files())
    assert len(paths) > 60
    unknown = []
    for path in paths:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if sniff(head, path.stat().st_size) not in {Kind.DICOM, Kind.DICOMDIR}:
            unknown.append(path.name)
    print(f"{len(paths)} real files, not taken for DICOM: {unknown}")
    assert unknown == []
