"""Colour images of every photometric interpretation (PS3.3 C.7.6.3.1.2), palettes and overlays."""

from __future__ import annotations

import colorsys
import contextlib
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.pixels.processing import convert_color_space

from tests import samples
from tests.unit.dicom.rendering.files import check_alike, colour_image, grey_image, rendered
from vna.dicom.rendering.palette import expand_segments
from vna.errors import Unsupported

RANDOM = np.random.default_rng(4).integers(0, 256, (16, 24, 3)).astype(np.uint8)
PALETTE = np.array([[10, 20, 30], [40, 50, 60], [250, 128, 0]])
NAMES = ("Red", "Green", "Blue")


def palette(
    colours: np.ndarray = PALETTE, *, first: int = 0, bits: int = 16, segmented: bool = False
) -> dict[str, samples.Value]:
    elements: dict[str, samples.Value] = {}
    for name, entries in zip(NAMES, colours.T.tolist(), strict=True):
        table = f"{name}PaletteColorLookupTable"
        words = [0, len(entries), *entries] if segmented else entries
        data = bytes(words) if bits == 8 else struct.pack(f"<{len(words)}H", *words)
        data += b"\0" * (len(data) & 1)
        elements[f"{table}Descriptor"] = samples.Typed("US", [len(entries), first, bits])
        elements[f"Segmented{table}Data" if segmented else f"{table}Data"] = samples.Typed(
            "OW", data
        )
    return elements


def test_rgb_stays() -> None:
    np.testing.assert_array_equal(rendered(colour_image(RANDOM)), RANDOM)


def test_planes_one_behind_the_other() -> None:
    planes = samples.Typed("OB", np.ascontiguousarray(RANDOM.transpose(2, 0, 1)).tobytes())
    data = colour_image(RANDOM, PlanarConfiguration=1, PixelData=planes)
    np.testing.assert_array_equal(rendered(data), RANDOM)


def test_twelve_of_sixteen_bits() -> None:
    values = (RANDOM.astype(np.uint16) << 4) + 15
    data = colour_image(values, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(rendered(data), RANDOM)


def test_every_colour_of_ybr_full_is_that_of_pydicom() -> None:
    chroma = np.stack(np.meshgrid(np.arange(256), np.arange(256)), axis=-1).astype(np.uint8)
    for luma in (0, 16, 77, 128, 201, 255):
        values = np.concatenate([np.full((256, 256, 1), luma, np.uint8), chroma], axis=2)
        expected = convert_color_space(values, "YBR_FULL", "RGB")
        check_alike(rendered(colour_image(values, "YBR_FULL")), expected)


def subsampled(values: np.ndarray) -> samples.Typed:
    """Two luminances, then the chroma of the first of both."""
    pairs = values.reshape(-1, 2, 3)
    return samples.Typed("OB", np.concatenate([pairs[:, :, 0], pairs[:, 0, 1:]], axis=1).tobytes())


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_PARTIAL_422"])
def test_half_the_chroma(photometric: str) -> None:
    values = np.repeat(RANDOM[:, ::2], 2, axis=1)
    data = colour_image(values, photometric, PixelData=subsampled(values))
    if photometric == "YBR_FULL_422":
        expected = convert_color_space(values, "YBR_FULL", "RGB")
        np.testing.assert_array_equal(rendered(data), expected)
    else:
        assert rendered(data).shape == values.shape


def test_the_ends_of_partial_luminance_are_black_and_white() -> None:
    values = np.array([[[16, 128, 128], [235, 128, 128]]], np.uint8)
    data = colour_image(values, "YBR_PARTIAL_422", PixelData=subsampled(values))
    assert rendered(data).tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_a_name_of_jpeg_2000_outside_of_it_means_rgb() -> None:
    np.testing.assert_array_equal(rendered(colour_image(RANDOM, "YBR_RCT")), RANDOM)


def test_hsv() -> None:
    values = np.array([[[0, 255, 255], [85, 255, 255], [170, 255, 128], [0, 0, 77]]], np.uint8)
    expected = [
        [round(255 * part) for part in colorsys.hsv_to_rgb(*(value / 255 for value in pixel))]
        for pixel in values[0].tolist()
    ]
    assert np.abs(rendered(colour_image(values, "HSV"))[0].astype(int) - expected).max() <= 1


def test_cmyk() -> None:
    values = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 255, 0], [9, 9, 9, 255]]], np.uint8)
    expected = [[[255, 255, 255], [0, 255, 255], [255, 0, 0], [0, 0, 0]]]
    assert rendered(colour_image(values, "CMYK")).tolist() == expected


