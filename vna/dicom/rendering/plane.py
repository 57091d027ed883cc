"""Where points of an image lie on the picture that was made of it (PS3.3 C.10.5.1)."""

from __future__ import annotations

from dataclasses import dataclass

from vna.dicom.rendering.attributes import Attributes
from vna.dicom.rendering.geometry import Box, Placement

Point = tuple[float, float]

_AREA, _TOP_LEFT, _BOTTOM_RIGHT = "0070005A", "00700052", "00700053"
_FAR = 2.0
"""How many sizes of the picture something may lie outside of it: further away nothing is seen of it."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A picture of part of an image: placed, then turned by `rotation` degrees clockwise.

    `area`: the box of the image that is to be displayed, be it wider than the image.
    """

    placement: Placement
    rotation: int
    area: Box

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        width, height = self.placement.size
        return (height, width) if self.rotation in {90, 270} else (width, height)

    def points(self, attributes: Attributes, tag: str, units: str) -> list[Point]:
        """The points of an element on the picture; none where one of them can't be understood."""
        values, numbers = attributes.values(tag), attributes.numbers(tag)
        if len(numbers) != len(values) or units not in {"PIXEL", "DISPLAY"}:
            return []
        pairs = zip(numbers[::2], numbers[1::2], strict=False)
        place = self._of_image if units == "PIXEL" else self._of_display
        return [self._near(place(x, y)) for x, y in pairs]

    def _of_image(self, x: float, y: float) -> Point:
        """From pixels of the image, whose upper left corner is 0, 0."""
        width, height = self.placement.size
        x, y = self.placement.point(x, y)
        turned: dict[int, Point] = {
            90: (height - y, x),
            180: (width - x, height - y),
            270: (y, width - x),
        }
        return turned.get(self.rotation, (x, y))

    def _of_display(self, x: float, y: float) -> Point:
        """From parts of what is displayed, as it is displayed."""
        left, top, right, bottom = self.area
        one, other = self._of_image(left, top), self._of_image(right, bottom)
        (first, last), (upper, lower) = (sorted(ends) for ends in zip(one, other, strict=True))
        return first + x * (last - first), upper + y * (lower - upper)

    def _near(self, point: Point) -> Point:
        limit = _FAR * max(self.size)
        x, y = (min(limit, max(-limit, value)) for value in point)
        return x, y


def plane_of(placement: Placement, rotation: int, state: Attributes) -> Plane:
    """The plane of a picture to which `state` is applied; its first displayed area counts (C.10.4)."""
    for item in state.items(_AREA)[:1]:
        first, last = item.numbers(_TOP_LEFT), item.numbers(_BOTTOM_RIGHT)
        if len(first) == len(last) == 2:
            (left, right), (top, bottom) = (sorted(ends) for ends in zip(first, last, strict=True))
            return Plane(placement, rotation, (left - 1, top - 1, right, bottom))
    return Plane(placement, rotation, placement.box)
