"""Which attributes the index keeps, and their names."""

from __future__ import annotations

import pytest

from vna.dicom.attributes import (
    ATTRIBUTES,
    BY_LEVEL,
    BY_TAG,
    COMPUTED,
    UNIQUE_KEYS,
    column_name,
    lookup,
)
from vna.model.identifiers import Level

REQUIRED = {
    Level.PATIENT: "PatientName PatientID PatientBirthDate PatientSex",
    Level.STUDY: "StudyDate StudyTime AccessionNumber ReferringPhysicianName TimezoneOffsetFromUTC "
    "StudyInstanceUID StudyID",
    Level.SERIES: "Modality TimezoneOffsetFromUTC SeriesDescription SeriesInstanceUID SeriesNumber "
    "PerformedProcedureStepStartDate PerformedProcedureStepStartTime RequestAttributesSequence",
    Level.IMAGE: "SOPClassUID SOPInstanceUID TimezoneOffsetFromUTC InstanceNumber Rows Columns "
    "BitsAllocated NumberOfFrames",
}
"""PS3.18 tables 10.6.3-3 to 10.6.3-5, but for what is computed."""


@pytest.mark.parametrize("level", Level)
def test_all_that_the_standard_requires_is_kept(level: Level) -> None:
    kept = {attribute.keyword for attribute in BY_LEVEL[level]}
    assert set(REQUIRED[level].split()) <= kept
    assert UNIQUE_KEYS[level].keyword in kept


def test_each_attribute_once_per_level() -> None:
    assert len({(a.tag, a.level) for a in ATTRIBUTES}) == len(ATTRIBUTES)
    assert not {a.tag for a in ATTRIBUTES} & {a.tag for a in COMPUTED}
    assert all(a in BY_TAG[a.tag] for a in (*ATTRIBUTES, *COMPUTED))


@pytest.mark.parametrize(
    ("keyword", "column"),
    [
        ("PatientID", "patient_id"),
        ("SOPClassesInStudy", "sop_classes_in_study"),
        ("OtherPatientIDs", "other_patient_ids"),
        ("TimezoneOffsetFromUTC", "timezone_offset_from_utc"),
        ("RTPlanLabel", "rt_plan_label"),
        ("NumberOfStudyRelatedInstances", "number_of_study_related_instances"),
    ],
)
def test_columns(keyword: str, column: str) -> None:
    assert column_name(keyword) == column


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("PatientID", (0x00100020, "LO")),
        ("00100020", (0x00100020, "LO")),
        ("7fe00010", (0x7FE00010, "OB")),
        ("00091001", (0x00091001, "UN")),
        ("60003000", (0x60003000, "OB")),
        ("NoSuchThing", None),
        ("0010", None),
        ("", None),
    ],
)
def test_lookup(name: str, found: tuple[int, str] | None) -> None:
    assert lookup(name) == found
