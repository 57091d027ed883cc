"""Builders of DICOM objects as bytes, and the lists of real files that the tests walk through."""

from __future__ import annotations

import struct
import uuid
import warnings
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from pydicom.datadict import tag_for_keyword
from pydicom.uid import UID

from vna.dicom.attributes import vr_of
from vna.dicom.part10 import file_meta

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
MPEG4 = "1.2.840.10008.1.2.4.102"
RLE = "1.2.840.10008.1.2.5"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
MULTIFRAME_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.2"
KEY_OBJECT = "1.2.840.10008.5.1.4.1.1.88.59"

Value: TypeAlias = "str | bytes | int | float | Typed | Sequence[Value] | Mapping[Any, Value]"
Elements: TypeAlias = "Mapping[Any, Value]"
"""Values by keyword or tag."""

UNDEFINED = 0xFFFFFFFF
_LONG_VRS = frozenset(
    {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
)
_FORMATS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
_ZERO_PADDED = frozenset({"UI", "OB", "UN"})


class Typed:
    """A value whose VR is not the dictionary's (private elements, wrong VRs)."""

    def __init__(self, vr: str, value: Value) -> None:
        self.vr, self.value = vr, value


class Writer:
    """Encodes elements; `undefined` writes sequences and items with undefined lengths."""

    def __init__(self, *, implicit: bool, big_endian: bool, undefined: bool = False) -> None:
        self.implicit, self.undefined = implicit, undefined
        self.order = ">" if big_endian else "<"

    def dataset(self, elements: Elements) -> bytes:
        tagged = {_tag(name): value for name, value in elements.items()}
        return b"".join(self.element(tag, tagged[tag]) for tag in sorted(tagged))

    def element(self, tag: int, value: Value) -> bytes:
        vr, value = (value.vr, value.value) if isinstance(value, Typed) else (vr_of(tag), value)
        data = self.value(vr, value)
        length = UNDEFINED if vr == "SQ" and self.undefined else len(data)
        if length == UNDEFINED:
            data += self.header(0xFFFEE0DD, "", 0)
        return self.header(tag, vr, length) + data

    def header(self, tag: int, vr: str, length: int) -> bytes:
        group, number = tag >> 16, tag & 0xFFFF
        if self.implicit or group == 0xFFFE:
            return struct.pack(self.order + "HHI", group, number, length)
        if vr in _LONG_VRS:
            return struct.pack(self.order + "HH2sHI", group, number, vr.encode(), 0, length)
        return struct.pack(self.order + "HH2sH", group, number, vr.encode(), length)

    def value(self, vr: str, value: Value) -> bytes:
        if isinstance(value, bytes):
            data = value
        elif vr == "SQ":
            data = b"".join(map(self.item, value))  # type: ignore[arg-type]
        elif vr in _FORMATS or vr == "AT":
            data = b"".join(map(self._number(vr), value if isinstance(value, list) else [value]))
        else:
            texts = value if isinstance(value, list) else [value]
            data = "\\".join(map(str, texts)).encode("latin-1")
        return data if len(data) % 2 == 0 else data + (b"\0" if vr in _ZERO_PADDED else b" ")

    def item(self, elements: Elements) -> bytes:
        data = self.dataset(elements)
        if self.undefined:
            return self.header(0xFFFEE000, "", UNDEFINED) + data + self.header(0xFFFEE00D, "", 0)
        return self.header(0xFFFEE000, "", len(data)) + data

    def _number(self, vr: str):  # type: ignore[no-untyped-def]
        if vr == "AT":
            return lambda tag: struct.pack(self.order + "HH", tag >> 16, tag & 0xFFFF)
        return lambda number: struct.pack(self.order + _FORMATS[vr], number)


def _tag(name: str | int) -> int:
    tag = name if isinstance(name, int) else tag_for_keyword(name)
    if tag is None:
        raise ValueError(f"{name} is not a keyword")
    return tag


def new_uid() -> str:
    """A UID never used before."""
    return f"2.25.{uuid.uuid4().int}"


def writer(transfer_syntax_uid: str = EXPLICIT, *, undefined: bool = False) -> Writer:
    """The encoder of a transfer syntax."""
    return Writer(
        implicit=transfer_syntax_uid == IMPLICIT,
        big_endian=transfer_syntax_uid == BIG_ENDIAN,
        undefined=undefined,
    )


def dataset(elements: Elements, transfer_syntax_uid: str = EXPLICIT) -> bytes:
    """A bare dataset: no preamble, no meta group; deflated when the syntax says so."""
    data = writer(transfer_syntax_uid).dataset(elements)
    return deflate(data) if transfer_syntax_uid == DEFLATED else data


def deflate(data: bytes) -> bytes:
    """A raw deflate stream of even length (PS3.5 A.5)."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(data) + packer.flush()
    return packed + bytes(len(packed) % 2)


def part10(elements: Elements, transfer_syntax_uid: str = EXPLICIT) -> bytes:
    """A Part 10 file."""
    uids = (str(elements.get("SOPClassUID", "")), str(elements.get("SOPInstanceUID", "")))
    return file_meta(*uids, transfer_syntax_uid) + dataset(elements, transfer_syntax_uid)


def identity(**overrides: Value) -> dict[Any, Value]:
    """What every instance needs, with fresh UIDs; keywords override."""
    return {
        "SOPClassUID": SECONDARY_CAPTURE,
        "SOPInstanceUID": new_uid(),
        "StudyInstanceUID": new_uid(),
        "SeriesInstanceUID": new_uid(),
        "PatientID": "PID-1",
        "PatientName": "Doe^Jane",
        "StudyDate": "20240131",
        "Modality": "OT",
        **overrides,
    }


def small(transfer_syntax_uid: str = EXPLICIT, **overrides: Value) -> bytes:
    """A Part 10 file of about 700 bytes without pixel data."""
    return part10(identity(**overrides), transfer_syntax_uid)


def fragments(parts: Iterable[bytes], offset_table: bytes = b"") -> bytes:
    """Encapsulated pixel data: offset table item, one item a part, sequence delimiter."""
    items = b"".join(
        struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in (offset_table, *parts)
    )
    return items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def offset_table(parts_per_frame: Sequence[Sequence[bytes]]) -> bytes:
    """A basic offset table for frames that consist of these fragments."""
    offsets, position = [], 0
    for parts in parts_per_frame:
        offsets.append(position)
        position += sum(8 + len(part) for part in parts)
    return struct.pack(f"<{len(offsets)}I", *offsets)


def image(rows: int = 4, columns: int = 4, frames: int = 1, bits: int = 8) -> dict[str, Value]:
    """The Image Pixel module of a grey image, without pixel data."""
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        "NumberOfFrames": str(frames),
    }


def multiframe(
    frames: int = 3,
    *,
    rows: int = 4,
    columns: int = 4,
    bits: int = 8,
    transfer_syntax_uid: str = EXPLICIT,
    **overrides: Value,
) -> bytes:
    """A native multi-frame Part 10 file; each byte of frame n is n (1-bit frames: alternating)."""
    elements = {**identity(SOPClassUID=MULTIFRAME_CAPTURE), **image(rows, columns, frames, bits)}
    size = rows * columns * frames * bits
    pixels = (
        bytes([0b10101010]) * -(-size // 8)
        if bits == 1
        else b"".join(bytes([n % 256]) * (rows * columns * bits // 8) for n in range(1, frames + 1))
    )
    vr = "OW" if bits > 8 or transfer_syntax_uid == IMPLICIT else "OB"
    elements |= {"PixelData": Typed(vr, pixels), **overrides}
    return part10(elements, transfer_syntax_uid)


def encapsulated(
    parts_per_frame: Sequence[Sequence[bytes]],
    *,
    transfer_syntax_uid: str = JPEG_BASELINE,
    table: bytes | None = None,
    **overrides: Value,
) -> bytes:
    """An encapsulated Part 10 file of these frames, each given by its fragments; `table` None
    writes the right one.
    """
    elements: dict[Any, Value] = {**identity(SOPClassUID=MULTIFRAME_CAPTURE)}
    elements |= {**image(frames=len(parts_per_frame)), **overrides}
    table = offset_table(parts_per_frame) if table is None else table
    value = fragments([part for parts in parts_per_frame for part in parts], table)
    head = part10(elements, transfer_syntax_uid)
    return head + writer().header(0x7FE00010, "OB", UNDEFINED) + value


def ct(
    *,
    sop_instance_uid: str = "",
    series_instance_uid: str = "",
    study_instance_uid: str = "",
    patient_id: str = "PID-0001",
    patient_name: str = "Doe^Jane",
    rows: int = 512,
    columns: int = 512,
    transfer_syntax_uid: str = EXPLICIT,
    **overrides: Value,
) -> bytes:
    """A realistic CT image of about 250 elements, 16 bits a pixel, as a Part 10 file (0.1 ms once
    warmed).
    """
    uids = (sop_instance_uid or new_uid(), series_instance_uid or new_uid())
    changed: dict[Any, Value] = {
        "SOPInstanceUID": uids[0],
        "SeriesInstanceUID": uids[1],
        "StudyInstanceUID": study_instance_uid or new_uid(),
        "PatientID": patient_id,
        "PatientName": patient_name,
        "Rows": rows,
        "Columns": columns,
        **overrides,
    }
    encoder = writer(transfer_syntax_uid)
    elements = _ct_elements(transfer_syntax_uid) | {
        _tag(name): encoder.element(_tag(name), value) for name, value in changed.items()
    }
    pixels = _ct_pixels(rows * columns * 2)
    head = b"".join(elements[tag] for tag in sorted(elements) if tag < 0x7FE00010)
    body = head + encoder.header(0x7FE00010, "OW", len(pixels)) + pixels
    body = deflate(body) if transfer_syntax_uid == DEFLATED else body
    return file_meta(CT_IMAGE, uids[0], transfer_syntax_uid, "SCANNER") + body


def ct_at(study: str, series: str, instance: str, **others: Any) -> bytes:
    """A CT image of these UIDs, of 16 pixels by 16 unless `others`, which are as those of `ct`, say otherwise."""
    uids = {
        "study_instance_uid": study,
        "series_instance_uid": series,
        "sop_instance_uid": instance,
    }
    return ct(**{"rows": 16, "columns": 16, **uids, **others})


@lru_cache(maxsize=4)
def _ct_pixels(length: int) -> bytes:
    return bytes(range(256)) * (length // 256) + bytes(length % 256)


@lru_cache(maxsize=8)
def _ct_elements(transfer_syntax_uid: str) -> dict[int, bytes]:
    from tests.ct_elements import CT_ELEMENTS

    encoder = writer(transfer_syntax_uid)
    return {_tag(name): encoder.element(_tag(name), value) for name, value in CT_ELEMENTS.items()}


@lru_cache(maxsize=1)
def pydicom_files() -> tuple[Path, ...]:
    """Every file of pydicom.data and of the pydicom-data package whose dataset holds a SOP Instance
    UID.
    """
    folders = [_package_folder("pydicom") / "data", _package_folder("data_store") / "data"]
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    return tuple(
        path for path in paths if path.suffix not in _NOT_DICOM and _has_instance_uid(path)
    )


def corpus_files() -> tuple[Path, ...]:
    """Further real files beside the checkout, when they are there."""
    folder = Path(__file__).parents[2] / "shared" / "corpus"
    return tuple(sorted(folder.rglob("*.dcm"))) if folder.is_dir() else ()


_NOT_DICOM = frozenset({".py", ".pyc", ".json", ".txt", ".md", ".dump", ".icc", ".gz", ".zip"})


def _package_folder(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise LookupError(f"package {name} is not installed")
    return Path(spec.origin).parent


def _has_instance_uid(path: Path) -> bool:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = dcmread(
                path, stop_before_pixels=True, force=True, specific_tags=["SOPInstanceUID"]
            )
            uid = found.get("SOPInstanceUID")
        except (InvalidDicomError, OSError, ValueError, NotImplementedError, KeyError, EOFError):
            return False
    return isinstance(uid, UID) and bool(uid)
