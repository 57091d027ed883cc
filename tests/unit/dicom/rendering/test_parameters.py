"""Rendering parameters as they come in a URL (PS3.18 8.3.5.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vna.dicom.rendering.options import Region, Viewport, VoiFunction, Window
from vna.dicom.rendering.parameters import (
    parse_annotation,
    parse_icc_profile,
    parse_quality,
    parse_region,
    parse_viewport,
    parse_window,
)
from vna.errors import InvalidQuery

PARSERS = (
    parse_viewport,
    parse_window,
    parse_quality,
    parse_annotation,
    parse_icc_profile,
    parse_region,
)


@pytest.mark.parametrize(
    ("text", "viewport"),
    [
        ("256,128", Viewport(256, 128)),
        ("256, 128", Viewport(256, 128)),
        ("10,20,1.5,2", Viewport(10, 20, 1.5, 2.0)),
        ("10,20,,,-30,40", Viewport(10, 20, 0.0, 0.0, -30.0, 40.0)),
        ("10,20,-5,0", Viewport(10, 20, -5.0, 0.0)),
    ],
)
def test_viewport(text: str, viewport: Viewport) -> None:
    assert parse_viewport(text) == viewport


@pytest.mark.parametrize(
    "text",
    [
        "",
        "256",
        "0,256",
        "256,0",
        "-1,5",
        "a,b",
        "1,2,3,4,5,6,7",
        "1,2,,,0,5",
        "1,2,nan",
        "1e3,5",
        "²,5",
    ],
)
def test_a_viewport_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery):
        parse_viewport(text)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("40,400", Window(40, 400)),
        ("40,400,linear", Window(40, 400)),
        ("-600.5,1.6e3,LINEAR_EXACT", Window(-600.5, 1600, VoiFunction.LINEAR_EXACT)),
        ("0,0.25,linear-exact", Window(0, 0.25, VoiFunction.LINEAR_EXACT)),
        ("0,1,sigmoid", Window(0, 1, VoiFunction.SIGMOID)),
    ],
)
def test_window(text: str, window: Window) -> None:
    assert parse_window(text) == window


@pytest.mark.parametrize(
    "text",
    [
        *("nan,400", "40,nan", "inf,400", "40,inf", "-inf,1", "40,0", "40,-1", "40,0.5", "40"),
        *("40,400,cubic", "40,400,linear,1", "", ",", "1e999,1", "40,0,sigmoid", "0x10,5"),
    ],
)
def test_a_window_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery):
        parse_window(text)


def test_quality() -> None:
    assert [parse_quality(text) for text in ("1", "90", "100")] == [1, 90, 100]
    for text in ("0", "101", "-5", "9.5", "", "high", "1" * 5000):
        with pytest.raises(InvalidQuery):
            parse_quality(text)


def test_annotation_is_a_list_without_order() -> None:
    assert parse_annotation("technique,patient") == ("patient", "technique")
    assert parse_annotation("Patient") == ("patient",)
    for text in ("", ",", "patient,all"):
        with pytest.raises(InvalidQuery):
            parse_annotation(text)


def test_icc_profile() -> None:
    assert parse_icc_profile("sRGB") == "srgb"
    with pytest.raises(InvalidQuery):
        parse_icc_profile("cmyk")


def test_region() -> None:
    assert parse_region("0,0.25,1,0.5") == Region(0, 0.25, 1, 0.5)
    for text in ("", "0,0,0,1", "0,0,1.5,1", "-0.5,0,1,1", "0.5,0,0.2,1", "0,0,1"):
        with pytest.raises(InvalidQuery):
            parse_region(text)


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    for parse in PARSERS:
        try:
            assert parse(text) is not None
        except InvalidQuery as exc:
            assert len(str(exc)) < 400
