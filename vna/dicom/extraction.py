"""A new instance of some frames of a multi-frame one (PS3.4 Y.3.3)."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from vna.dicom.element_writer import ElementWriter
from vna.dicom.elements import Encoding
from vna.dicom.envelope import find_syntax
from vna.dicom.frame_keys import ExtractionFailed, FrameKeys, NotExtractable
from vna.dicom.frame_times import frame_times, increments
from vna.dicom.identity import derived_uid
from vna.dicom.native import join_frames, native_frame
from vna.dicom.rewrite import Rewriter
from vna.errors import Unsupported
from vna.model.frames import FrameTable, NativeFrames

_STORAGE = "1.2.840.10008.5.1.4.1.1."
WITHOUT_FUNCTIONAL_GROUPS = frozenset(
    _STORAGE + end for end in ("3.1", "7.1", "7.2", "7.3", "7.4", "12.1", "12.2")
)
"""Multi-frame SOP classes whose frames depend on each other by nothing but their times."""

_DROPPED = frozenset(
    {
        0x00082142,  # Start Trim
        0x00082143,  # Stop Trim
        0x00200242,  # SOP Instance UID of Concatenation Source
        0x00209161,  # Concatenation UID
        0x00209162,  # In-concatenation Number
        0x00209163,  # In-concatenation Total Number
        0x00209228,  # Concatenation Frame Offset Number
        0x00281090,  # Recommended Viewing Mode, which Mask Subtraction explains
        0x00286010,  # Representative Frame Number
        0x00286020,  # Frame Numbers of Interest
        0x00286022,  # Frame of Interest Description
        0x00286023,  # Frame of Interest Type
        0x00286100,  # Mask Subtraction Sequence
        0x00287FE0,  # Pixel Data Provider URL
        0x4FFE0001,  # MAC Parameters Sequence
    }
)
"""What belongs to a concatenation, names frames by their old numbers, or is no longer true."""

_FAILURES = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    struct.error,
)
"""What pydicom raises for values that it can't read."""

_PIXEL_GROUP = 0x7FE0
_ITEM, _SEQUENCE_END, _UNDEFINED = 0xFFFEE000, 0xFFFEE0DD, 0xFFFFFFFF
_MAX_OFFSET = 0xFFFFFFFF
_PURPOSE = ("109105", "DCM", "Frame Extracting Equipment")
_MANUFACTURER = "VNA"


@dataclass(frozen=True, slots=True)
class Source:
    """The instance that frames are taken from: its elements before the pixel data, and how they are
    written; the tag and VR of that; when its frames were taken, in seconds since Content Time.
    """

    dataset: Dataset
    encoding: Encoding
    pixel_tag: int
    pixel_vr: str
    frame_times: Sequence[float] | None


def source_of(header: bytes, pixel_head: bytes, transfer_syntax_uid: str) -> Source:
    """Read the elements `header`; `pixel_head` are the first bytes of the pixel data element.

    Raises ExtractionFailed.
    """
    encoding = find_syntax(header, 0, transfer_syntax_uid).encoding
    try:
        Rewriter(memoryview(header), encoding, encoding).dataset(0, len(header))
        dataset = read_dataset(io.BytesIO(header), encoding.implicit, not encoding.big_endian)
        times = frame_times(dataset)
    except (*_FAILURES, Unsupported) as exc:
        raise ExtractionFailed(f"its header can't be read: {exc}") from exc
    dataset.set_original_encoding(encoding.implicit, not encoding.big_endian)
    group, element = struct.unpack_from(">HH" if encoding.big_endian else "<HH", pixel_head)
    vr = "OW" if encoding.implicit else str(pixel_head[4:6], "latin-1")
    return Source(dataset, encoding, group << 16 | element, vr, times)


def extract_frames(
    source: Source, keys: FrameKeys, numbers: Sequence[int], table: FrameTable, frames: list[bytes]
) -> tuple[str, bytes]:
    """The SOP Instance UID of the new instance and its dataset, in the encoding of the source.

    `frames` are the bytes that `table` gives for the frames `numbers`. The UID follows from the
    source and the keys: who asks again gets the same instance. Raises NotExtractable,
    ExtractionFailed.
    """
    try:
        _check_extractable(source.dataset, table.count)
        uid = _describe(source.dataset, keys, numbers, source.frame_times)
        out = DicomBytesIO()
        out.is_implicit_VR = source.encoding.implicit
        out.is_little_endian = not source.encoding.big_endian
        write_dataset(out, source.dataset)
    except (*_FAILURES, OverflowError) as exc:
        raise ExtractionFailed(f"its header can't be written again: {exc}") from exc
    pixels = _pixel_data(source, numbers, table, frames)
    return uid, b"".join((out.getvalue(), *pixels))


