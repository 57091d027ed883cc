"""A stored object's dataset in another transfer syntax, its pixels decoded (PS3.5 A)."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping

from vna.dicom.codestream import frame_fragments, split_items
from vna.dicom.decode import DecodedFrame, PixelDescription, decode_frame
from vna.dicom.deflate import inflate
from vna.dicom.element_writer import Buffer, Chunk, Frames, length_of
from vna.dicom.envelope import find_syntax
from vna.dicom.lossy import is_lossy, lossy_changes
from vna.dicom.native import frame_to_little_endian, join_frames, native_frame
from vna.dicom.rewrite import Decoder, NativePixels, Rewriter
from vna.dicom.syntaxes import (
    DECODABLE,
    EXPLICIT_VR_LITTLE_ENDIAN,
    TARGETS,
    can_transcode,
    describe,
)
from vna.errors import Unsupported

__all__ = [
    "PixelDescription",
    "can_transcode",
    "describe_pixels",
    "frame_to_little_endian",
    "native_frame",
    "split_items",
    "transcode",
]

DEFAULT_MAX_BYTES = 2 << 30
_MAX_VALUE_LENGTH = 0xFFFFFFFE
_PHOTOMETRIC_INTERPRETATION, _PLANAR_CONFIGURATION = 0x00280004, 0x00280006
_EXTENDED_OFFSET_TABLE = 0x7FE00001
_ONLY_OF_COMPRESSED = (_EXTENDED_OFFSET_TABLE, 0x7FE00002, 0x7FE00003)
_KNOWN_PHOTOMETRIC = "MONOCHROME2"


def transcode(
    source: Buffer,
    *,
    dataset_offset: int,
    transfer_syntax_uid: str,
    target: str = EXPLICIT_VR_LITTLE_ENDIAN,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> bytes:
    """The dataset of `source`, a whole object whose dataset begins at `dataset_offset`, in syntax
    `target`.

    `target` is implicit VR little endian or explicit VR of either byte order. Between native
    syntaxes no value changes but in the order of its bytes. Compressed pixel data are decoded:
    PhotometricInterpretation, PlanarConfiguration and (after a lossy compression)
    LossyImageCompression, its ratio and method say what became of them, offset tables go, all other elements keep their
    bytes where the encoding stays explicit little endian.

    Raises Unsupported, naming the stored syntax, for what can't be decoded, and before anything of
    that size is allocated when the result would exceed `max_bytes`.
    """
    if target not in TARGETS:
        raise Unsupported(f"Objects can't be rewritten to {describe(target)}")
    view = memoryview(source)[dataset_offset:]
    if transfer_syntax_uid == target:
        return bytes(view)
    if not can_transcode(transfer_syntax_uid):
        raise _only_as_stored(transfer_syntax_uid, "there is no decoder for it")
    try:
        return _rewritten(view, transfer_syntax_uid, target, max_bytes)
    except Unsupported as exc:
        raise _only_as_stored(transfer_syntax_uid, str(exc)) from exc


def _rewritten(view: memoryview, transfer_syntax_uid: str, target: str, max_bytes: int) -> bytes:
    syntax, written = find_syntax(view, 0, transfer_syntax_uid), TARGETS[target]
    if syntax.deflated:
        view = memoryview(_inflated(view, max_bytes))
    is_native = transfer_syntax_uid not in DECODABLE
    if is_native and syntax.encoding == written:
        return bytes(view)
    decode = None if is_native else _decoder(transfer_syntax_uid, max_bytes)
    elements, _ = Rewriter(view, syntax.encoding, written, decode).dataset(0, len(view))
    chunks = list(elements.all_chunks())
    if length_of(chunks) > max_bytes:
        raise Unsupported(f"it would take more than {max_bytes} bytes")
    return _joined(chunks)


def _joined(chunks: list[Chunk]) -> bytes:
    """All chunks in one value; frames are decoded one at a time, and nothing is held twice."""
    out = io.BytesIO()
    for chunk in chunks:
        if isinstance(chunk, Frames):
            for part in chunk.make():
                out.write(part)
        else:
            out.write(chunk)
    return out.getvalue()


def _inflated(view: memoryview, max_bytes: int) -> bytes:
    inflated = inflate(view, 0, max_bytes)
    if inflated.is_damaged:
        raise Unsupported("its dataset can't be inflated to the end")
    if not inflated.is_whole:
        raise Unsupported(f"it would take more than {max_bytes} bytes")
    return inflated.data


def _only_as_stored(transfer_syntax_uid: str, reason: str) -> Unsupported:
    return Unsupported(
        f"This object is stored in {describe(transfer_syntax_uid)} and can only be sent in that "
        f"transfer syntax: {reason}"
    )


# --- pixel data -----------------------------------------------------------------------------------


def _decoder(transfer_syntax_uid: str, max_bytes: int) -> Decoder:
    def decode(values: Mapping[int, Buffer], pixel_data: memoryview) -> NativePixels:
        return _native_pixels(values, pixel_data, transfer_syntax_uid, max_bytes)

    return decode


def _native_pixels(
    values: Mapping[int, Buffer], pixel_data: memoryview, transfer_syntax_uid: str, max_bytes: int
) -> NativePixels:
    description = describe_pixels(values)
    count = description.number_of_frames
    length = -(-description.frame_bits * count // 8)
    length += length & 1
    if not 0 < length <= min(max_bytes, _MAX_VALUE_LENGTH):
        raise Unsupported(f"its pixel data would take {length} bytes, {max_bytes} are allowed")
    fragments = frame_fragments(pixel_data, count, _extended_offsets(values))
    if not fragments:
        raise Unsupported(f"its fragments can't be told apart as {count} frames")
    first = decode_frame(b"".join(fragments[0]), transfer_syntax_uid, description)

    def make() -> Iterator[bytes]:
        yield from join_frames(frames(), description.frame_bits)

    def frames() -> Iterator[bytes]:
        yield first.data
        for parts in fragments[1:]:
            decoded = decode_frame(b"".join(parts), transfer_syntax_uid, description)
            _check_alike(first, decoded)
            yield decoded.data

    changes = _changes(values, description, first)
    if is_lossy(bytes(b"".join(fragments[0])), transfer_syntax_uid):
        native = description.frame_bytes * description.number_of_frames
        compressed = sum(len(part) for parts in fragments for part in parts)
        changes |= lossy_changes(values, transfer_syntax_uid, native, compressed)
    bits = description.bits_allocated
    return NativePixels(
        "OW" if bits > 8 else "OB", max(1, bits // 8), Frames(length, make), changes
    )


def describe_pixels(values: Mapping[int, Buffer]) -> PixelDescription:
    """The Image Pixel module from raw little endian values. Raises Unsupported without size."""

    def number(tag: int, default: int = 0) -> int:
        value = values.get(tag, b"")
        return int(struct.unpack_from("<H", value)[0]) if len(value) >= 2 else default

    bits = number(0x00280100)
    description = PixelDescription(
        rows=number(0x00280010),
        columns=number(0x00280011),
        samples_per_pixel=number(0x00280002, 1),
        bits_allocated=bits,
        bits_stored=number(0x00280101, bits),
        pixel_representation=number(0x00280103) & 1,
        planar_configuration=number(_PLANAR_CONFIGURATION),
        photometric_interpretation=_text(values, _PHOTOMETRIC_INTERPRETATION) or _KNOWN_PHOTOMETRIC,
        number_of_frames=_number_of_frames(values),
    )
    if description.frame_bits <= 0:
        raise Unsupported("its header does not say how large the image is")
    if bits != 1 and bits % 8:
        raise Unsupported(f"{bits} bits allocated are neither 1 nor whole bytes")
    return description


def _text(values: Mapping[int, Buffer], tag: int) -> str:
    return str(values.get(tag, b""), "latin-1").strip(" \0")


def _number_of_frames(values: Mapping[int, Buffer]) -> int:
    text = _text(values, 0x00280008).split("\\")[0]
    try:
        return max(1, int(text)) if text else 1
    except ValueError as exc:
        raise Unsupported("its NumberOfFrames is no number") from exc


def _extended_offsets(values: Mapping[int, Buffer]) -> tuple[int, ...]:
    table = values.get(_EXTENDED_OFFSET_TABLE, b"")
    return struct.unpack_from(f"<{len(table) // 8}Q", table)


def _changes(
    values: Mapping[int, Buffer],
    description: PixelDescription,
    decoded: DecodedFrame,
) -> dict[int, tuple[str, bytes] | None]:
    """The elements that describe the pixels otherwise than before."""
    changes: dict[int, tuple[str, bytes] | None] = dict.fromkeys(_ONLY_OF_COMPRESSED)
    photometric = decoded.photometric_interpretation
    if photometric != description.photometric_interpretation:
        changes[_PHOTOMETRIC_INTERPRETATION] = ("CS", photometric.encode("ascii"))
    is_colour = description.samples_per_pixel > 1
    if is_colour and (
        _PLANAR_CONFIGURATION not in values
        or decoded.planar_configuration != description.planar_configuration
    ):
        planar = struct.pack("<H", decoded.planar_configuration)
        changes[_PLANAR_CONFIGURATION] = ("US", planar)
    return changes


def _check_alike(first: DecodedFrame, other: DecodedFrame) -> None:
    if first.photometric_interpretation != other.photometric_interpretation:
        raise Unsupported("its frames are of different colour spaces")
