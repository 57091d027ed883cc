"""The Image Pixel module of an encoded dataset, read and changed (PS3.3 C.7.6.3)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from vna.dicom.decode import PixelDescription
from vna.errors import Unsupported

Buffer = bytes | memoryview
Changes = dict[int, tuple[str, bytes] | None]
"""By tag what an element becomes: (VR, little endian value); None: it goes."""

_KNOWN_PHOTOMETRIC = "MONOCHROME2"
_PHOTOMETRIC_INTERPRETATION, _PLANAR_CONFIGURATION = 0x00280004, 0x00280006
_OFFSET_TABLES = (0x7FE00001, 0x7FE00002, 0x7FE00003)


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


def changes_between(
    values: Mapping[int, Buffer], before: PixelDescription, after: PixelDescription
) -> Changes:
    """The elements by which pixels that were described as `before` are described as `after`.

    What counts the bytes of compressed frames goes: it is never true of others.
    """
    changes: Changes = dict.fromkeys(_OFFSET_TABLES)
    photometric = after.photometric_interpretation
    if photometric != before.photometric_interpretation:
        changes[_PHOTOMETRIC_INTERPRETATION] = ("CS", photometric.encode("ascii"))
    is_colour = before.samples_per_pixel > 1
    if is_colour and (
        _PLANAR_CONFIGURATION not in values
        or after.planar_configuration != before.planar_configuration
    ):
        changes[_PLANAR_CONFIGURATION] = ("US", struct.pack("<H", after.planar_configuration))
    return changes
