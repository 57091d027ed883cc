"""Pixel data as a store request brings it, made the value of an element (PS3.5 8.2, A.4, PS3.18 10.5.2)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vna.dicom.codestream import item_spans
from vna.dicom.envelope import BIG_ENDIAN_UID, DEFLATED_UID, IMPLICIT_UID
from vna.dicom.from_json import BulkValue
from vna.dicom.mp4 import is_mp4, read_mp4
from vna.dicom.pixel_attributes import expected_length, missing_attributes
from vna.dicom.stream_headers import Buffer, StreamHeader, bare_codestream, read_stream_header
from vna.dicom.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, RLE_LOSSLESS
from vna.errors import InvalidInstance, Unsupported
from vna.model.identifiers import is_valid_uid
from vna.model.query import JsonElement

OCTET_STREAM = "application/octet-stream"

_UID = "1.2.840.10008.1.2.4."
_NATIVE = frozenset({"", EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_UID, DEFLATED_UID})
_CODED = frozenset(
    {f"image/{name}" for name in ("jpeg", "jls", "x-jls", "jp2", "jpx", "j2c", "jphc", "jph")}
)
_JPEG = "image/jpeg"
_RLE = frozenset({"image/dicom-rle", "image/x-dicom-rle"})
_VIDEO = frozenset({"video/mp4", "video/mpeg2", "video/mpeg", "video/h264", "video/h265"})
_KINDS = _CODED | _RLE | _VIDEO | {OCTET_STREAM, "image/jxl"}
_VIDEO_UIDS = tuple(f"{_UID}{number}" for number in range(100, 109))
_CODED_UIDS = frozenset(
    _UID + end
    for end in ("50", "51", "57", "70", "80", "81", "90", "91", "92", "93", "201", "202", "203")
)
_ITEM, _DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
_MAX_FRAGMENT = 0xFFFFFFFE
_MAX_HEADER = 2**22
"""Bytes of a codestream in which its header has to end."""


@dataclass(frozen=True, slots=True)
class BulkPart:
    """Bulk data under one location as it came: one piece, or one for each frame of compressed pixel data.

    `kind`: the media type in lower case; `transfer_syntax_uid`: its parameter, "" without.
    """

    pieces: tuple[Buffer, ...]
    kind: str = OCTET_STREAM
    transfer_syntax_uid: str = ""


@dataclass(frozen=True, slots=True)
class PixelValue:
    """The value, the transfer syntax of its object, and the attributes that the metadata lack."""

    value: BulkValue
    transfer_syntax_uid: str
    attributes: Mapping[str, JsonElement]


def pixel_value(attributes: Mapping[str, JsonElement], part: BulkPart, hint: str) -> PixelValue:
    """`part` as Pixel Data (7FE0,0010); `hint`: the transfer syntax where the part names none.

    Raises InvalidInstance where part, metadata and codestream contradict each other, Unsupported for what no
    transfer syntax in force can hold.
    """
    if part.kind not in _KINDS:
        raise Unsupported(f"pixel data can't be stored as {part.kind[:64]!r}")
    syntax = part.transfer_syntax_uid or hint
    if syntax and not is_valid_uid(syntax):
        raise Unsupported(f"{syntax[:64]!r} is no transfer syntax")
    if part.transfer_syntax_uid == BIG_ENDIAN_UID or (
        not part.transfer_syntax_uid and hint == BIG_ENDIAN_UID
    ):
        raise Unsupported("bulk data is little endian: pixel data in big endian can't be stored")
    if part.kind == OCTET_STREAM and syntax in _NATIVE:
        if not _is_described_by_itself(attributes, part):
            return PixelValue(_native(attributes, part), EXPLICIT_VR_LITTLE_ENDIAN, {})
        part = replace(part, kind=_JPEG)
    if syntax in _NATIVE:
        syntax = ""
    if part.kind == OCTET_STREAM and _is_items(part):
        return PixelValue(_items(part.pieces[0]), syntax, {})
    return _compressed(attributes, part, syntax)


def _is_described_by_itself(attributes: Mapping[str, JsonElement], part: BulkPart) -> bool:
    """Whether nothing else tells of an image than a codestream whose type was not told."""
    return expected_length(attributes) is None and all(
        read_stream_header(memoryview(bare_codestream(piece))[:_MAX_HEADER]) is not None
        for piece in part.pieces
    )


def _native(attributes: Mapping[str, JsonElement], part: BulkPart) -> BulkValue:
    length = sum(map(len, part.pieces))
    expected = expected_length(attributes)
    if expected is not None and length not in {expected, expected + (expected & 1)}:
        raise InvalidInstance(
            f"the pixel data has {length} bytes; the metadata describe an image of {expected}"
        )
    return BulkValue(part.pieces)


def _is_items(part: BulkPart) -> bool:
    return len(part.pieces) == 1 and bytes(part.pieces[0][:4]) == _ITEM


def _items(data: Buffer) -> BulkValue:
    """A value that is encapsulated already, with its delimiter or without."""
    end = 0
    for _, start, stop in item_spans(data):
        (length,) = struct.unpack_from("<I", data, start - 4)
        if stop != start + length:
            raise InvalidInstance("the encapsulated pixel data is cut short inside an item")
        end = stop
    if bytes(data[end:]) not in {b"", _DELIMITER}:
        raise InvalidInstance("the encapsulated pixel data holds something that is no item")
    return BulkValue((memoryview(data)[:end], _DELIMITER), is_encapsulated=True)


def _compressed(attributes: Mapping[str, JsonElement], part: BulkPart, syntax: str) -> PixelValue:
    frames = [bare_codestream(piece) for piece in part.pieces]
    header = _header(part.kind, syntax, frames)
    chosen = _syntax(part.kind, syntax, header)
    is_video = chosen.startswith(_VIDEO_UIDS)
    if is_video and len(frames) > 1:
        raise InvalidInstance("several parts have the location of one video")
    if any(not 0 < len(frame) <= _MAX_FRAGMENT for frame in frames):
        raise InvalidInstance("a frame of the pixel data is empty or longer than 4 GiB")
    if header is not None and not is_video:
        header = replace(header, number_of_frames=len(frames))
    compressed = sum(map(len, frames))
    added = missing_attributes(
        attributes, header, chosen, compressed, 0 if is_video else len(frames)
    )
    return PixelValue(_encapsulated(frames), chosen, added)


def _header(kind: str, syntax: str, frames: Sequence[Buffer]) -> StreamHeader | None:
    """What all frames declare; None for a kind that is not read. Raises InvalidInstance."""
    if kind in _VIDEO or syntax.startswith(_VIDEO_UIDS):
        view = memoryview(frames[0])
        header = read_mp4(view) if is_mp4(view) else None
        if header is None and is_mp4(view):
            raise InvalidInstance("the MP4 file has no video track in H.264 or H.265")
        return header
    if kind not in _CODED and syntax not in _CODED_UIDS:
        return None
    headers = [read_stream_header(memoryview(frame)[:_MAX_HEADER]) for frame in frames]
    first = headers[0]
    if first is None or None in headers:
        raise InvalidInstance(f"the pixel data is no codestream of {syntax or kind}")
    for other in headers[1:]:
        if other is None or _shape(other) != _shape(first):
            raise InvalidInstance("the frames of the pixel data differ in size or kind")
        common = tuple(uid for uid in first.syntaxes if uid in other.syntaxes)
        if first.syntaxes and not common:
            raise InvalidInstance("the frames of the pixel data are in several transfer syntaxes")
        first = replace(first, syntaxes=common)
    return first


def _shape(header: StreamHeader) -> tuple[int, int, int]:
    return header.rows, header.columns, header.samples


def _syntax(kind: str, wanted: str, header: StreamHeader | None) -> str:
    if header is not None:
        if not header.syntaxes:
            raise Unsupported("no transfer syntax in force holds a codestream of this process")
        if wanted and not _is_among(wanted, header.syntaxes):
            raise InvalidInstance(
                f"the pixel data is not in transfer syntax {wanted}, but in {header.syntaxes[0]}"
            )
        return wanted or header.syntaxes[0]
    wanted = wanted or (RLE_LOSSLESS if kind in _RLE else "")
    if not wanted:
        raise Unsupported(f"{kind} needs a transfer-syntax parameter: the data do not tell which")
    return wanted


def _is_among(wanted: str, syntaxes: Sequence[str]) -> bool:
    """Whether it is one of them; the fragmentable form of a video's counts as that."""
    return wanted in syntaxes or (
        wanted.startswith(_VIDEO_UIDS) and wanted.removesuffix(".1") in syntaxes
    )


def _encapsulated(frames: Sequence[Buffer]) -> BulkValue:
    """Offset table, one fragment a frame, delimiter; the table is empty where it would tell nothing."""
    offsets, position = [], 0
    chunks: list[Buffer] = []
    for frame in frames:
        offsets.append(position)
        padding = len(frame) & 1
        chunks += [_ITEM + struct.pack("<I", len(frame) + padding), frame, b"\0" * padding]
        position += 8 + len(frame) + padding
    table = b""
    if len(frames) > 1 and offsets[-1] <= _MAX_FRAGMENT:
        table = struct.pack(f"<{len(offsets)}I", *offsets)
    head = _ITEM + struct.pack("<I", len(table)) + table
    return BulkValue((head, *chunks, _DELIMITER), is_encapsulated=True)
