"""Viewports, regions, flips and the aspect of pixels (PS3.18 8.3.5.1.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dicom.rendering.files import grey_image, rendered
from vna.dicom.rendering.geometry import MAX_SIDE, check_size, placement
from vna.dicom.rendering.options import PNG, Region, RenderOptions, Viewport
from vna.errors import InvalidQuery

VALUES = np.arange(200, dtype=np.uint8).reshape(10, 20)


def viewed(viewport: Viewport | None = None, /, **overrides: Any) -> np.ndarray:
    options = RenderOptions(media_type=PNG, viewport=viewport)
    return rendered(grey_image(VALUES, **overrides), options=options)


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [
        (40, 40, (20, 40)),
        (40, 8, (8, 16)),
        (10, 99, (5, 10)),
        (1, 1, (1, 1)),
        (0, 30, (30, 60)),
        (7, 0, (4, 7)),
    ],
)
def test_the_image_fits_the_viewport(width: int, height: int, shape: tuple[int, int]) -> None:
    assert viewed(Viewport(width, height)).shape == shape


def test_a_viewport_of_the_same_size_changes_nothing() -> None:
    np.testing.assert_array_equal(viewed(Viewport(20, 10)), VALUES)


def test_a_source_rectangle_is_cut_out() -> None:
    image = viewed(Viewport(5, 4, 10, 2, 5, 4))
    np.testing.assert_array_equal(image, VALUES[2:6, 10:15])
    to_the_edge = viewed(Viewport(10, 8, 10, 2))
    np.testing.assert_array_equal(to_the_edge, VALUES[2:, 10:])


def test_negative_sizes_flip() -> None:
    image = viewed(Viewport(20, 10, 0, 0, -20, 10))
    np.testing.assert_array_equal(image, VALUES[:, ::-1])
    image = viewed(Viewport(20, 10, 0, 0, 20, -10))
    np.testing.assert_array_equal(image, VALUES[::-1])
    image = viewed(Viewport(20, 10, 0, 0, -20, -10))
    np.testing.assert_array_equal(image, VALUES[::-1, ::-1])


def test_a_source_rectangle_is_bounded_by_the_image() -> None:
    np.testing.assert_array_equal(viewed(Viewport(5, 5, 15, 5, 900, 900)), VALUES[5:, 15:])


@pytest.mark.parametrize("source", [(20, 0, 5, 5), (0, 10, 5, 5), (-9, 0, 5, 5), (0, -9, 5, 5)])
def test_a_source_rectangle_outside_is_refused(source: tuple[float, float, float, float]) -> None:
    with pytest.raises(InvalidQuery):
        viewed(Viewport(5, 5, *source))


def test_regions_are_parts_of_the_image() -> None:
    options = RenderOptions(media_type=PNG, region=Region(0.5, 0, 1, 0.2))
    image = rendered(grey_image(VALUES), options=options)
    np.testing.assert_array_equal(image, VALUES[:2, 10:])


def test_a_region_is_scaled_by_a_viewport() -> None:
    options = RenderOptions(media_type=PNG, region=Region(0.5, 0, 1, 1), viewport=Viewport(5, 5))
    assert rendered(grey_image(VALUES), options=options).shape == (5, 5)


@pytest.mark.parametrize("keyword", ["PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"])
def test_scaling_makes_pixels_square(keyword: str) -> None:
    for value, shape in (
        ("2\\1", (40, 40)),
        ("1\\2", (10, 40)),
        ("1\\1", (20, 40)),
        ("0\\0", (20, 40)),
    ):
        assert viewed(Viewport(40, 40), **{keyword: value}).shape == shape
        np.testing.assert_array_equal(viewed(**{keyword: value}), VALUES)


def test_the_spacing_of_functional_groups_counts() -> None:
    shared = [{"PixelMeasuresSequence": [{"PixelSpacing": "2\\1"}]}]
    assert viewed(Viewport(40, 40), SharedFunctionalGroupsSequence=shared).shape == (40, 40)


def test_what_is_too_large_is_refused_before_it_is_made() -> None:
    for size in ((100_000, 100_000), (MAX_SIDE + 1, 1), (1000, 1001)):
        with pytest.raises(InvalidQuery, match="smaller viewport"):
            check_size(size, 1_000_000)
    with pytest.raises(InvalidQuery, match="smaller viewport"):
        viewed(Viewport(60_000, 60_000))


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.floats(0.02, 50),
    st.builds(
        Viewport,
        st.integers(1, 5000),
        st.integers(1, 5000),
        st.floats(-100, 5000),
        st.floats(-100, 5000),
        st.none() | st.floats(-5000, 5000),
        st.none() | st.floats(-5000, 5000),
    ),
)
def test_whatever_fits_lies_within(
    size: tuple[int, int], aspect: float, viewport: Viewport
) -> None:
    try:
        place = placement(size, aspect, RenderOptions(viewport=viewport))
    except InvalidQuery:
        return
    left, top, right, bottom = place.box
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert 1 <= place.size[0] <= viewport.width
    assert 1 <= place.size[1] <= viewport.height
