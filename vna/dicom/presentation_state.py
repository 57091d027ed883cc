"""How a softcopy presentation state wants an image to be shown (PS3.3 A.33, PS3.4 N.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from vna.dicom.json_reading import Dataset, items, number, numbers, text, texts
from vna.dicom.rendering.options import Viewport
from vna.errors import InvalidQuery, Unsupported
from vna.model.query import JsonElement

_STATES = "1.2.840.10008.5.1.4.1.1.11."
_GREY, _XA_XRF, _COLOUR = _STATES + "1", _STATES + "5", _STATES + "2"

_MODALITY = ("00283000", "00281052", "00281053", "00281054")
_VOI = ("00283010", "00281050", "00281051", "00281056")
_PRESENTATION = ("20500010", "20500020")
_ANNOTATIONS, _DISPLAYED_AREAS = "00700001", "0070005A"
_OF_FRAMES = (_ANNOTATIONS, _DISPLAYED_AREAS)
_DRAWN_GROUPS = frozenset(f"60{number:02X}" for number in range(0, 32, 2))
_DRAWN = ("00700060", *(f"001816{number:02X}" for number in range(0x00, 0x26, 2)), "00181623")
_PLACES = ("00700003", "00700004", "00700005")
"""Annotation units of text, of its anchor, of graphics."""

_MATRIX = "MATRIX"
_MAX_DRAWING = 8 * 2**20

_SUBTRACTION = "00286100"


@dataclass(frozen=True, slots=True)
class Area:
    """The pixels that are displayed, from `left`, `top` (counted from 0) to before `right`, `bottom`."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class PresentationState:
    """What a state says of one image.

    `elements`: JSON of the grey scale transformations in place of the image's own. The image is turned
    by `rotation` degrees clockwise, then mirrored when `is_mirrored`. `area` is what is displayed of it.
    `drawing`: JSON of the shutters, overlays and annotations. `not_shown` names what the state has besides.
    """

    elements: bytes
    drawing: bytes
    rotation: int
    is_mirrored: bool
    area: Area
    not_shown: tuple[str, ...]

    def viewport(self, columns: int, rows: int) -> Viewport:
        """The viewport that shows it; `columns` and `rows` bound what comes out, 0 does not.

        Sizes and mirroring are given for the image before it is turned.
        """
        is_on_side = self.rotation in {90, 270}
        width, height = (rows, columns) if is_on_side else (columns, rows)
        area = self.area
        across, down = area.right - area.left, area.bottom - area.top
        if self.is_mirrored:
            across, down = (across, -down) if is_on_side else (-across, down)
        return Viewport(width, height, area.left, area.top, across, down)


def read_state(
    state: Dataset, sop_instance_uid: str, frame: int, size: tuple[int, int]
) -> PresentationState:
    """What `state` says of a frame of an image of `size` (columns, rows).

    Raises InvalidQuery when it does not refer to that, Unsupported for states that would show
    something else altogether without what is not supported.
    """
    kind = text(state, "00080016")
    if kind not in {_GREY, _XA_XRF, _COLOUR}:
        raise Unsupported(f"presentation states of SOP class {kind or 'unknown'} can't be applied")
    if items(state, _SUBTRACTION):
        raise Unsupported("the presentation state subtracts a mask, which can't be done here")
    if not any(_applies(image, sop_instance_uid, frame) for image in _images(state)):
        raise InvalidQuery(
            f"the presentation state does not refer to frame {frame} of {sop_instance_uid}"
        )
    elements = {} if kind == _COLOUR else _grey_elements(state, sop_instance_uid, frame)
    degrees = number(state, "00700042") or 0.0
    return PresentationState(
        elements=orjson.dumps(elements),
        drawing=_drawing(state, sop_instance_uid, frame),
        rotation=int(degrees) % 360 // 90 * 90,
        is_mirrored=text(state, "00700041").upper() == "Y",
        area=_area(state, sop_instance_uid, frame, size),
        not_shown=_not_shown(state),
    )


@dataclass(frozen=True, slots=True)
class Referenced:
    """An image that a state is for; no `frames` means all of them."""

    sop_instance_uid: str
    frames: tuple[int, ...]


