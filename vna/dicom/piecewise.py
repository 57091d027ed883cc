"""A dataset converted to another transfer syntax frame by frame: what stands around the frames."""

from __future__ import annotations

from dataclasses import dataclass

from vna.dicom.compress import PIXEL_DATA_HEAD
from vna.dicom.decode import PixelDescription, decode_frame, described_by
from vna.dicom.element_changes import apply_changes
from vna.dicom.element_writer import Buffer, ElementWriter
from vna.dicom.elements import EXPLICIT_LITTLE
from vna.dicom.encode_pixels import compressed_description
from vna.dicom.envelope import find_syntax
from vna.dicom.lossy import is_lossy, lossy_changes
from vna.dicom.pixel_description import Changes, changes_between, describe_pixels
from vna.dicom.pixels import MAX_VALUE_LENGTH, decoder_of, joined
from vna.dicom.rewrite import Elements, Rewriter
from vna.dicom.syntaxes import DECODABLE, ENCODABLE, TARGETS
from vna.dicom.vr_context import PIXEL_DATA
from vna.errors import Unsupported

_MAX_ICON_BYTES = 64 * 2**20
_UNDEFINED = b"\xff" * 4


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All before and all behind the frames in the new syntax, with the head of the pixel data.

    `description` is of the frames as they are stored; decoded they are of `photometric_interpretation`.
    """

    head: bytes
    tail: bytes
    description: PixelDescription
    photometric_interpretation: str


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """Encoded pixel data as far as its surroundings tell of it: the first frame, how many there are,
    and the bytes that all take.
    """

    first: bytes
    count: int
    length: int


def convert_surroundings(
    parts: tuple[Buffer, Buffer], source: str, target: str, pixels: StoredPixels
) -> Surroundings:
    """`parts`, the elements before and behind the pixel data of a dataset in little endian `source`.

    Says the same as `transcode` would. Raises Unsupported.
    """
    before, after = memoryview(parts[0]), memoryview(parts[1])
    encoding = find_syntax(before, 0, source).encoding
    written = TARGETS.get(target, EXPLICIT_LITTLE)
    decoder = decoder_of(source, _MAX_ICON_BYTES) if source in DECODABLE else None
    elements, _ = Rewriter(before, encoding, written, decoder).dataset(0, len(before))
    behind, _ = Rewriter(after, encoding, written).dataset(0, len(after))
    description = describe_pixels(elements.values)
    if description.number_of_frames != pixels.count:
        raise Unsupported(f"it has {pixels.count} frames, its header says otherwise")
    described, changes = _decoded(elements, description, source, pixels)
    final = compressed_description(described, target) if target in ENCODABLE else described
    changes |= changes_between(elements.values, description, final)
    apply_changes(elements, changes, written)
    head = PIXEL_DATA_HEAD if target in ENCODABLE else _native_head(final, ElementWriter(written))
    return Surroundings(
        joined(list(elements.all_chunks())) + head,
        joined(list(behind.all_chunks())),
        description,
        described.photometric_interpretation,
    )


def native_surroundings(
    parts: tuple[Buffer, Buffer, Buffer], source: str, target: str
) -> tuple[bytes, bytes]:
    """What stands before and behind native pixel data in `target`, both syntaxes being uncompressed
    and of one byte order; `parts`: the elements before, the head of the pixel data, those behind.

    Says the same as `transcode` would. Raises Unsupported.
    """
    encoding, written = TARGETS[source], TARGETS[target]
    before, head, after = map(bytes, parts)
    length = head[-4:]
    if length == _UNDEFINED or length[0] & 1:
        raise Unsupported("the length of its pixel data is odd, or not told")
    view, behind = memoryview(before + head[:-4] + bytes(4)), memoryview(after)
    elements, _ = Rewriter(view, encoding, written).dataset(0, len(view))
    following, _ = Rewriter(behind, encoding, written).dataset(0, len(behind))
    rewritten = joined(list(elements.all_chunks()))
    return rewritten[:-4] + length, joined(list(following.all_chunks()))


def _decoded(
    elements: Elements, description: PixelDescription, source: str, pixels: StoredPixels
) -> tuple[PixelDescription, Changes]:
    """The image once its frames are decoded, and what it then says of a loss."""
    if source not in DECODABLE:
        return description, {}
    described = described_by(decode_frame(pixels.first, source, description), description)
    if not is_lossy(pixels.first, source):
        return described, {}
    native = description.frame_bytes * pixels.count
    return described, dict(lossy_changes(elements.values, source, native, pixels.length))


def _native_head(description: PixelDescription, writer: ElementWriter) -> bytes:
    length = native_length(description)
    if length > MAX_VALUE_LENGTH:
        raise Unsupported(f"its pixel data would take {length} bytes")
    return writer.head(PIXEL_DATA, "OW" if description.bits_allocated > 8 else "OB", length)


def native_length(description: PixelDescription) -> int:
    """Bytes of all its frames without compression, padded to an even number."""
    length = -(-description.frame_bits * description.number_of_frames // 8)
    return length + (length & 1)
