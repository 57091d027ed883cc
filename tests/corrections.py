"""Corrections for tests, and the elements of what was made of them."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

from pydicom import Dataset, dcmread

from vna.model.corrections import Correction
from vna.model.query import JsonElement

AT = datetime(2026, 11, 23, 3, 0, 0, 250000, UTC)
NEW: dict[str, JsonElement] = {
    "00100020": {"vr": "LO", "Value": ["SOUTH-1"]},
    "00100021": {"vr": "LO", "Value": ["South"]},
    "00080050": {"vr": "SH", "Value": ["S-7"]},
}


def correction(elements: dict[str, JsonElement] | None = None, **others: Any) -> Correction:
    """One of NEW, or of these elements."""
    return Correction(
        system="VNA",
        source="Old PACS",
        rules="south, version 1",
        modified_at=AT,
        elements=NEW if elements is None else elements,
        **others,
    )


def file_of(data: bytes) -> Dataset:
    """What pydicom reads."""
    return dcmread(io.BytesIO(data))


def originals(dataset: Dataset) -> list[Dataset]:
    """The previous values by the items of Original Attributes, which must say what they have to."""
    items = list(dataset.OriginalAttributesSequence)
    for item in items:
        (_,) = item.ModifiedAttributesSequence
        assert item.AttributeModificationDateTime
        assert "ModifyingSystem" in item
        assert "SourceOfPreviousValues" in item
        assert item.ReasonForTheAttributeModification in {"COERCE", "CORRECT"}
    return [item.ModifiedAttributesSequence[0] for item in items]
