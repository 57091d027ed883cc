"""Where a header contradicts its source: what is told, in whatever form, has to be what is there."""

from __future__ import annotations

from typing import Any

import pytest

from tests import samples
from vna.dicom.header import read_header
from vna.migration.header_check import compare
from vna.model.campaign import Reason
from vna.model.identifiers import InstanceUids
from vna.model.migration import FoundInstance, FoundStudy

UIDS = InstanceUids("1.2", "1.3", "1.4")
HEADER = {
    "StudyDate": "20200131",
    "StudyTime": "101530.25",
    "AccessionNumber": "A1",
    "PatientID": "P1",
    "IssuerOfPatientID": "HOSPITAL",
}


def told(allowed: tuple[str, ...] = (), **study: Any) -> tuple[Reason, str] | None:
    """What contradicts, when the source tells `study` of an instance with the values above."""
    elements = samples.identity(
        StudyInstanceUID="1.2", SeriesInstanceUID="1.3", SOPInstanceUID="1.4", **HEADER
    )
    header = read_header(samples.part10(elements))
    found = FoundInstance(UIDS, samples.SECONDARY_CAPTURE, samples.EXPLICIT, number_of_frames=1)
    return compare(FoundStudy("1.2", **study), found, header, allowed)


@pytest.mark.parametrize(
    "study",
    [
        {},
        {"patient_id": "P1", "issuer_of_patient_id": "HOSPITAL", "accession_number": "A1 "},
        {"study_date": "2020.01.31", "study_time": "10:15:30"},
        {"study_time": "1015"},
        {"study_time": "101530.250000"},
    ],
)
def test_nothing_contradicts(study: dict[str, Any]) -> None:
    assert told(**study) is None


@pytest.mark.parametrize(
    ("study", "keywords"),
    [
        ({"patient_id": "P2"}, "PatientID"),
        ({"patient_id": "p1", "accession_number": "A2"}, "PatientID, AccessionNumber"),
        ({"issuer_of_patient_id": "CLINIC"}, "IssuerOfPatientID"),
        ({"study_date": "20200130"}, "StudyDate"),
        ({"study_time": "101531"}, "StudyTime"),
    ],
)
def test_what_contradicts_is_named_without_its_value(study: dict[str, Any], keywords: str) -> None:
    assert told(**study) == (Reason.HEADER_DIFFERS, keywords)
    assert told(tuple(keywords.split(", ")), **study) is None


def test_the_gravest_contradiction_comes_first() -> None:
    header = read_header(samples.small(StudyInstanceUID="1.9", SeriesInstanceUID="1.3"))
    study = FoundStudy("1.2", patient_id="P2")
    found = FoundInstance(UIDS, samples.CT_IMAGE)
    assert compare(study, found, header, ()) == (Reason.UIDS_DIFFER, "StudyInstanceUID")
    allowed = ("StudyInstanceUID",)
    assert compare(study, found, header, allowed) == (Reason.CLASS_DIFFERS, "SOPClassUID")
