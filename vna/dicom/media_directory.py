"""A DICOMDIR: which files there are, by patient, study and series (PS3.3 F.3, PS3.10 8.6)."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vna.dicom.attributes import vr_of
from vna.dicom.directory_records import CONDITIONAL, LEAVES, PATIENT, SERIES, STUDY, record_type
from vna.dicom.element_writer import ElementWriter
from vna.dicom.elements import EXPLICIT_LITTLE, ITEM
from vna.dicom.encode import encode_dataset
from vna.dicom.part10 import file_meta
from vna.dicom.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from vna.model.instances import StoredInstance
from vna.model.query import JsonElement

DIRECTORY_NAME = "DICOMDIR"

_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
_WRITER = ElementWriter(EXPLICIT_LITTLE)
_NEXT, _IN_USE, _LOWER, _TYPE = 0x00041400, 0x00041410, 0x00041420, 0x00041430
_PRIVATE_RECORD_UID = 0x00041432
_FILE_ID, _CLASS, _INSTANCE, _SYNTAX = 0x00041500, 0x00041510, 0x00041511, 0x00041512
_FILE_SET_ID, _FIRST, _LAST, _CONSISTENCY = 0x00041130, 0x00041200, 0x00041202, 0x00041212
_RECORDS = 0x00041220
_NEXT_AT, _LOWER_AT = 16, 38
"""Where the two offsets stand in an item: behind the item's head of 8 bytes, and those of elements."""
_CHARSET = "00080005"
_STUDY_DATE, _STUDY_TIME = "00080020", "00080030"
_NUMBERS = frozenset({"00200010", "00200011", "00200013"})
_OTHER_DATES = ("00080021", "00080022", "00080023", "00080012")
_OTHER_TIMES = ("00080031", "00080032", "00080033", "00080013")

Attributes = Mapping[str, JsonElement]


@dataclass(slots=True)
class _Record:
    """A record as an item, with its offsets still zero, and the records below it by their key."""

    data: bytes
    below: dict[str, _Record] = field(default_factory=dict)
    position: int = 0


class MediaDirectory:
    """Collects instances, some hundred bytes for each, and writes the directory of them."""

    def __init__(self) -> None:
        self._patients: dict[str, _Record] = {}

    def add(
        self,
        file_id: Sequence[str],
        instance: StoredInstance,
        transfer_syntax_uid: str,
        header: Attributes,
    ) -> None:
        """An instance that lies as a file under `file_id`; `header` in the DICOM JSON model."""
        uids = instance.uids
        patient = f"{_text(header, '00100020')}\\{_text(header, '00100021')}"
        if patient == "\\":  # who has no ID is nobody else
            patient = uids.study_instance_uid
        place = _branch(self._patients, patient, "PATIENT", PATIENT, header)
        place = _branch(place, uids.study_instance_uid, "STUDY", STUDY, header)
        place = _branch(place, uids.series_instance_uid, "SERIES", SERIES, header)
        kind = record_type(instance.sop_class_uid, has_pixels=instance.layout.pixel_offset >= 0)
        named = {
            _FILE_ID: ("CS", "\\".join(file_id)),
            _CLASS: ("UI", instance.sop_class_uid),
            _INSTANCE: ("UI", uids.sop_instance_uid),
            _SYNTAX: ("UI", transfer_syntax_uid),
        }
        if kind == "PRIVATE":
            named[_PRIVATE_RECORD_UID] = ("UI", instance.sop_class_uid)
        chosen = _chosen(LEAVES[kind], header, len(place) + 1)
        place[uids.sop_instance_uid] = _Record(_item(kind, named, chosen))

    def encoded(self) -> bytes:
        """The DICOMDIR file."""
        head = file_meta(
            _MEDIA_STORAGE_DIRECTORY, f"2.25.{uuid.uuid4().int}", EXPLICIT_VR_LITTLE_ENDIAN
        )
        roots = list(self._patients.values())
        records = list(_walk(roots))
        length = sum(len(record.data) for record in records)
        position = len(head) + len(_top(0, 0, length))
        for record in records:
            record.position = position
            position += len(record.data)
        first, last = (roots[0].position, roots[-1].position) if roots else (0, 0)
        body = bytearray(b"".join([_top(first, last, length), *(r.data for r in records)]))
        _link(body, roots, len(head))
        return head + bytes(body)