def _check_extractable(dataset: Dataset, count: int) -> None:
    groups = dataset.get("PerFrameFunctionalGroupsSequence")
    sop_class_uid = str(dataset.get("SOPClassUID", ""))
    is_tiled = dataset.get("DimensionOrganizationType", "") == "TILED_FULL"
    if groups is not None and len(groups) == count and not is_tiled:
        return
    if groups is None and sop_class_uid in WITHOUT_FUNCTIONAL_GROUPS:
        return
    raise NotExtractable(f"some frames make no instance of SOP class {sop_class_uid}")


def _describe(
    dataset: Dataset, keys: FrameKeys, numbers: Sequence[int], times: Sequence[float] | None
) -> str:
    """Make `dataset` describe the frames `numbers` alone; its new SOP Instance UID."""
    source_uid = str(dataset.SOPInstanceUID)
    uid = derived_uid("frames", source_uid, keys.key, *(f"{value:g}" for value in keys.values))
    for tag in [element.tag for element in dataset.elements() if _is_dropped(int(element.tag))]:
        del dataset[tag]
    dataset.SOPInstanceUID = uid
    dataset.NumberOfFrames = len(numbers)
    groups = dataset.get("PerFrameFunctionalGroupsSequence")
    if groups is not None:
        dataset.PerFrameFunctionalGroupsSequence = [groups[number - 1] for number in numbers]
    _describe_times(dataset, numbers, times)
    _append(dataset, "FrameExtractionSequence", _extraction(source_uid, keys))
    _append(dataset, "ContributingEquipmentSequence", _equipment())
    return uid


def _is_dropped(tag: int) -> bool:
    """Also private elements, whose meaning nobody knows, and overlays with frames of their own."""
    group = tag >> 16
    is_overlay = group & 0xFF00 == 0x6000
    return tag in _DROPPED or bool(group & 1) or is_overlay or group >= _PIXEL_GROUP


def _describe_times(
    dataset: Dataset, numbers: Sequence[int], times: Sequence[float] | None
) -> None:
    """Frame Time, where the frames chosen are equally spaced; else Frame Time Vector, in ms."""
    if times is None or not {"FrameTime", "FrameTimeVector"} & set(dataset.dir("FrameTime")):
        return
    steps = {b - a for a, b in pairwise(numbers)} or {1}
    if "FrameTime" in dataset and len(steps) == 1:
        dataset.FrameTime = f"{float(dataset.FrameTime) * steps.pop():.10g}"
        return
    if "FrameTime" in dataset:
        del dataset.FrameTime
        dataset.FrameIncrementPointer = 0x00181065
    dataset.FrameTimeVector = increments(times, numbers)


def _append(dataset: Dataset, keyword: str, item: Dataset) -> None:
    setattr(dataset, keyword, [*(dataset.get(keyword) or ()), item])


def _extraction(source_uid: str, keys: FrameKeys) -> Dataset:
    item = Dataset()
    item.MultiFrameSourceSOPInstanceUID = source_uid
    setattr(item, keys.keyword, list(keys.values if keys.is_time else map(int, keys.values)))
    return item


def _equipment() -> Dataset:
    code, item = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = _PURPOSE
    item.Manufacturer = _MANUFACTURER
    item.PurposeOfReferenceCodeSequence = [code]
    return item


def _pixel_data(
    source: Source, numbers: Sequence[int], table: FrameTable, frames: list[bytes]
) -> Iterator[bytes]:
    writer = ElementWriter(source.encoding)
    if isinstance(table, NativeFrames):
        cut = (native_frame(d, table, n) for d, n in zip(frames, numbers, strict=True))
        value = b"".join(join_frames(cut, table.bits))
        yield writer.head(source.pixel_tag, source.pixel_vr, len(value))
        yield value
        return
    yield writer.head(source.pixel_tag, "OB", _UNDEFINED)
    offsets = _offset_table(frames)
    yield writer.head(_ITEM, "", len(offsets)) + offsets
    yield from frames
    yield writer.head(_SEQUENCE_END, "", 0)


def _offset_table(frames: Iterable[bytes]) -> bytes:
    """The basic offset table; empty, as it may be, beyond what it can say."""
    offsets = [0, *accumulate(map(len, frames))][:-1]
    return b"" if offsets[-1] > _MAX_OFFSET else struct.pack(f"<{len(offsets)}I", *offsets)
