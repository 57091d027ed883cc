"""Colour profiles of rendered images: the image's own, or one of the usual spaces (PS3.18 8.3.5.1.5)."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageCms

from vna.dicom.rendering.attributes import Attributes

_ICC_PROFILE, _OPTICAL_PATHS = "00282000", "00480105"
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_WHITE = (0.9642, 1.0, 0.8249)  # the connection space's, D50
_FROM_D65 = (1.04788, 0.02292, -0.05022, 0.02959, 0.99048, -0.01707, -0.00925, 0.01508, 0.75168)
_NOT_ADAPTED = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Space:
    """Its name, the primaries adapted to D50, and the parameters of its tone curve."""

    name: str
    red: Point
    green: Point
    blue: Point
    curve: tuple[float, ...]
    adaptation: tuple[float, ...] = _FROM_D65


_SPACES = {
    "srgb": _Space(
        "sRGB",
        (0.43607, 0.22249, 0.01392),
        (0.38515, 0.71687, 0.09708),
        (0.14307, 0.06061, 0.71410),
        _SRGB_CURVE,
    ),
    "adobergb": _Space(
        "Adobe RGB (1998) compatible",
        (0.60974, 0.31111, 0.01947),
        (0.20528, 0.62567, 0.06087),
        (0.14919, 0.06322, 0.74457),
        (563 / 256,),
    ),
    "rommrgb": _Space(
        "ROMM RGB",
        (0.79767, 0.28804, 0.0),
        (0.13519, 0.71187, 0.0),
        (0.03134, 0.00009, 0.82490),
        (1.8,),
        _NOT_ADAPTED,
    ),
    "displayp3": _Space(
        "Display P3",
        (0.51512, 0.24120, -0.00105),
        (0.29198, 0.69225, 0.04189),
        (0.15710, 0.06657, 0.78407),
        _SRGB_CURVE,
    ),
}


def own_profile(attributes: Attributes) -> bytes:
    """The ICC profile of the dataset or of its first optical path that has one; b"" without."""
    own = attributes.data(_ICC_PROFILE)
    if own:
        return own
    paths = (item.data(_ICC_PROFILE) for item in attributes.items(_OPTICAL_PATHS))
    return next((data for data in paths if data), b"")


def with_profile(image: Image.Image, own: bytes, wanted: str) -> tuple[Image.Image, bytes | None]:
    """`image` in the colours of `wanted` (one of ICC_PROFILES), and the profile to embed.

    An image without a profile of its own, or with one that can't be read, counts as sRGB; a grey one
    becomes RGB, since these profiles are of that.
    """
    if wanted == "no":
        return image, None
    image = image.convert("RGB")
    source = own if _is_rgb_profile(own) else standard_profile("srgb")
    if wanted == "yes":
        return image, source
    target = standard_profile(wanted)
    if source == target:
        return image, target
    try:
        return _converted(image, source, target), target
    except ImageCms.PyCMSError:
        return _converted(image, standard_profile("srgb"), target), target


def _converted(image: Image.Image, source: bytes, target: bytes) -> Image.Image:
    converted = ImageCms.profileToProfile(image, io.BytesIO(source), io.BytesIO(target))
    return image if converted is None else converted


def _is_rgb_profile(data: bytes) -> bool:
    if data[36:40] != b"acsp" or data[16:20] != b"RGB ":
        return False
    try:
        ImageCms.ImageCmsProfile(io.BytesIO(data))
    except OSError:
        return False
    return True


@cache
def standard_profile(name: str) -> bytes:
    """A display profile of three primaries and a curve (ICC.1:2010 8.3)."""
    space = _SPACES[name]
    curve = _curve(space.curve)
    tags = {
        b"desc": _text(space.name),
        b"cprt": _text("No copyright"),
        b"wtpt": _xyz(_WHITE),
        b"chad": b"sf32" + bytes(4) + b"".join(map(_fixed, space.adaptation)),
        b"rXYZ": _xyz(space.red),
        b"gXYZ": _xyz(space.green),
        b"bXYZ": _xyz(space.blue),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    return _profile(tags)


def _profile(tags: dict[bytes, bytes]) -> bytes:
    table, body, start = [], b"", 128 + 4 + 12 * len(tags)
    for signature, data in tags.items():
        table.append(struct.pack(">4sII", signature, start + len(body), len(data)))
        body += data + bytes(-len(data) % 4)
    size = start + len(body)
    header = struct.pack(
        ">I4sI4s4s4s12s4s",
        size,
        bytes(4),
        0x04300000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        bytes(12),
        b"acsp",
    )
    header += bytes(28) + b"".join(map(_fixed, _WHITE))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + b"".join(table) + body


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _xyz(point: Point) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(_fixed, point))


def _curve(parameters: tuple[float, ...]) -> bytes:
    """A power, or the power with a linear foot of ICC.1 10.16, function type 3."""
    kind = 0 if len(parameters) == 1 else 3
    return struct.pack(">4sIHH", b"para", 0, kind, 0) + b"".join(map(_fixed, parameters))


def _fixed(number: float) -> bytes:
    return struct.pack(">i", round(number * 65536))
