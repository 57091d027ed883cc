"""DICOMDIRs, as pydicom and DCMTK read them."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.fileset import FileSet

from storage_backends.base import Digest
from tests import samples
from vna.dicom.directory_records import LEAVES, record_type
from vna.dicom.media_directory import MediaDirectory
from vna.migration.dicomdir import read_references
from vna.model.identifiers import InstanceUids
from vna.model.instances import InstanceLayout, Location, StoredInstance
from vna.model.query import JsonElement

SR = "1.2.840.10008.5.1.4.1.1.88.33"
ENCAPSULATED_CDA = "1.2.840.10008.5.1.4.1.1.104.2"


def instance(
    study: str, series: str, uid: str, sop_class: str = samples.CT_IMAGE
) -> StoredInstance:
    digest = Digest("blake3", "00")
    return StoredInstance(
        1,
        InstanceUids(study, series, uid),
        sop_class,
        samples.EXPLICIT,
        1,
        InstanceLayout(0, 10, 10, 10, 20),
        Location("memory", "key", 0, 20),
        digest,
        digest,
    )


def header(**elements: object) -> dict[str, JsonElement]:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made.to_json_dict()


def written(directory: MediaDirectory) -> Dataset:
    return dcmread(io.BytesIO(directory.encoded()))


def many() -> MediaDirectory:
    directory = MediaDirectory()
    for number in range(24):
        study, series = f"1.{number // 12}", f"1.{number // 12}.{number // 4}"
        directory.add(
            ("DICOM", f"SE{number // 4:06}", f"IM{number:06}"),
            instance(study, series, f"1.2.{number}"),
            samples.EXPLICIT,
            header(
                PatientID=f"P{number // 12}",
                PatientName="Müller^Änne",
                SpecificCharacterSet="ISO_IR 192",
                StudyInstanceUID=study,
                SeriesInstanceUID=series,
                StudyDate="20260102",
                StudyTime="1011",
                StudyID="5",
                Modality="CT",
                SeriesNumber=number // 4,
                InstanceNumber=number,
            ),
        )
    return directory


def test_offsets_lead_from_record_to_record() -> None:
    data = many().encoded()
    found = dcmread(io.BytesIO(data))
    records = found.DirectoryRecordSequence
    positions = {record.seq_item_tell: record for record in records}
    seen: list[tuple[str, str]] = []

    def walk(offset: int) -> None:
        while offset:
            assert data[offset : offset + 4] == b"\xfe\xff\x00\xe0"
            record = positions[offset]
            name = record.get("SeriesInstanceUID") or record.get("ReferencedSOPInstanceUIDInFile")
            seen.append((record.DirectoryRecordType, str(name or "")))
            walk(record.OffsetOfReferencedLowerLevelDirectoryEntity)
            offset = record.OffsetOfTheNextDirectoryRecord

    walk(found.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity)
    assert len(seen) == len(records) == 2 + 2 + 6 + 24
    assert [name for kind, name in seen if kind == "IMAGE"] == [f"1.2.{n}" for n in range(24)]
    last = found.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity
    assert positions[last].PatientID == "P1"


def test_names_keep_their_characters() -> None:
    records = written(many()).DirectoryRecordSequence
    assert {str(r.PatientName) for r in records if "PatientName" in r} == {"Müller^Änne"}


def test_pydicom_and_the_import_read_it(tmp_path: Path) -> None:
    path = tmp_path / "DICOMDIR"
    path.write_bytes(many().encoded())
    for parts in read_references(path):
        file = tmp_path.joinpath(*parts)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    assert len(read_references(path)) == 24
    found = FileSet(path)
    assert len(found) == 24
    assert found.find_values("PatientID") == ["P0", "P1"]
    found._stage["t"].cleanup()


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
def test_a_validator_finds_nothing_wrong(tmp_path: Path) -> None:
    path = tmp_path / "DICOMDIR"
    path.write_bytes(many().encoded())
    found = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
    errors = [line for line in found.stderr.splitlines() if line.startswith("Error")]
    assert errors == []


def test_what_is_missing_is_counted() -> None:
    directory = MediaDirectory()
    for number in (1, 2):
        uid = f"1.2.{number}"
        directory.add(
            ("A", str(number)),
            instance("1.1", f"1.{number}", uid),
            samples.EXPLICIT,
            header(SOPInstanceUID=uid, ContentDate="20260203", AcquisitionTime="0910"),
        )
    records = written(directory).DirectoryRecordSequence
    by_type = {
        kind: [r for r in records if r.DirectoryRecordType == kind] for kind in ("STUDY", "SERIES")
    }
    assert [r.StudyDate for r in by_type["STUDY"]] == ["20260203"]
    assert [r.StudyTime for r in by_type["STUDY"]] == ["0910"]
    assert [r.SeriesNumber for r in by_type["SERIES"]] == [1, 2]
    assert {
        element.VR for record in records for element in record if element.tag == 0x00080050
    } == {"SH"}


def test_patients_without_an_id_are_kept_apart() -> None:
    directory = MediaDirectory()
    for study in ("1.1", "1.2"):
        directory.add(
            ("A", study[-1]), instance(study, study + ".1", study + ".1.1"), samples.EXPLICIT, {}
        )
    records = written(directory).DirectoryRecordSequence
    assert [r.DirectoryRecordType for r in records].count("PATIENT") == 2


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [
        (samples.CT_IMAGE, "IMAGE"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "IMAGE"),
        ("1.2.840.10008.5.1.4.1.1.481.1", "IMAGE"),
        (SR, "SR DOCUMENT"),
        (samples.KEY_OBJECT, "KEY OBJECT DOC"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "RT STRUCTURE SET"),
        ("1.2.840.10008.5.1.4.1.1.481.5", "RT PLAN"),
        ("1.2.840.10008.5.1.4.1.1.481.2", "RT DOSE"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "PRESENTATION"),
        ("1.2.840.10008.5.1.4.1.1.9.1.1", "WAVEFORM"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "ENCAP DOC"),
        ("1.2.840.10008.5.1.4.1.1.66", "RAW DATA"),
        ("1.2.840.10008.5.1.4.1.1.66.1", "REGISTRATION"),
        ("1.2.840.10008.5.1.4.1.1.67", "VALUE MAP"),
        ("1.2.840.10008.5.1.4.1.1.77.1.5.1", "IMAGE"),
    ],
)
def test_types_of_records(sop_class: str, kind: str) -> None:
    assert record_type(sop_class, has_pixels=kind in {"IMAGE", "RT DOSE"}) == kind
    assert kind in LEAVES


def test_private_classes() -> None:
    assert record_type("1.2.3", has_pixels=True) == "IMAGE"
    directory = MediaDirectory()
    made = instance("1.1", "1.2", "1.3", "1.2.3.4")
    bare = replace(made, layout=InstanceLayout(0, 10, -1, 0, 10))
    directory.add(("A",), bare, samples.EXPLICIT, {})
    (*_, record) = written(directory).DirectoryRecordSequence
    assert (record.DirectoryRecordType, record.PrivateRecordUID) == ("PRIVATE", "1.2.3.4")


@pytest.mark.parametrize(
    ("sop_class", "keyword"),
    [(SR, "VerificationDateTime"), (ENCAPSULATED_CDA, "HL7InstanceIdentifier")],
)
def test_what_has_a_value_or_is_not_there(sop_class: str, keyword: str) -> None:
    directory = MediaDirectory()
    for number, value in enumerate(("", "20240101"), 1):
        elements = {keyword: value} if value else {}
        found = instance("1.1", "1.2", f"1.3.{number}", sop_class)
        directory.add(("P", "S", str(number)), found, samples.EXPLICIT, header(**elements))
    records = written(directory).DirectoryRecordSequence
    assert [record.get(keyword) for record in records[3:]] == [None, "20240101"]
    assert keyword not in records[3]


def test_an_empty_one() -> None:
    found = written(MediaDirectory())
    assert len(found.DirectoryRecordSequence) == 0
    assert struct.unpack("<H", b"\0\0")[0] == found.FileSetConsistencyFlag
