"""Native DICOM Model documents of DCMTK and ours say the same of the same file (PS3.19 A.1)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from tests import samples
from tests.interop.programs import dcmtk, needs
from vna.dicom.header import read_header
from vna.dicom.json import dataset_json
from vna.dicom.native_xml import read_xml, write_xml

pytestmark = needs("dcmtk", dcmtk("dcm2xml"))


def test_dcmtk_writes_the_same_document(tmp_path: Path) -> None:
    private = {
        0x00090010: samples.Typed("LO", "ACME 1.0"),
        0x00091002: samples.Typed("US", [1, 2]),
        0x00091003: samples.Typed("SQ", [{"StudyDescription": "inside"}]),
    }
    named: dict[Any, samples.Value] = {
        "StudyDescription": "a<b>&c",
        "PatientName": "Doe^Jane^^Dr",
        "BitsAllocated": 16,
    }
    data = samples.part10({**samples.identity(), **named, **private})
    (tmp_path / "a.dcm").write_bytes(data)
    command: list[str | Path] = [dcmtk("dcm2xml"), "--native-format", tmp_path / "a.dcm"]
    theirs = read_xml(subprocess.run(command, capture_output=True, check=True).stdout)
    header = read_header(data)
    ours = dataset_json(
        data,
        dataset_offset=header.layout.dataset_offset,
        transfer_syntax_uid=header.transfer_syntax_uid,
    )
    assert {tag: theirs[tag] for tag in ours} == ours
    assert read_xml(write_xml(ours)) == ours
