"""Whole files rendered without an archive, as the service does it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from tests import samples
from vna.dicom.codestream import split_items
from vna.dicom.deflate import MAX_HEADER_BYTES, inflated_object
from vna.dicom.encode_values import swap_words
from vna.dicom.envelope import DEFLATED_UIDS
from vna.dicom.header import Header, read_header
from vna.dicom.native import native_frame
from vna.dicom.rendering.header_reading import read_relevant
from vna.dicom.rendering.options import PNG, RenderOptions
from vna.dicom.rendering.render import render_frames
from vna.dicom.syntaxes import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN
from vna.model.frames import NativeFrames

AS_PNG = RenderOptions(media_type=PNG)


def rendered_file(
    data: bytes, numbers: Sequence[int] = (1,), options: RenderOptions = AS_PNG
) -> bytes:
    """Frames of a DICOM file rendered."""
    header = read_header(data, sop_instance_uid="1.2.3", sop_class_uid="1.2.3")
    syntax = header.transfer_syntax_uid
    relevant = read_relevant(
        data,
        dataset_offset=header.layout.dataset_offset,
        transfer_syntax_uid=syntax,
        stop=header.layout.header_length,
    )
    plain: bytes | memoryview = data
    if syntax in DEFLATED_UIDS:
        plain = inflated_object(data, header.layout.dataset_offset, MAX_HEADER_BYTES)
    if syntax == EXPLICIT_VR_BIG_ENDIAN:
        start, word = header.layout.pixel_offset, max(2, relevant.description.bits_allocated // 8)
        value = bytes(plain[start : start + header.layout.pixel_length])
        is_bytes = b'"7FE00010":{"vr":"OB"' in relevant.common
        plain = bytes(plain[:start]) + (value if is_bytes else swap_words(value, word))
    frames = [stored_frame(plain, header, number) for number in numbers]
    if isinstance(header.frames, NativeFrames):
        syntax = EXPLICIT_VR_LITTLE_ENDIAN
    return render_frames(relevant.of_frames(numbers), frames, syntax, options, numbers)


def stored_frame(data: bytes | memoryview, header: Header, number: int) -> bytes:
    """A frame as it is stored, item headers stripped."""
    assert header.frames is not None
    start, length = header.frames.span(number)
    span = data[start : start + length]
    if isinstance(header.frames, NativeFrames):
        return native_frame(span, header.frames, number)
    return b"".join(split_items(span))


def pixels_of(file: bytes) -> np.ndarray:
    """The pixels of a PNG."""
    return np.asarray(Image.open(io.BytesIO(file)))


def check_alike(image: np.ndarray, expected: np.ndarray) -> None:
    """Equal, but for one pixel in ten thousand that other arithmetic rounds to the other side."""
    difference = np.abs(image.astype(int) - expected)
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= max(1, image.size // 10_000)


Elements = Mapping[Any, samples.Value]


def grey_image(values: np.ndarray, elements: Elements | None = None, /, **overrides: Any) -> bytes:
    """A Part 10 file of one monochrome frame, or of several when `values` has three axes."""
    rows, columns = values.shape[-2:]
    bits = 8 * values.itemsize
    whole = samples.identity() | samples.image(rows, columns, bits=bits)
    if values.ndim == 3:
        whole["NumberOfFrames"] = str(len(values))
    whole["PixelRepresentation"] = int(values.dtype.kind == "i")
    whole["PixelData"] = samples.Typed("OW", values.tobytes())
    return samples.part10({**whole, **(elements or {}), **overrides})


def colour_image(
    values: np.ndarray,
    photometric: str = "RGB",
    elements: Elements | None = None,
    /,
    **overrides: Any,
) -> bytes:
    """A Part 10 file of one frame of (rows, columns, samples) in 8 or 16 bits."""
    rows, columns, count = values.shape
    whole = samples.identity() | samples.image(rows, columns, bits=8 * values.itemsize)
    whole |= {
        "SamplesPerPixel": count,
        "PhotometricInterpretation": photometric,
        "PlanarConfiguration": 0,
        "PixelData": samples.Typed("OB" if values.itemsize == 1 else "OW", values.tobytes()),
    }
    return samples.part10({**whole, **(elements or {}), **overrides})


def rendered(data: bytes, number: int = 1, options: RenderOptions = AS_PNG) -> np.ndarray:
    """The pixels of one rendered frame."""
    return pixels_of(rendered_file(data, (number,), options))
