"""A stored object's dataset in another transfer syntax (PS3.5 A)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping

from vna.dicom.codestream import frame_fragments, split_items
from vna.dicom.compress import compressed_chunks
from vna.dicom.decode import DecodedFrame, PixelDescription, decode_frame, described_by
from vna.dicom.deflate import Inflation, inflate
from vna.dicom.element_writer import Buffer, Chunk, Frames, length_of
from vna.dicom.envelope import find_syntax
from vna.dicom.lossy import is_lossy, lossy_changes
from vna.dicom.native import frame_to_little_endian, join_frames, native_frame
from vna.dicom.pixel_description import changes_between, describe_pixels
from vna.dicom.rewrite import Decoder, NativePixels, Rewriter
from vna.dicom.syntaxes import (
    DECODABLE,
    DEFLATED_EXPLICIT_VR,
    EXPLICIT_VR_LITTLE_ENDIAN,
    OBJECT_TARGETS,
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
MAX_VALUE_LENGTH = 0xFFFFFFFE
"""Bytes of the longest value whose length is told in its element."""

_EXTENDED_OFFSET_TABLE = 0x7FE00001


def transcode(
    source: Buffer,
    *,
    dataset_offset: int,
    transfer_syntax_uid: str,
    target: str = EXPLICIT_VR_LITTLE_ENDIAN,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> bytes:
    """The dataset of `source`, a whole object whose dataset begins at `dataset_offset`, in syntax
    `target`, one of OBJECT_TARGETS.

    Between native syntaxes no value changes but in the order of its bytes. Compressed pixel data
    are decoded: PhotometricInterpretation, PlanarConfiguration and (after a lossy compression)
    LossyImageCompression, its ratio and method say what became of them, offset tables go, all other
    elements keep their bytes where the encoding stays explicit little endian. For a compressed
    `target` they are compressed (again) without loss.

    Raises Unsupported, naming the stored syntax, for what can't be decoded or compressed, and before
    anything of that size is allocated when the result would exceed `max_bytes`.
    """
    if target not in OBJECT_TARGETS:
        raise Unsupported(f"Objects can't be rewritten to {describe(target)}")
    view = memoryview(source)[dataset_offset:]
    if transfer_syntax_uid == target:
        return bytes(view)
    if not can_transcode(transfer_syntax_uid):
        raise _only_as_stored(transfer_syntax_uid, "there is no decoder for it")
    try:
        if target in TARGETS:
            return _rewritten(view, transfer_syntax_uid, target, max_bytes)
        native = _rewritten(view, transfer_syntax_uid, EXPLICIT_VR_LITTLE_ENDIAN, max_bytes)
    except Unsupported as exc:
        raise _only_as_stored(transfer_syntax_uid, str(exc)) from exc
    if target == DEFLATED_EXPLICIT_VR:
        return _deflated(native)
    return _compressed(native, transfer_syntax_uid, target)


def _compressed(native: bytes, transfer_syntax_uid: str, target: str) -> bytes:
    try:
        return b"".join(compressed_chunks(native, target))
    except Unsupported as exc:
        raise Unsupported(
            f"This object, stored in {describe(transfer_syntax_uid)}, can't be sent in "
            f"{describe(target)}, but as stored or uncompressed: {exc}"
        ) from exc


def _deflated(dataset: bytes) -> bytes:
    """Of even length, as PS3.5 A.5 wants it."""
    compressor = zlib.compressobj(zlib.Z_BEST_SPEED, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = compressor.compress(dataset) + compressor.flush()
    return data + b"\0" if len(data) & 1 else data


def _rewritten(view: memoryview, transfer_syntax_uid: str, target: str, max_bytes: int) -> bytes:
    syntax, written = find_syntax(view, 0, transfer_syntax_uid), TARGETS[target]
    if syntax.deflated:
        view = memoryview(_inflated(view, max_bytes))
    is_native = transfer_syntax_uid not in DECODABLE
    if is_native and syntax.encoding == written:
        return bytes(view)
    decode = None if is_native else decoder_of(transfer_syntax_uid, max_bytes)
    elements, _ = Rewriter(view, syntax.encoding, written, decode).dataset(0, len(view))
    chunks = list(elements.all_chunks())
    if length_of(chunks) > max_bytes:
        raise Unsupported(f"it would take more than {max_bytes} bytes")
    return joined(chunks)


def joined(chunks: list[Chunk]) -> bytes:
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
    counted = Inflation(view, 0, max_bytes)
    size = sum(map(len, counted))  # first: a small stream may hold all the memory that there is
    if counted.is_damaged:
        raise Unsupported("its dataset can't be inflated to the end")
    if not counted.is_whole:
        raise Unsupported(f"it would take more than {max_bytes} bytes")
    return inflate(view, 0, size).data


def _only_as_stored(transfer_syntax_uid: str, reason: str) -> Unsupported:
    return Unsupported(
        f"This object is stored in {describe(transfer_syntax_uid)} and can only be sent in that "
        f"transfer syntax: {reason}"
    )


# --- pixel data -----------------------------------------------------------------------------------


def decoder_of(transfer_syntax_uid: str, max_bytes: int) -> Decoder:
    """Decodes pixel data of that syntax wherever it stands in a dataset, up to `max_bytes`."""

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
    if not 0 < length <= min(max_bytes, MAX_VALUE_LENGTH):
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

    changes = changes_between(values, description, described_by(first, description))
    if is_lossy(bytes(b"".join(fragments[0])), transfer_syntax_uid):
        native = description.frame_bytes * description.number_of_frames
        compressed = sum(len(part) for parts in fragments for part in parts)
        changes |= lossy_changes(values, transfer_syntax_uid, native, compressed)
    bits = description.bits_allocated
    return NativePixels(
        "OW" if bits > 8 else "OB", max(1, bits // 8), Frames(length, make), changes
    )


def _extended_offsets(values: Mapping[int, Buffer]) -> tuple[int, ...]:
    table = values.get(_EXTENDED_OFFSET_TABLE, b"")
    return struct.unpack_from(f"<{len(table) // 8}Q", table)


def _check_alike(first: DecodedFrame, other: DecodedFrame) -> None:
    if first.photometric_interpretation != other.photometric_interpretation:
        raise Unsupported("its frames are of different colour spaces")
