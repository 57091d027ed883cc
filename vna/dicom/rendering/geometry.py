"""The part of an image that is asked for, in the size that is asked for (PS3.18 8.3.5.1.3)."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from vna.dicom.rendering.attributes import Attributes
from vna.dicom.rendering.options import Region, RenderOptions, Viewport
from vna.errors import InvalidQuery

MAX_SIDE = 65500
"""What a JPEG can be high or wide."""

_ASPECT_RATIO = "00280034"
_SPACINGS = ("00280030", "00181164", "00182010")
_EQUAL = 0.005
_MAX_ASPECT = 100.0

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Placement:
    """`box` (left, top, right, bottom) of the image becomes `size` (width, height), flipped or not."""

    box: Box
    size: tuple[int, int]
    flip_horizontally: bool = False
    flip_vertically: bool = False

    def place(self, image: Image.Image) -> Image.Image:
        """The image as placed; `image` itself where nothing is to be done."""
        left, top, right, bottom = self.box
        sides = round(right - left), round(bottom - top)
        if self.size == sides and all(side == int(side) for side in self.box):
            if self.box != (0, 0, *image.size):
                image = image.crop((int(left), int(top), int(right), int(bottom)))
        else:
            bicubic = Image.Resampling.BICUBIC  # over all pixels that become one, when it shrinks
            image = image.resize(self.size, bicubic, self.box, reducing_gap=2.0)
        if self.flip_horizontally:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.flip_vertically:
            image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        return image

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the image comes to lie; corners of pixels have whole numbers."""
        left, top, right, bottom = self.box
        across = (x - left) / (right - left) * self.size[0]
        down = (y - top) / (bottom - top) * self.size[1]
        return (
            self.size[0] - across if self.flip_horizontally else across,
            self.size[1] - down if self.flip_vertically else down,
        )


def pixel_aspect(attributes: Attributes) -> float:
    """The height of a pixel in widths; 1 where the header says nothing that can be true."""
    for tag in (_ASPECT_RATIO, *_SPACINGS):
        numbers = attributes.numbers(tag)[:2]
        if len(numbers) == 2 and min(numbers) > 0:
            aspect = numbers[0] / numbers[1]
            is_square = abs(aspect - 1) < _EQUAL or not 1 / _MAX_ASPECT < aspect < _MAX_ASPECT
            return 1.0 if is_square else aspect
    return 1.0


def placement(size: tuple[int, int], aspect: float, options: RenderOptions) -> Placement:
    """Where the (columns, rows) of an image go. Raises InvalidQuery when nothing would be left.

    Without a viewport every pixel is one, also where `aspect` says that they are not square.
    """
    box: Box = (0, 0, *size)
    if options.region is not None:
        box = _region_box(size, options.region)
    viewport = options.viewport
    if viewport is None:
        return Placement(box, (round(box[2] - box[0]), round(box[3] - box[1])))
    box = _viewport_box(box, viewport)
    return Placement(
        box,
        _fitted_size(box, aspect, viewport),
        (viewport.source_width or 0) < 0,
        (viewport.source_height or 0) < 0,
    )


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Raises InvalidQuery for an image that is larger than is rendered."""
    width, height = size
    if max(size) > MAX_SIDE or width * height > max_pixels:
        raise InvalidQuery(
            f"An image of {width} by {height} pixels is more than is rendered ({max_pixels} pixels, "
            f"{MAX_SIDE} to a side): ask for a smaller viewport"
        )


def _fitted_size(box: Box, aspect: float, viewport: Viewport) -> tuple[int, int]:
    width, height = box[2] - box[0], (box[3] - box[1]) * aspect
    scales = [
        bound / side
        for bound, side in ((viewport.width, width), (viewport.height, height))
        if bound
    ]
    scale = min(scales, default=1.0)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _viewport_box(box: Box, viewport: Viewport) -> Box:
    left, top = box[0] + viewport.source_x, box[1] + viewport.source_y
    width = box[2] - left if viewport.source_width is None else abs(viewport.source_width)
    height = box[3] - top if viewport.source_height is None else abs(viewport.source_height)
    return _clipped((left, top, left + width, top + height), box)


def _region_box(size: tuple[int, int], region: Region) -> Box:
    width, height = size
    whole: Box = (0, 0, width, height)
    sides = (region.left * width, region.top * height, region.right * width, region.bottom * height)
    left, top, right, bottom = (float(round(side)) for side in sides)
    return _clipped((left, top, max(right, left + 1), max(bottom, top + 1)), whole)


def _clipped(box: Box, outer: Box) -> Box:
    left, top = max(box[0], outer[0]), max(box[1], outer[1])
    right, bottom = min(box[2], outer[2]), min(box[3], outer[3])
    if right <= left or bottom <= top:
        raise InvalidQuery("The source rectangle lies outside of the image, or has no size")
    return left, top, right, bottom