def test_argb_takes_the_palette_where_alpha_is_not_zero() -> None:
    values = np.array([[[0, 1, 2, 3], [2, 1, 2, 3]]], np.uint8)
    plain = rendered(colour_image(values, "ARGB"))
    assert plain.tolist() == [[[1, 2, 3], [1, 2, 3]]]
    mixed = rendered(colour_image(values, "ARGB", **palette()))
    assert mixed.tolist() == [[[1, 2, 3], [250, 128, 0]]]


def test_two_samples_mean_nothing() -> None:
    with pytest.raises(Unsupported):
        rendered(colour_image(RANDOM[..., :2], "RGB"))


@pytest.mark.parametrize("segmented", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("first", [0, 7])
def test_palette_colours(bits: int, first: int, segmented: bool) -> None:
    values = np.array([[0, first], [first + 1, first + 9]], np.uint8)
    colours = palette(first=first, bits=bits, segmented=segmented)
    data = grey_image(values, PhotometricInterpretation="PALETTE COLOR", **colours)
    expected = PALETTE[np.clip(values.astype(int) - first, 0, 2)]
    np.testing.assert_array_equal(rendered(data), expected)


def test_palettes_of_sixteen_bits() -> None:
    colours = palette((PALETTE << 8) + 77)
    values = np.array([[0, 1, 2]], np.uint16)
    data = grey_image(values, PhotometricInterpretation="PALETTE COLOR", **colours)
    np.testing.assert_array_equal(rendered(data)[0], PALETTE)


def test_a_palette_image_without_palette_is_refused() -> None:
    data = grey_image(np.zeros((2, 2), np.uint8), PhotometricInterpretation="PALETTE COLOR")
    with pytest.raises(Unsupported, match="palette"):
        rendered(data)


def test_a_supplemental_palette_colours_the_upper_values_only() -> None:
    values = np.array([[0, 500], [1000, 1002]], np.uint16)
    data = grey_image(
        values,
        PixelPresentation="COLOR",
        WindowCenter="500",
        WindowWidth="1000",
        VOILUTFunction="LINEAR_EXACT",
        **palette(first=1000),
    )
    grey = [[[0, 0, 0], [128, 128, 128]], [[10, 20, 30], [250, 128, 0]]]
    assert rendered(data).tolist() == grey


def test_a_palette_that_nothing_refers_to_does_not_count() -> None:
    values = np.array([[0, 255]], np.uint8)
    assert rendered(grey_image(values, **palette())).tolist() == [[0, 255]]


def test_segments() -> None:
    discrete, linear = [0, 3, 10, 20, 30], [1, 4, 70]
    assert expand_segments([*discrete, *linear], 16, 7) == [10, 20, 30, 40, 50, 60, 70]
    repeated = [*discrete, *linear, 2, 1, 0, 0]
    assert expand_segments(repeated, 16, 10)[7:] == [10, 20, 30]
    backwards = [*discrete, *linear, 2, 1, 10, 0]  # the linear segment begins at byte 10
    assert expand_segments(backwards, 16, 11)[7:] == [70, 70, 70, 70]
    assert expand_segments([0, 2, 5, 9, 2, 1, 0, 0, 0, 0], 8, 4) == [5, 9, 5, 9]


@pytest.mark.parametrize(
    "words",
    [[1, 4, 70], [2, 1, 0, 0], [9, 1, 1], [0, 5, 1], [0, 1, 5, 2, 1, 200, 0], [0, 1, 5, 1, 3]],
)
def test_segments_that_are_none(words: list[int]) -> None:
    with pytest.raises(Unsupported):
        expand_segments(words, 16, 100)


@given(st.lists(st.integers(0, 65535), max_size=40), st.sampled_from([8, 16]))
def test_any_segments_end(words: list[int], bits: int) -> None:
    words = [word & 0xFF for word in words] if bits == 8 else words
    with contextlib.suppress(Unsupported):
        assert len(expand_segments(words, bits, 1000)) <= 1000


# --- overlays -------------------------------------------------------------------------------------

CROSS = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], np.uint8)


