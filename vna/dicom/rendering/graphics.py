"""Graphic and text annotations of a presentation state, drawn on a picture of its image (PS3.3 C.10.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from PIL import Image, ImageDraw

from vna.dicom.rendering.attributes import Attributes
from vna.dicom.rendering.covers import Layer, read_layers
from vna.dicom.rendering.inks import WHITE, Colour, Fill, colour_of, fill_of, is_grey
from vna.dicom.rendering.plane import Plane, Point
from vna.dicom.rendering.shapes import outline
from vna.dicom.rendering.texts import TextBox, draw_text
from vna.errors import Unsupported

ANNOTATIONS = "00700001"
_LAYER, _TEXTS, _GRAPHICS = "00700002", "00700008", "00700009"
_UNITS, _BOX_UNITS, _ANCHOR_UNITS = "00700005", "00700003", "00700004"
_DATA, _TYPE, _FILLED = "00700022", "00700023", "00700024"
_TEXT, _TOP_LEFT, _BOTTOM_RIGHT, _JUSTIFIED = "00700006", "00700010", "00700011", "00700012"
_ANCHOR, _ANCHOR_SHOWN = "00700014", "00700015"
_TEXT_STYLE, _TEXT_LAB = "00700231", "00700241"
_LINE_STYLE, _LINE_LAB, _THICKNESS = "00700232", "00700251", "00700253"
_THICKEST, _DOT = 64, 2
_MOST_POINTS = 100_000


@dataclass(frozen=True, slots=True)
class _Stroke:
    points: list[Point]
    colour: Colour
    thickness: int
    is_filled: bool
    is_dot: bool


def drawn(image: Image.Image, state: Attributes, plane: Plane) -> Image.Image:
    """`image`, on which `plane` says where things lie, with all annotations of `state`; lower layers first.

    Raises Unsupported when these are too many.
    """
    found = list(_drawables(state, plane))
    if not found:
        return image
    if sum(len(one.points) for one in found if isinstance(one, _Stroke)) > _MOST_POINTS:
        raise Unsupported(f"The presentation state draws more than {_MOST_POINTS} points")
    has_colours = not all(is_grey(one.colour) for one in found)
    image = image.convert("RGB") if has_colours and image.mode == "L" else image.copy()
    draw = ImageDraw.Draw(image)
    for one in found:
        fill = fill_of(image.mode, one.colour)
        if isinstance(one, TextBox):
            draw_text(draw, one, fill, plane.size)
        else:
            _draw_stroke(draw, one, fill)
    return image


def _drawables(state: Attributes, plane: Plane) -> Iterator[_Stroke | TextBox]:
    layers = read_layers(state)
    annotations = [(_layer_of(item, layers), item) for item in state.items(ANNOTATIONS)]
    for layer, item in sorted(annotations, key=lambda found: found[0].order):
        for graphic in item.items(_GRAPHICS):
            stroke = _stroke(graphic, layer, plane)
            if stroke is not None:
                yield stroke
        for text in item.items(_TEXTS):
            box = _text_box(text, layer, plane)
            if box is not None:
                yield box


def _layer_of(item: Attributes, layers: Mapping[str, Layer]) -> Layer:
    return layers.get(item.text(_LAYER), Layer(0.0, WHITE))


def _stroke(graphic: Attributes, layer: Layer, plane: Plane) -> _Stroke | None:
    points = plane.points(graphic, _DATA, graphic.text(_UNITS))
    kind = graphic.text(_TYPE)
    line = outline(kind, points)
    if not line:
        return None
    style = next(iter(graphic.items(_LINE_STYLE)), Attributes({}))
    return _Stroke(
        line,
        colour_of(style, "", _LINE_LAB, layer.colour),
        min(_THICKEST, max(1, round(style.number(_THICKNESS) or 1))),
        graphic.text(_FILLED) == "Y",
        kind == "POINT",
    )


def _draw_stroke(draw: ImageDraw.ImageDraw, stroke: _Stroke, fill: Fill) -> None:
    points = stroke.points
    if stroke.is_dot:
        draw.circle(points[0], _DOT * stroke.thickness, fill)
        return
    if stroke.is_filled and len(points) > 2:
        draw.polygon(points, fill)
    draw.line(points, fill, stroke.thickness, "curve")


def _text_box(text: Attributes, layer: Layer, plane: Plane) -> TextBox | None:
    corners = [
        point
        for tag in (_TOP_LEFT, _BOTTOM_RIGHT)
        for point in plane.points(text, tag, text.text(_BOX_UNITS))
    ]
    anchor = plane.points(text, _ANCHOR, text.text(_ANCHOR_UNITS))
    if not text.text(_TEXT) or (len(corners) != 2 and not anchor):
        return None
    style = next(iter(text.items(_TEXT_STYLE)), Attributes({}))
    return TextBox(
        text.text(_TEXT),
        colour_of(style, "", _TEXT_LAB, layer.colour),
        tuple(corners) if len(corners) == 2 else (),
        text.text(_JUSTIFIED),
        anchor[0] if anchor else None,
        text.text(_ANCHOR_SHOWN) == "Y",
    )
