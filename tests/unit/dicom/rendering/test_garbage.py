"""Headers and pixels of any kind become an image or an error in words, in bounded time."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import samples
from vna.dicom.rendering.options import (
    GIF,
    JPEG,
    MP4,
    PNG,
    Region,
    RenderOptions,
    Viewport,
    VoiFunction,
    Window,
)
from vna.dicom.rendering.render import render_frames
from vna.errors import InvalidQuery, Unsupported

NUMBERS = st.one_of(
    st.integers(0, 70),
    st.sampled_from([-1, 255, 256, 65535, 65536, 2**31, -(2**31), 10**30]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1e308, -1e308, 1e-308, "x", None, {"Alphabetic": "x"}, ""]),
)
VALUES = st.lists(NUMBERS, max_size=4)
_TEXTS = (
    "MONOCHROME1|MONOCHROME2|RGB|PALETTE COLOR|YBR_FULL|YBR_FULL_422|HSV|ARGB|CMYK|INVERSE|LINEAR|"
    "SIGMOID|FRACTIONAL|XYB"
)
TEXTS = st.sampled_from(_TEXTS.split("|"))
ELEMENTS = st.one_of(
    st.builds(lambda values: {"vr": "DS", "Value": values}, VALUES),
    st.builds(lambda text: {"vr": "CS", "Value": [text]}, TEXTS),
    st.builds(
        lambda text: {"vr": "OW", "InlineBinary": text},
        st.sampled_from(["", "AAE=", "//8AAA==", "%"]),
    ),
)
_TAGS = (
    "00181063 00181065 00280002 00280004 00280006 00280030 00280034 00280100 00280101 "
    "00280102 00280103 00280120 00280121 00281050 00281051 00281052 00281053 00281056 "
    "00281101 00281102 00281103 00281201 00281202 00281203 00281221 00281222 00281223 "
    "00282000 00283002 00283006 00620001 0062000E 20500020 60000010 60000011 60000015 "
    "60000050 60000051 60000100 60000102 60003000 7FE00008 7FE00009 00280010"
)
TAGS = st.sampled_from(_TAGS.split())
ITEMS = st.dictionaries(TAGS, ELEMENTS, max_size=6)
SEQUENCES = st.dictionaries(
    st.sampled_from(["00283000", "00283010", "20500010", "52009229", "52009230", "00480105"]),
    st.builds(lambda items: {"vr": "SQ", "Value": items}, st.lists(ITEMS, max_size=3)),
    max_size=3,
)
SIDES = st.integers(1, 9)
FLOATS = st.floats(-20, 20)
OPTIONS = st.builds(
    RenderOptions,
    st.sampled_from([JPEG, PNG, GIF]),
    viewport=st.none()
    | st.builds(
        Viewport, st.integers(0, 40), st.integers(0, 40), FLOATS, FLOATS, st.none() | FLOATS
    ),
    window=st.none() | st.builds(Window, FLOATS, FLOATS, st.sampled_from(list(VoiFunction))),
    annotation=st.sampled_from([(), ("patient", "technique")]),
    icc_profile=st.sampled_from(["no", "yes", "adobergb"]),
    region=st.none() | st.just(Region(0.1, 0.2, 0.7, 0.9)),
    rotation=st.sampled_from([0, 90]),
)


def header(rows: int, columns: int, *others: dict[str, Any]) -> bytes:
    elements: dict[str, Any] = {
        "00280010": {"vr": "US", "Value": [rows]},
        "00280011": {"vr": "US", "Value": [columns]},
        "00280100": {"vr": "US", "Value": [16]},
        "7FE00010": {"vr": "OW"},
    }
    for other in others:
        elements |= other
    return orjson.dumps(elements, default=str, option=orjson.OPT_NON_STR_KEYS)


def jsonable(elements: dict[str, Any]) -> dict[str, Any]:
    """Numbers that orjson has no form for stay text."""
    return {
        tag: {**element, "Value": [str(v) if v == 10**30 else v for v in element["Value"]]}
        if element.get("vr") == "DS"
        else element
        for tag, element in elements.items()
    }


@settings(max_examples=400, deadline=None)
@given(
    ITEMS,
    SEQUENCES,
    st.lists(st.binary(min_size=160, max_size=700), min_size=1, max_size=3),
    OPTIONS,
    SIDES,
    SIDES,
)
def test_any_header(
    items: dict[str, Any],
    sequences: dict[str, Any],
    frames: list[bytes],
    options: RenderOptions,
    rows: int,
    columns: int,
) -> None:
    nested = {
        tag: {"vr": "SQ", "Value": [jsonable(item) for item in element["Value"]]}
        for tag, element in sequences.items()
    }
    data = header(rows, columns, jsonable(items), nested)
    try:
        assert render_frames(data, frames, samples.EXPLICIT, options, max_pixels=10_000)
    except (Unsupported, InvalidQuery) as exc:
        assert str(exc)


@pytest.mark.parametrize("media_type", [JPEG, PNG, GIF, MP4])
@pytest.mark.parametrize("rows", [1, 2, 7, 17])
@pytest.mark.parametrize("columns", [1, 3, 16, 33])
def test_any_size(media_type: str, rows: int, columns: int) -> None:
    frame = bytes(2 * rows * columns)
    found = render_frames(
        header(rows, columns), [frame, frame], samples.EXPLICIT, RenderOptions(media_type)
    )
    assert len(found) > 20


@pytest.mark.parametrize("media_type", [JPEG, PNG, GIF])
@pytest.mark.parametrize(("rows", "columns"), [(65_500, 1), (1, 65_500)])
def test_the_longest_sides(media_type: str, rows: int, columns: int) -> None:
    frame = bytes(2 * rows * columns)
    assert render_frames(
        header(rows, columns), [frame], samples.EXPLICIT, RenderOptions(media_type)
    )


def test_a_video_has_smaller_frames_than_a_still() -> None:
    data, frame = header(4097, 4096), bytes(2 * 4097 * 4096)
    with pytest.raises(InvalidQuery, match="16777216 pixels"):
        render_frames(data, [frame], samples.EXPLICIT, RenderOptions(MP4))


def test_sides_beyond_those_need_a_viewport() -> None:
    data, frame = header(65_535, 1), bytes(2 * 65_535)
    with pytest.raises(InvalidQuery):
        render_frames(data, [frame], samples.EXPLICIT, RenderOptions(PNG))
    options = RenderOptions(PNG, viewport=Viewport(100, 100))
    assert render_frames(data, [frame], samples.EXPLICIT, options)
