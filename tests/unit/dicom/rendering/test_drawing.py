"""What a presentation state draws: shutters, overlays, graphics and text."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import samples
from tests.unit.dicom.rendering.files import grey_image, rendered
from tests.unit.test_presentation_state import state
from vna.dicom.presentation_state import read_state
from vna.dicom.rendering.inks import rgb_of_lab
from vna.dicom.rendering.options import PNG, RenderOptions, Viewport
from vna.errors import Unsupported

ROWS, COLUMNS = 40, 60
GREY = 100
FLAT = np.full((ROWS, COLUMNS), GREY, np.uint8)
RED = [35_579, 53_665, 50_859]
"""sRGB red: L* 54.29, a* 80.81, b* 69.89 (D50)."""


def drawn(image: bytes | None = None, /, bounds: tuple[int, int] = (0, 0), **elements: Any) -> Any:
    """A flat grey image with all that a state of these elements draws."""
    overlays = {tag: elements.pop(tag) for tag in list(elements) if tag.startswith("60")}
    found = read_state({**state(**elements), **overlays}, "1.3", 1, (COLUMNS, ROWS))
    options = RenderOptions(
        PNG,
        viewport=found.viewport(*bounds),
        rotation=found.rotation,
        presentation=found.elements,
        drawing=found.drawing,
    )
    return rendered(image or grey_image(FLAT), options=options)


def graphic(kind: str, *data: float, units: str = "PIXEL", **more: Any) -> dict[str, Any]:
    points = [float(number) for number in data]
    return {
        "GraphicAnnotationUnits": units,
        "GraphicDimensions": 2,
        "NumberOfGraphicPoints": len(points) // 2,
        "GraphicData": points,
        "GraphicType": kind,
        "GraphicFilled": "Y",
        **more,
    }


def text(value: str, *box: float, units: str = "PIXEL", **more: Any) -> dict[str, Any]:
    corners: dict[str, Any] = {}
    if box:
        corners = {
            "BoundingBoxAnnotationUnits": units,
            "BoundingBoxTopLeftHandCorner": list(map(float, box[:2])),
            "BoundingBoxBottomRightHandCorner": list(map(float, box[2:])),
        }
    return {"UnformattedTextValue": value, **corners, **more}


def annotated(*graphics: dict[str, Any], texts: Any = (), layer: str = "A") -> dict[str, Any]:
    item: dict[str, Any] = {"GraphicLayer": layer, "GraphicObjectSequence": list(graphics)}
    if texts:
        item["TextObjectSequence"] = list(texts)
    return item


def layers(*found: tuple[str, int, int]) -> list[dict[str, Any]]:
    return [
        {
            "GraphicLayer": name,
            "GraphicLayerOrder": str(order),
            "GraphicLayerRecommendedDisplayGrayscaleValue": value,
        }
        for name, order, value in found
    ]


def where(picture: np.ndarray, level: int = 255) -> tuple[int, int, int, int]:
    """Left, top, right and bottom (behind the last) of what has that grey."""
    rows, columns = np.nonzero(picture == level)
    assert len(rows), "nothing of it is there"
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


# --- graphics -------------------------------------------------------------------------------------

SQUARE = (10, 5, 20, 5, 20, 15, 10, 15, 10, 5)


def written(picture: np.ndarray) -> tuple[int, int, int, int]:
    """As `where`, of what is brighter than the image: letters have soft edges."""
    return where(np.where(picture > GREY + 20, 255, 0))


def close(found: tuple[int, ...], expected: tuple[float, ...]) -> bool:
    return all(abs(one - other) <= 1.01 for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("POLYLINE", SQUARE, (10, 5, 20, 15)),
        ("CIRCLE", (30, 20, 40, 20), (20, 10, 40, 30)),
        ("ELLIPSE", (10, 20, 50, 20, 30, 10, 30, 30), (10, 10, 50, 30)),
        ("POINT", (30, 20), (28, 18, 32, 22)),
        ("INTERPOLATED", (10, 20, 30, 20, 50, 20), (10, 20, 50, 20)),
    ],
)
def test_graphics_lie_where_their_points_are(
    kind: str, data: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    picture = drawn(GraphicAnnotationSequence=[annotated(graphic(kind, *data))])
    assert close(where(picture), expected), where(picture)
    assert picture[0, 0] == GREY


def test_an_outline_is_not_filled() -> None:
    outline = graphic("CIRCLE", 30, 20, 40, 20, GraphicFilled="N")
    picture = drawn(GraphicAnnotationSequence=[annotated(outline)])
    assert close(where(picture), (20, 10, 40, 30))
    assert picture[20, 30] == GREY


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({}, (10, 5, 20, 15)),
        ({"ImageHorizontalFlip": "Y"}, (40, 5, 50, 15)),
        ({"ImageRotation": 90}, (ROWS - 15, 10, ROWS - 5, 20)),
        ({"ImageRotation": 180}, (40, ROWS - 15, 50, ROWS - 5)),
        ({"ImageRotation": 270}, (5, COLUMNS - 20, 15, COLUMNS - 10)),
        ({"ImageRotation": 90, "ImageHorizontalFlip": "Y"}, (5, 10, 15, 20)),
    ],
)
def test_graphics_turn_with_the_image(
    overrides: dict[str, Any], expected: tuple[int, int, int, int]
) -> None:
    square = annotated(graphic("POLYLINE", *SQUARE))
    assert close(where(drawn(GraphicAnnotationSequence=[square], **overrides)), expected)


@pytest.mark.parametrize(
    "overrides", [{}, {"ImageHorizontalFlip": "Y"}, {"ImageRotation": 90}, {"ImageRotation": 180}]
)
def test_graphics_of_the_display_do_not_turn(overrides: dict[str, Any]) -> None:
    corner = graphic("POLYLINE", 0, 0, 0.5, 0, 0.5, 0.25, 0, 0.25, units="DISPLAY")
    picture = drawn(GraphicAnnotationSequence=[annotated(corner)], **overrides)
    rows, columns = picture.shape
    assert close(where(picture), (0, 0, columns / 2, rows / 4))


def test_graphics_grow_with_the_image_and_are_cut_with_it() -> None:
    area = {
        "DisplayedAreaTopLeftHandCorner": [11, 6],
        "DisplayedAreaBottomRightHandCorner": [40, 25],
        "PresentationSizeMode": "SCALE TO FIT",
    }
    shown = annotated(
        graphic("POLYLINE", *SQUARE), graphic("POINT", 0.5, 0.5, units="DISPLAY"), layer="B"
    )
    dark = layers(("B", 1, 0))
    picture = drawn(
        bounds=(120, 80),
        DisplayedAreaSelectionSequence=[area],
        GraphicAnnotationSequence=[shown],
        GraphicLayerSequence=dark,
    )
    assert picture.shape == (80, 120)
    assert (picture[:39, :39] == 0).all()
    assert picture[40, 60] == 0
    assert picture[60, 100] == GREY


def test_layers_lie_on_each_other_in_their_order_with_their_grey() -> None:
    first = annotated(graphic("POLYLINE", *SQUARE), layer="UPPER")
    second = annotated(graphic("CIRCLE", 15, 10, 25, 10), layer="LOWER")
    picture = drawn(
        GraphicAnnotationSequence=[first, second],
        GraphicLayerSequence=layers(("UPPER", 2, 0x4000), ("LOWER", 1, 0xC000)),
    )
    assert picture[10, 15] == 0x40
    assert picture[10, 23] == 0xBF


def test_colours_make_a_grey_image_one_of_colours() -> None:
    red = {
        "GraphicLayer": "A",
        "GraphicLayerOrder": "1",
        "GraphicLayerRecommendedDisplayCIELabValue": RED,
    }
    square = annotated(graphic("POLYLINE", *SQUARE))
    picture = drawn(GraphicAnnotationSequence=[square], GraphicLayerSequence=[red])
    assert picture.shape == (ROWS, COLUMNS, 3)
    assert np.abs(picture[10, 15].astype(int) - (255, 0, 0)).max() <= 2
    assert list(picture[30, 40]) == [GREY] * 3


@pytest.mark.parametrize(
    ("lab", "expected"),
    [
        ((65535, 32896, 32896), (255, 255, 255)),
        ((0, 32896, 32896), (0, 0, 0)),
        (RED, (255, 0, 0)),
    ],
)
def test_cielab(lab: list[float], expected: tuple[int, int, int]) -> None:
    assert np.abs(np.array(rgb_of_lab(lab)) - expected).max() <= 2


def test_only_what_refers_to_the_frame() -> None:
    other = annotated(graphic("POLYLINE", *SQUARE))
    other["ReferencedImageSequence"] = [{"ReferencedSOPInstanceUID": "1.9"}]
    assert (drawn(GraphicAnnotationSequence=[other]) == GREY).all()


def test_too_many_points_are_refused() -> None:
    many = [graphic("CIRCLE", 30, 20, 40, 20)] * 1100
    with pytest.raises(Unsupported, match="100000 points"):
        drawn(GraphicAnnotationSequence=[annotated(*many)])


# --- text -----------------------------------------------------------------------------------------


def test_text_fills_its_box() -> None:
    picture = drawn(GraphicAnnotationSequence=[annotated(texts=[text("HHHH", 5, 10, 55, 30)])])
    left, top, right, bottom = written(picture)
    assert 5 <= left < right <= 56
    assert 10 <= top < bottom <= 31
    assert bottom - top >= 8


@pytest.mark.parametrize(("justified", "middle"), [("LEFT", 15), ("CENTER", 30), ("RIGHT", 45)])
def test_text_is_justified(justified: str, middle: int) -> None:
    one = text("H", 0, 10, 60, 30, BoundingBoxTextHorizontalJustification=justified)
    left, _, right, _ = written(drawn(GraphicAnnotationSequence=[annotated(texts=[one])]))
    assert (left + right) / 2 == pytest.approx(middle, abs=15)
    assert (left < 10) is (justified == "LEFT")
    assert (right > 50) is (justified == "RIGHT")


def test_text_stays_upright() -> None:
    one = text("HHHHHHHH", 0, 0, 60, 12)
    plain = written(drawn(GraphicAnnotationSequence=[annotated(texts=[one])]))
    turned = written(drawn(GraphicAnnotationSequence=[annotated(texts=[one])], ImageRotation=180))
    assert plain[2] - plain[0] == turned[2] - turned[0]
    assert turned[1] >= ROWS - 12


def test_an_anchor() -> None:
    anchor: dict[str, Any] = {"AnchorPointAnnotationUnits": "PIXEL", "AnchorPoint": [50.0, 35.0]}
    line = text("H", 2, 2, 20, 12, **anchor, AnchorPointVisibility="Y")
    assert written(drawn(GraphicAnnotationSequence=[annotated(texts=[line])]))[2:] == (51, 36)
    hidden = text("H", 2, 2, 20, 12, **anchor, AnchorPointVisibility="N")
    assert written(drawn(GraphicAnnotationSequence=[annotated(texts=[hidden])]))[2] <= 20
    alone = text("H", **{**anchor, "AnchorPoint": [20.0, 10.0]})
    left, top, *_ = written(drawn(GraphicAnnotationSequence=[annotated(texts=[alone])]))
    assert (left, top) >= (20, 10)


# --- shutters and overlays ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shutter", "seen"),
    [
        (
            {
                "ShutterShape": "RECTANGULAR",
                "ShutterLeftVerticalEdge": "11",
                "ShutterRightVerticalEdge": "20",
                "ShutterUpperHorizontalEdge": "6",
                "ShutterLowerHorizontalEdge": "15",
            },
            (10, 5, 20, 15),
        ),
        (
            {
                "ShutterShape": "CIRCULAR",
                "CenterOfCircularShutter": ["21", "31"],
                "RadiusOfCircularShutter": "10",
            },
            (20, 10, 41, 31),
        ),
        (
            {
                "ShutterShape": "POLYGONAL",
                "VerticesOfThePolygonalShutter": ["6", "11", "6", "20", "15", "20", "15", "11"],
            },
            (10, 5, 20, 15),
        ),
    ],
)
def test_a_shutter_hides_what_is_outside(
    shutter: dict[str, Any], seen: tuple[int, int, int, int]
) -> None:
    picture = drawn(**shutter, ShutterPresentationValue=0x3000)
    assert where(picture, GREY) == seen
    assert picture[0, 0] == 0x30
    black = drawn(**shutter)
    assert black[0, 0] == 0


def test_shutters_together_and_graphics_on_them() -> None:
    picture = drawn(
        ShutterShape=["RECTANGULAR", "CIRCULAR"],
        ShutterLeftVerticalEdge="1",
        ShutterRightVerticalEdge="30",
        ShutterUpperHorizontalEdge="1",
        ShutterLowerHorizontalEdge="40",
        CenterOfCircularShutter=["21", "31"],
        RadiusOfCircularShutter="10",
        GraphicAnnotationSequence=[annotated(graphic("POINT", 55, 35))],
    )
    assert where(picture, GREY) == (20, 11, 30, 30)
    assert picture[35, 55] == 255


def overlay(group: str, *, data: bool = True, layer: str = "") -> dict[str, Any]:
    """A plane of 8 by 8 in the upper left corner, all set, in the JSON model."""
    elements: dict[str, Any] = {}
    if data:
        words = {"0010": 8, "0011": 8, "0050": [1, 1], "0100": 1, "0102": 0}
        for element, value in words.items():
            elements[group + element] = {
                "vr": "US",
                "Value": value if element == "0050" else [value],
            }
        elements[group + "3000"] = {"vr": "OW", "InlineBinary": b64encode(b"\xff" * 8).decode()}
    if layer:
        elements[group + "1001"] = {"vr": "CS", "Value": [layer]}
    return elements


PLANE: dict[Any, Any] = {
    0x60000010: samples.Typed("US", 8),
    0x60000011: samples.Typed("US", 8),
    0x60000050: samples.Typed("SS", [1, 1]),
    0x60000100: samples.Typed("US", 1),
    0x60000102: samples.Typed("US", 0),
    0x60003000: samples.Typed("OW", b"\xff" * 8),
}


def test_overlays_are_those_that_the_state_activates() -> None:
    image = grey_image(FLAT, PLANE)
    assert rendered(image)[0, 0] == 255
    assert drawn(image)[0, 0] == GREY
    dim = layers(("A", 1, 0x8000))
    shown = drawn(image, GraphicLayerSequence=dim, **overlay("6000", data=False, layer="A"))
    assert where(shown, 0x80) == (0, 0, 8, 8)
    own = drawn(GraphicLayerSequence=dim, **overlay("6002", layer="A"))
    assert where(own, 0x80) == (0, 0, 8, 8)
    assert (drawn(**overlay("6002")) == GREY).all()


def test_an_overlay_can_be_the_shutter() -> None:
    hidden = drawn(
        ShutterShape="BITMAP",
        ShutterOverlayGroup=0x6002,
        ShutterPresentationValue=0,
        **overlay("6002"),
    )
    assert where(hidden, 0) == (0, 0, 8, 8)


# --- nonsense -------------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.floats(-1e3, 1e3, width=32), st.sampled_from([1e38, -1e38, float("nan"), float("inf"), 0.0])
)
ELEMENT = st.fixed_dictionaries(
    {},
    optional={
        tag: st.lists(NUMBERS | st.text(max_size=3) | st.none(), max_size=9).map(
            lambda found: {"vr": "FL", "Value": found}
        )
        for tag in ("00700022", "00700010", "00700011", "00700014", "00700253")
    }
    | {
        "00700023": st.sampled_from(["POINT", "CIRCLE", "ELLIPSE", "INTERPOLATED", "POLYLINE"]).map(
            lambda kind: {"vr": "CS", "Value": [kind]}
        ),
        "00700006": st.text(max_size=40).map(lambda found: {"vr": "ST", "Value": [found]}),
        "00700024": st.just({"vr": "CS", "Value": ["Y"]}),
    },
)
UNITS = {tag: {"vr": "CS", "Value": ["PIXEL"]} for tag in ("00700003", "00700004", "00700005")}


@given(
    st.lists(ELEMENT, max_size=3),
    st.dictionaries(
        st.sampled_from(
            [f"001816{number:02X}" for number in (2, 4, 6, 8, 0x10, 0x12, 0x20, 0x22, 0x24)]
        ),
        st.lists(NUMBERS | st.none(), max_size=8).map(lambda found: {"vr": "IS", "Value": found}),
    ),
)
def test_whatever_a_state_says_there_is_a_picture(
    found: list[dict[str, Any]], shutter: dict[str, Any]
) -> None:
    objects = [{**UNITS, **item} for item in found]
    item = {tag: {"vr": "SQ", "Value": objects} for tag in ("00700008", "00700009")}
    shapes = {"vr": "CS", "Value": ["RECTANGULAR", "CIRCULAR", "POLYGONAL", "BITMAP", "?"]}
    whole = {"00700001": {"vr": "SQ", "Value": [item]}, "00181600": shapes, **shutter}
    options = RenderOptions(PNG, viewport=Viewport(30, 30), drawing=orjson.dumps(whole))
    assert rendered(grey_image(FLAT), options=options).shape[:2] == (20, 30)
