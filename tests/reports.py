"""Builders of structured reports, documents and presentation states."""

from __future__ import annotations

from typing import Any

from tests import samples
from tests.samples import Elements, Typed, Value

BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
PDF, CDA = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.104.2"
STL, OBJ = "1.2.840.10008.5.1.4.1.1.104.3", "1.2.840.10008.5.1.4.1.1.104.4"
GSPS = "1.2.840.10008.5.1.4.1.1.11.1"
VIDEO = "1.2.840.10008.5.1.4.1.1.77.1.4.1"


def code(meaning: str, value: str = "T-1", scheme: str = "99TEST") -> list[Value]:
    """A code sequence of one item."""
    return [{"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}]


def item(value_type: str, name: str = "", *below: Elements, **value: Value) -> dict[Any, Value]:
    """A content item with those below it; `value` by keyword."""
    found: dict[Any, Value] = {"ValueType": value_type, "RelationshipType": "CONTAINS", **value}
    if name:
        found["ConceptNameCodeSequence"] = code(name)
    if below:
        found["ContentSequence"] = list(below)
    return found


def report(*content: Elements, title: str = "Findings", **overrides: Value) -> bytes:
    """A report of these items as a Part 10 file."""
    elements = samples.identity(SOPClassUID=COMPREHENSIVE_SR, Modality="SR")
    root = item("CONTAINER", title, *content)
    del root["RelationshipType"]
    return samples.part10({**elements, **root, **overrides})


def document(
    data: bytes, sop_class_uid: str = PDF, mime_type: str = "application/pdf", **overrides: Value
) -> bytes:
    """An encapsulated document as a Part 10 file."""
    return samples.part10(
        {
            **samples.identity(SOPClassUID=sop_class_uid, Modality="DOC"),
            "MIMETypeOfEncapsulatedDocument": mime_type,
            "EncapsulatedDocument": Typed("OB", data),
            "EncapsulatedDocumentLength": len(data),
            **overrides,
        }
    )


def state(study: str, series: str, instance: str, **overrides: Value) -> bytes:
    """A grey scale presentation state for one image, as a Part 10 file."""
    image = {"ReferencedSOPClassUID": samples.CT_IMAGE, "ReferencedSOPInstanceUID": instance}
    return samples.part10(
        {
            **samples.identity(SOPClassUID=GSPS, Modality="PR", StudyInstanceUID=study),
            "ReferencedSeriesSequence": [
                {"SeriesInstanceUID": series, "ReferencedImageSequence": [image]}
            ],
            "PresentationLUTShape": "IDENTITY",
            **overrides,
        }
    )