def _branch(
    place: dict[str, _Record], key: str, kind: str, tags: Sequence[str], header: Attributes
) -> dict[str, _Record]:
    if key not in place:
        place[key] = _Record(_item(kind, {}, _chosen(tags, header, len(place) + 1)))
    return place[key].below


def _chosen(tags: Sequence[str], header: Attributes, number: int) -> dict[str, JsonElement]:
    """The attributes of a record; where a number or a date is missing that it must have, its place
    in the directory, or another date of the instance, stands for it.
    """
    found: dict[str, JsonElement] = {}
    for tag in tags:
        vr = vr_of(int(tag, 16))
        if tag in header or vr != "SQ":
            found[tag] = header.get(tag, {"vr": vr})
        if tag in _NUMBERS and not _text(found, tag):
            found[tag] = {"vr": vr, "Value": [str(number)]}
    for tag, others in ((_STUDY_DATE, _OTHER_DATES), (_STUDY_TIME, _OTHER_TIMES)):
        if tag in found and not _text(found, tag):
            found[tag] = next((header[t] for t in others if _text(header, t)), found[tag])
    empty = {tag for tag in CONDITIONAL & found.keys() if not _text(found, tag)}
    found = {
        tag: element
        for tag, element in found.items()
        if "BulkDataURI" not in element and tag not in empty
    }
    return found | ({_CHARSET: header[_CHARSET]} if _CHARSET in header else {})


def _item(kind: str, named: Mapping[int, tuple[str, str]], chosen: Attributes) -> bytes:
    links = b"".join(
        [
            _element(_NEXT, "UL", bytes(4)),
            _element(_IN_USE, "US", b"\xff\xff"),
            _element(_LOWER, "UL", bytes(4)),
            _element(_TYPE, "CS", kind.encode("ascii")),
        ]
    )
    texts = [
        _element(tag, vr, text.encode("ascii", "replace"))
        for tag, (vr, text) in sorted(named.items())
    ]
    body = b"".join([links, *texts, encode_dataset(chosen)])
    return _WRITER.head(ITEM, "", len(body)) + body


def _top(first: int, last: int, length: int) -> bytes:
    """Everything of the directory before its first record."""
    return b"".join(
        [
            _element(_FILE_SET_ID, "CS", b""),
            _element(_FIRST, "UL", struct.pack("<I", first)),
            _element(_LAST, "UL", struct.pack("<I", last)),
            _element(_CONSISTENCY, "US", bytes(2)),
            _WRITER.head(_RECORDS, "SQ", length),
        ]
    )


def _element(tag: int, vr: str, value: bytes) -> bytes:
    return b"".join(chunk for chunk in _WRITER.written(tag, vr, value) if isinstance(chunk, bytes))


def _walk(records: Sequence[_Record]) -> Iterator[_Record]:
    for record in records:
        yield record
        yield from _walk(list(record.below.values()))


def _link(body: bytearray, records: Sequence[_Record], base: int) -> None:
    """Write where the next record of the level, and the first one below, stand in the file."""
    for number, record in enumerate(records):
        at = record.position - base
        following = records[number + 1].position if number + 1 < len(records) else 0
        below = list(record.below.values())
        struct.pack_into("<I", body, at + _NEXT_AT, following)
        struct.pack_into("<I", body, at + _LOWER_AT, below[0].position if below else 0)
        _link(body, below, base)


def _text(attributes: Attributes, tag: str) -> str:
    values = attributes.get(tag, {}).get("Value")
    value = values[0] if isinstance(values, list) and values else None
    return "" if value is None else str(value).strip()
