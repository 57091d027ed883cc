"""Identifiers of C-FIND, C-MOVE and C-GET as an SCU writes and reads them (PS3.4 C.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from vna.dicom.attributes import vr_of
from vna.dicom.element_writer import ElementWriter, Frames
from vna.dicom.encoding import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from vna.dicom.json import dataset_json
from vna.dicom.syntaxes import IMPLICIT_VR_LITTLE_ENDIAN
from vna.model.query import JsonElement

CHARACTER_SET = 0x00080005
SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
STUDY_DATE = 0x00080020
STUDY_TIME = 0x00080030
ACCESSION_NUMBER = 0x00080050
LEVEL = 0x00080052
MODALITY = 0x00080060
MODALITIES_IN_STUDY = 0x00080061
STUDY_DESCRIPTION = 0x00081030
AVAILABLE_SYNTAX = 0x00083002
PATIENT_ID = 0x00100020
ISSUER_OF_PATIENT_ID = 0x00100021
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
SERIES_NUMBER = 0x00200011
INSTANCE_NUMBER = 0x00200013
STUDY_INSTANCES = 0x00201208
SERIES_INSTANCES = 0x00201209
NUMBER_OF_FRAMES = 0x00280008

Record = Mapping[str, JsonElement]
"""One answer in the DICOM JSON model, by eight hex digits."""


def encode_keys(keys: Mapping[int, str], transfer_syntax_uid: str) -> bytes:
    """An identifier with these values (several joined by backslashes); in UTF-8 where ASCII does not do."""
    if not all(value.isascii() for value in keys.values()):
        keys = {**keys, CHARACTER_SET: "ISO_IR 192"}
    is_implicit = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
    writer = ElementWriter(IMPLICIT_LITTLE if is_implicit else EXPLICIT_LITTLE)
    return b"".join(
        chunk
        for tag in sorted(keys)
        for chunk in writer.written(tag, vr_of(tag), keys[tag].encode())
        if not isinstance(chunk, Frames)
    )


def read_record(data: bytes, transfer_syntax_uid: str) -> Record:
    """The elements of an answer; what can't be read is left out."""
    return dataset_json(data, dataset_offset=0, transfer_syntax_uid=transfer_syntax_uid)


def texts(record: Record, tag: int) -> tuple[str, ...]:
    """The values of an element as texts, without blanks around them; none when there is none."""
    values = cast("list[object]", record.get(f"{tag:08X}", {}).get("Value", []))
    found = (str(value).strip(" \0") for value in values if value is not None)
    return tuple(text for text in found if text)


def text(record: Record, tag: int) -> str:
    """The first value, "" without one."""
    return next(iter(texts(record, tag)), "")


def number(record: Record, tag: int) -> int | None:
    """The first value as a number that is not negative; None without one."""
    try:
        value = int(float(text(record, tag)))
    except (ValueError, OverflowError):
        return None
    return value if value >= 0 else None
