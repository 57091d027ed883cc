"""Grey images of every depth through modality, VOI and presentation transformations (PS3.4 N.2)."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.pixels.processing import apply_windowing

from tests import samples
from tests.unit.dicom.rendering.files import (
    AS_PNG,
    check_alike,
    grey_image,
    pixels_of,
    rendered,
    rendered_file,
)
from vna.dicom.rendering.options import GIF, PNG, RenderOptions, VoiFunction, Window
from vna.errors import Unsupported

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def lut(first: int, bits: int, entries: list[int], vr: str = "US") -> dict[object, samples.Value]:
    return {
        "LUTDescriptor": samples.Typed("SS" if first < 0 else "US", [len(entries), first, bits]),
        "LUTData": samples.Typed(vr, struct.pack(f"<{len(entries)}H", *entries)),
    }


def window(center: float, width: float, function: str = "") -> dict[str, samples.Value]:
    elements: dict[str, samples.Value] = {"WindowCenter": str(center), "WindowWidth": str(width)}
    return elements | ({"VOILUTFunction": function} if function else {})


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(40, 400), (-600.5, 1600), (0, 1), (1024, 7.25)])
def test_windows_are_those_of_pydicom(function: str, center: float, width: float) -> None:
    found = Dataset()
    found.PhotometricInterpretation, found.PixelRepresentation = "MONOCHROME2", 1
    found.BitsStored = 16
    found.WindowCenter, found.WindowWidth, found.VOILUTFunction = center, width, function
    values = RAMP.astype(np.int16) - 1024
    with np.errstate(over="ignore"):
        expected = (apply_windowing(values, found) + 32768) / 65535 * 255
    data = grey_image(
        RAMP, **window(center, width, function), RescaleIntercept="-1024", RescaleSlope="1"
    )
    check_alike(rendered(data), np.floor(expected + 0.5))


def test_the_window_asked_for_wins_over_that_of_the_header() -> None:
    data = grey_image(RAMP, **window(100, 10))
    options = RenderOptions(media_type=PNG, window=Window(2048, 2, VoiFunction.LINEAR_EXACT))
    image = rendered(data, options=options)
    assert image[RAMP <= 2047].max() == 0
    assert image[RAMP > 2049].min() == 255
    assert image[RAMP == 2048] == 128


def test_the_first_window_that_means_something_counts() -> None:
    several = {"WindowCenter": "10\\2048", "WindowWidth": "0\\4096"}
    once = rendered(grey_image(RAMP, **window(2048, 4096)))
    np.testing.assert_array_equal(rendered(grey_image(RAMP, **several)), once)


def test_without_a_window_the_pixels_decide() -> None:
    values = np.array([[100, 200], [300, 1100]], np.uint16)
    assert rendered(grey_image(values)).tolist() == [[0, 26], [51, 255]]


def test_eight_bits_without_a_window_stay_as_they_are() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(rendered(grey_image(values)), values)


def test_an_image_of_one_value_is_black() -> None:
    assert not rendered(grey_image(np.full((4, 4), 700, np.uint16))).any()


def test_voi_lut() -> None:
    values = np.array([[0, 99], [100, 103], [102, 60000]], np.uint16)
    item = lut(100, 10, [0, 341, 682, 1023])
    image = rendered(grey_image(values, VOILUTSequence=[item], **window(5, 5)))
    assert image.tolist() == [[0, 0], [0, 255], [170, 255]]


def test_a_voi_lut_of_negative_values_written_as_unsigned() -> None:
    item = lut(0, 8, [0, 255])
    item["LUTDescriptor"] = samples.Typed("US", [2, 65534, 8])
    values = np.array([[-3, -2], [-1, 5]], np.int16)
    assert rendered(grey_image(values, VOILUTSequence=[item])).tolist() == [[0, 0], [255, 255]]


@pytest.mark.parametrize("vr", ["US", "OW"])
def test_modality_lut(vr: str) -> None:
    values = np.array([[0, 1], [2, 9]], np.uint16)
    item = lut(1, 16, [0, 5000, 10000], vr)
    data = grey_image(values, ModalityLUTSequence=[item], **window(5000, 10000, "LINEAR_EXACT"))
    assert rendered(data).tolist() == [[0, 0], [128, 255]]


def test_a_long_lut_of_bulk_data() -> None:
    entries = [min(4095, 2 * number) for number in range(4096)]
    item = lut(0, 12, entries, "OW")
    image = rendered(grey_image(RAMP, VOILUTSequence=[item]))
    expected = np.floor(np.minimum(4095, RAMP * 2.0) / 4095 * 255 + 0.5)
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(
    ("photometric", "shape", "is_inverted"),
    [
        ("MONOCHROME2", "", False),
        ("MONOCHROME1", "", True),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
    ],
)
def test_inversion(photometric: str, shape: str, is_inverted: bool) -> None:
    values = np.array([[0, 255]], np.uint8)
    changes: dict[str, samples.Value] = {"PhotometricInterpretation": photometric}
    if shape:
        changes["PresentationLUTShape"] = shape
    image = rendered(grey_image(values, **changes))
    assert image.tolist() == ([[255, 0]] if is_inverted else [[0, 255]])


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.uint32])
def test_depths(kind: type[np.generic]) -> None:
    values = np.array([[-100, 0], [50, 100]]).astype(kind)
    expected = np.floor(
        (values.astype(float) - float(values.min())) / float(np.ptp(values.astype(float))) * 255
        + 0.5
    )
    np.testing.assert_array_equal(rendered(grey_image(values)), expected)


def test_bits_that_are_not_stored_do_not_count() -> None:
    values = np.array([[0xF000, 0x0001], [0xF800, 0x07FF]], np.uint16)
    stored = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 1}
    image = rendered(grey_image(values, **stored, **window(0, 4096, "LINEAR_EXACT")))
    assert image.tolist() == [[128, 128], [0, 255]]


def test_the_high_bit_says_where_the_value_is() -> None:
    values = np.array([[0x000F, 0x0010], [0x0800, 0xFFF0]], np.uint16)
    stored = {"BitsStored": 12, "HighBit": 15}
    image = rendered(grey_image(values, **stored, **window(2048, 4096, "LINEAR_EXACT")))
    assert image.tolist() == [[0, 0], [8, 255]]


def test_single_bits_run_on_across_frames() -> None:
    elements = samples.identity() | samples.image(3, 3, frames=2, bits=1)
    bits = np.array([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0], np.uint8)
    packed = np.packbits(bits, bitorder="little").tobytes() + b"\0"
    data = samples.part10(elements | {"PixelData": samples.Typed("OB", packed)})
    for number in (1, 2):
        expected = bits[9 * (number - 1) : 9 * number].reshape(3, 3) * 255
        np.testing.assert_array_equal(rendered(data, number), expected)


def test_twelve_bits_packed() -> None:
    values = [0x123, 0xFFF, 0x000, 0x800]
    number = sum(value << 12 * place for place, value in enumerate(values))
    elements = samples.identity() | samples.image(2, 2, bits=12)
    elements["PixelData"] = samples.Typed("OB", number.to_bytes(6, "little"))
    image = rendered(samples.part10(elements))
    assert image.tolist() == [[18, 255], [0, 128]]


@pytest.mark.parametrize(
    ("keyword", "kind", "vr"),
    [("FloatPixelData", "<f4", "OF"), ("DoubleFloatPixelData", "<f8", "OD")],
)
def test_float_pixel_data(keyword: str, kind: str, vr: str) -> None:
    values = np.array([[0.5, -0.5], [np.nan, 0.0], [np.inf, -7.0]], kind)
    elements = samples.identity() | samples.image(3, 2, bits=32 if kind == "<f4" else 64)
    elements[keyword] = samples.Typed(vr, values.tobytes())
    padded = "FloatPixelPaddingValue" if kind == "<f4" else "DoubleFloatPixelPaddingValue"
    elements[padded] = -7.0
    image = rendered(samples.part10(elements))
    assert image.tolist() == [[255, 0], [0, 128], [255, 0]]


def test_float_pixel_data_of_any_bits() -> None:
    elements = samples.identity() | samples.image(1, 3, bits=32)
    signalling = np.array([0x7FA00000, 0x3F800000, 0xFF800000], "<u4").tobytes()
    elements["FloatPixelData"] = samples.Typed("OF", signalling)
    assert rendered(samples.part10(elements)).tolist() == [[0, 0, 0]]


def test_padding_is_black_and_does_not_count() -> None:
    values = np.array([[-2000, -2000], [0, 100]], np.int16)
    data = grey_image(values, PixelPaddingValue=samples.Typed("SS", -2000))
    assert rendered(data).tolist() == [[0, 0], [0, 255]]
    inverted = grey_image(
        values,
        PixelPaddingValue=samples.Typed("US", 65536 - 2000),
        PhotometricInterpretation="MONOCHROME1",
    )
    assert rendered(inverted).tolist() == [[0, 0], [255, 0]]


def test_a_range_of_padding() -> None:
    values = np.array([[0, 3], [5, 10], [20, 4]], np.uint16)
    limits = {
        "PixelPaddingValue": samples.Typed("US", 5),
        "PixelPaddingRangeLimit": samples.Typed("US", 0),
    }
    assert rendered(grey_image(values, **limits)).tolist() == [[0, 0], [0, 0], [255, 0]]


def test_functional_groups_of_the_frame_come_before_the_shared_ones() -> None:
    values = np.stack([np.full((2, 2), number, np.uint16) for number in (10, 10, 10)])
    groups = [
        {"FrameVOILUTSequence": [dict(window(center, 20, "LINEAR_EXACT"))]}
        for center in (10, 0, 20)
    ]
    shared = [{"FrameVOILUTSequence": [dict(window(5, 20, "LINEAR_EXACT"))]}]
    for frame_groups, expected in ((groups, [128, 255, 0]), ([], [191, 191, 191])):
        data = grey_image(
            values,
            SharedFunctionalGroupsSequence=shared,
            PerFrameFunctionalGroupsSequence=frame_groups,
        )
        found = [int(rendered(data, number)[0, 0]) for number in (1, 2, 3)]
        assert found == expected
        assert int(rendered(data, 3)[0, 0]) == expected[2]


def test_rescale_of_functional_groups() -> None:
    transformation = {"RescaleSlope": "2", "RescaleIntercept": "-10", "RescaleType": "US"}
    shared = [{"PixelValueTransformationSequence": [transformation]}]
    values = np.array([[0, 10]], np.uint16)
    data = grey_image(
        values, SharedFunctionalGroupsSequence=shared, **window(0, 20, "LINEAR_EXACT")
    )
    assert rendered(data).tolist() == [[0, 255]]


def test_a_fractional_segmentation_is_shown_up_to_its_maximum() -> None:
    values = np.array([[0, 50, 100]], np.uint8)
    data = grey_image(values, SegmentationType="FRACTIONAL", MaximumFractionalValue=100)
    assert rendered(data).tolist() == [[0, 128, 255]]


def test_a_label_map_is_shown_up_to_its_last_label() -> None:
    values = np.array([[0, 1, 2]], np.uint8)
    data = grey_image(values, SegmentationType="LABELMAP")
    assert rendered(data).tolist() == [[0, 128, 255]]


def test_pixels_that_are_missing_are_refused() -> None:
    whole = grey_image(np.zeros((4, 4), np.uint16), Rows=8)
    with pytest.raises(Unsupported, match="32 bytes, 64 are needed"):
        rendered(whole)


@pytest.mark.parametrize("change", [{"Rows": 0}, {"Columns": 0}, {"SamplesPerPixel": 9}])
def test_an_image_of_no_size_is_refused(change: dict[str, samples.Value]) -> None:
    with pytest.raises(Unsupported):
        rendered(grey_image(np.zeros((4, 4), np.uint16), **change))


def test_large_images_are_done_in_bands() -> None:
    values = np.arange(700 * 900, dtype=np.uint32).reshape(700, 900) * 6000
    low, high = 6000 * 1000, int(values.max())
    expected = np.floor((values.astype(float) - low) / (high - low) * 255 + 0.5).clip(0)
    expected[values <= low] = 0
    padding = {"PixelPaddingValue": samples.Typed("US", 0)}
    values[values < low] = 0
    check_alike(rendered(grey_image(values, **padding)), expected)


def test_films_share_what_they_show() -> None:
    values = np.array([[[0, 100]], [[100, 200]]], np.uint16)
    single = rendered(grey_image(values), 1)
    assert single.tolist() == [[0, 255]]
    film = rendered_file(grey_image(values), (1, 2), RenderOptions(media_type=GIF))
    assert pixels_of(film).tolist() == [[0, 128]]


@given(st.binary(min_size=32, max_size=32), st.sampled_from([8, 16, 32]), st.integers(1, 32))
def test_any_pixels_become_an_image(pixels: bytes, bits: int, stored: int) -> None:
    kind = np.dtype(f"<u{bits // 8}")
    values = np.frombuffer(pixels, kind).reshape(2, -1)
    data = grey_image(values, BitsStored=stored, HighBit=stored - 1)
    assert rendered(data, options=AS_PNG).shape == values.shape
