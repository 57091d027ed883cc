"""The file meta information that the archive writes."""

from __future__ import annotations

import io

from pydicom import dcmread

from tests.samples import EXPLICIT, SECONDARY_CAPTURE, dataset, identity
from vna.dicom.part10 import IMPLEMENTATION_CLASS_UID, file_meta
from vna.model.identifiers import is_valid_uid


def test_other_readers_understand_it() -> None:
    elements = identity(SOPInstanceUID="1.2.3")
    meta = file_meta(SECONDARY_CAPTURE, "1.2.3", EXPLICIT, "SCANNER1")
    found = dcmread(io.BytesIO(meta + dataset(elements)))
    assert found.file_meta.MediaStorageSOPClassUID == SECONDARY_CAPTURE
    assert found.file_meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert found.file_meta.TransferSyntaxUID == EXPLICIT
    assert found.file_meta.SourceApplicationEntityTitle == "SCANNER1"
    assert found.file_meta.FileMetaInformationGroupLength == len(meta) - 144
    assert found.SOPInstanceUID == "1.2.3"
    assert is_valid_uid(IMPLEMENTATION_CLASS_UID)


def test_every_value_has_even_length() -> None:
    for title in ("", "A", "AB", "X" * 40):
        assert len(file_meta("1", "1.22", EXPLICIT, title)) % 2 == 0
