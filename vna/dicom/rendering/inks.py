"""Colours in which a presentation state wants things drawn: P-values and CIELab (PS3.3 C.10.7.1)."""

from __future__ import annotations

from collections.abc import Sequence

from vna.dicom.rendering.attributes import Attributes

Colour = tuple[int, int, int]
Fill = int | Colour

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)

_TOP = 0xFFFF
_D50 = (0.9642, 1.0, 0.8249)
_LINEAR = 0.0031308
_LAB_EDGE = 6 / 29
_SRGB_OF_D50_XYZ = (
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)


def colour_of(attributes: Attributes, grey: str, lab: str, otherwise: Colour) -> Colour:
    """What the elements with these tags say, the colour before the P-value."""
    values = attributes.numbers(lab)
    if len(values) == 3:
        return rgb_of_lab(values)
    level = attributes.number(grey) if grey else None
    return otherwise if level is None else (_eight_bits(level / _TOP),) * 3


def rgb_of_lab(values: Sequence[float]) -> Colour:
    """sRGB of CIELab as DICOM encodes it: 0 to 65535 for L* from 0 to 100, a* and b* from -128 to 127."""
    light, green_red, blue_yellow = (min(_TOP, max(0.0, value)) / _TOP for value in values)
    middle = (100 * light + 16) / 116
    ratios = (
        middle + (255 * green_red - 128) / 500,
        middle,
        middle - (255 * blue_yellow - 128) / 200,
    )
    xyz = [white * _unbent(ratio) for white, ratio in zip(_D50, ratios, strict=True)]
    linear = (sum(a * b for a, b in zip(row, xyz, strict=True)) for row in _SRGB_OF_D50_XYZ)
    red, green, blue = (_eight_bits(_gamma(value)) for value in linear)
    return red, green, blue


def is_grey(colour: Colour) -> bool:
    """Whether a grey image can have it."""
    return len(set(colour)) == 1


def fill_of(mode: str, colour: Colour) -> Fill:
    """`colour` as an image of that mode, "L" or "RGB", takes it."""
    return colour[0] if mode == "L" else colour


def _unbent(ratio: float) -> float:
    is_cube = ratio > _LAB_EDGE
    return float(ratio**3) if is_cube else 3 * _LAB_EDGE**2 * (ratio - 4 / 29)


def _gamma(value: float) -> float:
    return 12.92 * value if value <= _LINEAR else 1.055 * float(value ** (1 / 2.4)) - 0.055


def _eight_bits(part: float) -> int:
    return min(255, max(0, round(255 * part)))