def overlay(group: int = 0x6000, /, **changes: samples.Value) -> dict[Any, samples.Value]:
    bits = np.packbits(CROSS, bitorder="little").tobytes()
    values: dict[int, samples.Value] = {
        0x0010: samples.Typed("US", 3),
        0x0011: samples.Typed("US", 3),
        0x0040: samples.Typed("CS", "G"),
        0x0050: samples.Typed("SS", [1, 1]),
        0x0100: samples.Typed("US", 1),
        0x0102: samples.Typed("US", 0),
        0x3000: samples.Typed("OW", bits),
    }
    values |= {int(name[1:], 16): value for name, value in changes.items()}
    return {group << 16 | number: value for number, value in values.items() if value != ""}


def over(values: np.ndarray, elements: dict[Any, samples.Value], number: int = 1) -> np.ndarray:
    return rendered(grey_image(values, elements), number)


@pytest.mark.parametrize(
    ("origin", "rows", "columns"),
    [([1, 1], slice(0, 3), slice(0, 3)), ([3, 2], slice(2, 5), slice(1, 4))],
)
def test_overlays_are_white(origin: list[int], rows: slice, columns: slice) -> None:
    image = over(np.zeros((5, 5), np.uint8), overlay(_0050=samples.Typed("SS", origin)))
    expected = np.zeros((5, 5), np.uint8)
    expected[rows, columns] = CROSS * 255
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("origin", [[0, 0], [-1, 4], [5, 5], [9, 9], [-30, -30]])
def test_overlays_that_reach_beyond_the_image(origin: list[int]) -> None:
    image = over(np.zeros((5, 5), np.uint8), overlay(_0050=samples.Typed("SS", origin)))
    whole = np.zeros((80, 80), np.uint8)
    top, left = origin[0] + 39, origin[1] + 39
    whole[top : top + 3, left : left + 3] = CROSS * 255
    np.testing.assert_array_equal(image, whole[40:45, 40:45])


def test_several_overlays_on_colours() -> None:
    elements = overlay() | overlay(0x601E, _0050=samples.Typed("SS", [3, 3]))
    image = rendered(colour_image(np.zeros((5, 5, 3), np.uint8), "RGB", elements))
    assert image[4, 4].tolist() == image[0, 0].tolist() == [255, 255, 255]
    assert image[0, 4].tolist() == [0, 0, 0]


def test_an_overlay_in_bits_that_the_pixels_leave() -> None:
    values = np.array([[0x1000, 0x0123], [0x0FFF, 0x1FFF]], np.uint16)
    elements = overlay(
        _0010=samples.Typed("US", 2),
        _0011=samples.Typed("US", 2),
        _0100=samples.Typed("US", 16),
        _0102=samples.Typed("US", 12),
        _3000="",
    )
    elements |= {"BitsStored": 12, "HighBit": 11, "WindowCenter": "4096", "WindowWidth": "8192"}
    image = over(values, elements)
    assert image[0, 0] == image[1, 1] == 255
    assert 0 < image[0, 1] < image[1, 0] < 255


def test_an_overlay_of_several_frames_lies_on_its_frames() -> None:
    planes = np.stack([CROSS, 1 - CROSS])
    elements = overlay(
        _0015=samples.Typed("IS", "2"),
        _0051=samples.Typed("US", 2),
        _3000=samples.Typed("OW", np.packbits(planes, bitorder="little").tobytes() + b"\0"),
    )
    values = np.zeros((3, 3, 3), np.uint8)
    assert not over(values, elements, 1).any()
    np.testing.assert_array_equal(over(values, elements, 2), CROSS * 255)
    np.testing.assert_array_equal(over(values, elements, 3), (1 - CROSS) * 255)


@pytest.mark.parametrize(
    "change",
    [{"_0010": samples.Typed("US", 0)}, {"_0011": samples.Typed("US", 900)}, {"_3000": ""}],
)
def test_overlays_that_can_not_be_read_are_left_out(change: dict[str, samples.Value]) -> None:
    assert not over(np.zeros((5, 5), np.uint8), overlay(**change)).any()
