"""The pixel data of a native dataset compressed without loss (PS3.5 A.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vna.dicom.decode import PixelDescription
from vna.dicom.element_changes import apply_changes
from vna.dicom.element_writer import Buffer, ElementWriter, Frames
from vna.dicom.elements import EXPLICIT_LITTLE, ITEM, PIXEL_TAGS, SEQUENCE_END, UNDEFINED_LENGTH
from vna.dicom.encode_pixels import compressed_description, encode_frame
from vna.dicom.native import native_frame
from vna.dicom.pixel_description import changes_between, describe_pixels
from vna.dicom.rewrite import Elements, Rewriter
from vna.dicom.syntaxes import describe
from vna.dicom.vr_context import PIXEL_DATA
from vna.errors import Unsupported
from vna.model.frames import NativeFrames

_WRITER = ElementWriter(EXPLICIT_LITTLE)
PIXEL_DATA_HEAD = _WRITER.head(PIXEL_DATA, "OB", UNDEFINED_LENGTH)
"""What stands before the items of encapsulated pixel data."""


def compressed_chunks(dataset: Buffer, target: str) -> Iterator[Buffer]:
    """`dataset`, in explicit VR little endian, with its pixel data in the compressed syntax `target`.

    Frame by frame as it is taken; what needs no change shares its bytes with `dataset`. Icons stay
    as they are. A dataset without pixel data is the same in every compressed syntax. Raises
    Unsupported for pixels that `target` can't hold without loss.
    """
    view = memoryview(dataset)
    elements, _ = Rewriter(view, EXPLICIT_LITTLE, EXPLICIT_LITTLE).dataset(0, len(view))
    if PIXEL_DATA in elements.values:
        _compress(elements, target)
    elif PIXEL_TAGS & set(elements.values):
        raise Unsupported(f"Pixels of floating point can't be compressed as {describe(target)}")
    for chunk in elements.all_chunks():
        if isinstance(chunk, Frames):
            yield from chunk.make()
        else:
            yield chunk


def _compress(elements: Elements, target: str) -> None:
    description = describe_pixels(elements.values)
    described = compressed_description(description, target)
    changes = changes_between(elements.values, description, described)
    apply_changes(elements, changes, EXPLICIT_LITTLE)
    frames = _native_frames(memoryview(elements.values[PIXEL_DATA]), description)
    encoded = (encode_frame(frame, target, description) for frame in frames)
    elements.chunks[PIXEL_DATA] = [
        PIXEL_DATA_HEAD,
        Frames(0, lambda: encapsulated(encoded)),
    ]


def _native_frames(pixel_data: memoryview, description: PixelDescription) -> Iterator[bytes]:
    bits, count = description.frame_bits, description.number_of_frames
    table = NativeFrames(0, len(pixel_data), bits, count)
    if len(pixel_data) * 8 < bits * count:
        raise Unsupported(f"its pixel data end before the last of {count} frames")
    for number in range(1, count + 1):
        start, length = table.span(number)
        yield native_frame(pixel_data[start : start + length], table, number)


def encapsulated(frames: Iterable[bytes]) -> Iterator[bytes]:
    """`frames`, each of even length, as items behind an empty offset table, with their delimiter.

    One fragment for each frame: so they can be told apart without a table.
    """
    yield _WRITER.head(ITEM, "", 0)
    for frame in frames:
        yield _WRITER.head(ITEM, "", len(frame))
        yield frame
    yield _WRITER.delimiter(SEQUENCE_END)
