"""Instances as the store service hands them to the index."""

from __future__ import annotations

import hashlib
from typing import Any

from storage_backends.base import Digest
from vna.model.frames import NativeFrames
from vna.model.identifiers import InstanceUids, Origin
from vna.model.instances import InstanceLayout, LevelAttributes, Location, NewInstance
from vna.model.keys import new_object_key
from vna.model.query import JsonElement

ORIGIN = Origin("dimse", "CT1", "10.0.0.1", "abc")


def digest(text: str) -> Digest:
    return Digest("blake3", hashlib.sha256(text.encode()).hexdigest())


def element(vr: str, *values: object) -> JsonElement:
    if vr == "PN":
        values = tuple(v if isinstance(v, dict) else {"Alphabetic": v} for v in values)
    return {"vr": vr, "Value": list(values)} if values and values != ("",) else {"vr": vr}


def attributes(**elements: tuple[Any, ...]) -> dict[str, JsonElement]:
    """attributes(T00100010=("PN", "Doe^John"))"""
    return {name[1:]: element(*value) for name, value in elements.items()}


def new_instance(
    study: str = "1.1",
    series: str = "1.1.1",
    instance: str = "1.1.1.1",
    *,
    patient_id: str = "P1",
    issuer: str = "",
    name: object = "Doe^John",
    content: str = "",
    patient: dict[str, JsonElement] | None = None,
    study_attributes: dict[str, JsonElement] | None = None,
    series_attributes: dict[str, JsonElement] | None = None,
    instance_attributes: dict[str, JsonElement] | None = None,
    **others: Any,
) -> NewInstance:
    """A CT slice; `content` stands for its bytes and makes its digests."""
    levels = LevelAttributes(
        patient=attributes(
            T00100010=("PN", name), T00100020=("LO", patient_id), T00100021=("LO", issuer)
        )
        | (patient or {}),
        study=attributes(
            T0020000D=("UI", study),
            T00080020=("DA", "20240131"),
            T00080030=("TM", "101500.5"),
            T00080050=("SH", "ACC1"),
            T00081030=("LO", "Thorax 100%"),
        )
        | (study_attributes or {}),
        series=attributes(T0020000E=("UI", series), T00080060=("CS", "CT"), T00200011=("IS", 1))
        | (series_attributes or {}),
        instance=attributes(
            T00080016=("UI", "1.2.840.10008.5.1.4.1.1.2"),
            T00080018=("UI", instance),
            T00200013=("IS", 1),
            T00280010=("US", 512),
            T00280011=("US", 512),
        )
        | (instance_attributes or {}),
    )
    content = content or instance
    values: dict[str, Any] = {
        "uids": InstanceUids(study, series, instance),
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "attributes": levels,
        "layout": InstanceLayout(330, 1500, 1512, 524288, 525800),
        "frames": NativeFrames(1512, 524288, 4194304, 1),
        "number_of_frames": 1,
        "location": Location("filesystem", new_object_key(), 0, 525800),
        "object_digest": digest("o" + content),
        "dataset_digest": digest("d" + content),
        "pixel_digest": digest("p" + content),
        "warnings": (),
    }
    return NewInstance(**(values | others))