def referenced_images(state: Dataset) -> list[Referenced]:
    """The images that `state` refers to, in its order."""
    return [
        Referenced(text(image, "00081155"), tuple(map(int, numbers(image, "00081160"))))
        for image in _images(state)
    ]


def _images(state: Dataset) -> Iterator[Dataset]:
    for series in items(state, "00081115"):
        yield from items(series, "00081140")


def _applies(image: Dataset, sop_instance_uid: str, frame: int) -> bool:
    """Whether an item of a Referenced Image Sequence means that frame."""
    frames = texts(image, "00081160")
    return text(image, "00081155") == sop_instance_uid and (not frames or str(frame) in frames)


def _items_for(state: Dataset, tag: str, sop_instance_uid: str, frame: int) -> Iterator[Dataset]:
    """The items of a sequence that mean that frame; one without references means all."""
    for item in items(state, tag):
        referenced = items(item, "00081140")
        if not referenced or any(_applies(image, sop_instance_uid, frame) for image in referenced):
            yield item


def _item_for(state: Dataset, tag: str, sop_instance_uid: str, frame: int) -> Dataset | None:
    """The first item of a sequence that means that frame."""
    return next(_items_for(state, tag, sop_instance_uid, frame), None)


def _drawing(state: Dataset, sop_instance_uid: str, frame: int) -> bytes:
    """JSON of what the state draws on that frame, as it says it. Raises Unsupported for too much."""
    found = {tag: element for tag, element in state.items() if tag[:4] in _DRAWN_GROUPS}
    found |= _copied(state, _DRAWN)
    for tag in _OF_FRAMES:
        values: list[object] = list(_items_for(state, tag, sop_instance_uid, frame))
        found[tag] = {"vr": "SQ", "Value": values}
    drawing = orjson.dumps(found)
    if len(drawing) > _MAX_DRAWING:
        raise Unsupported(f"the presentation state draws more than is drawn ({_MAX_DRAWING} bytes)")
    return drawing


def _not_shown(state: Dataset) -> tuple[str, ...]:
    """What is not drawn; PS3.18 lets a server say so."""
    objects = (
        item
        for annotation in items(state, _ANNOTATIONS)
        for tag in ("00700008", "00700009")
        for item in items(annotation, tag)
    )
    is_there = any(text(item, unit) == _MATRIX for item in objects for unit in _PLACES)
    return ("annotations in units of a pixel matrix",) if is_there else ()


def _grey_elements(state: Dataset, sop_instance_uid: str, frame: int) -> dict[str, JsonElement]:
    """The transformations of the state: one that it does not have leaves values as they are."""
    voi = _item_for(state, "00283110", sop_instance_uid, frame) or {}
    own = (*_copied(state, _MODALITY), *_copied(voi, _VOI), *_copied(state, _PRESENTATION))
    absent = dict.fromkeys((*_MODALITY, *_VOI, *_PRESENTATION), _ABSENT)
    return {**absent, "00280004": _MONOCHROME, **dict(own)}


_ABSENT: JsonElement = {"vr": "UN"}
_MONOCHROME: JsonElement = {"vr": "CS", "Value": ["MONOCHROME2"]}
"""Only the state says what is bright (PS3.3 C.11.6.1.2)."""


def _copied(source: Dataset, tags: tuple[str, ...]) -> Iterator[tuple[str, JsonElement]]:
    return ((tag, source[tag]) for tag in tags if tag in source)


def _area(state: Dataset, sop_instance_uid: str, frame: int, size: tuple[int, int]) -> Area:
    """The displayed area; the whole image where none is given, or one outside of it."""
    whole = Area(0.0, 0.0, *map(float, size))
    item = _item_for(state, "0070005A", sop_instance_uid, frame) or {}
    corners = (numbers(item, "00700052")[:2], numbers(item, "00700053")[:2])
    if any(len(corner) < 2 for corner in corners):
        return whole
    (left, right), (top, bottom) = (sorted(ends) for ends in zip(*corners, strict=True))
    area = Area(
        max(0.0, left - 1), max(0.0, top - 1), min(whole.right, right), min(whole.bottom, bottom)
    )
    return area if area.left < area.right and area.top < area.bottom else whole
