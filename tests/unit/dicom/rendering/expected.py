"""What pydicom's own transformations make of an image."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset
from pydicom.pixels.processing import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi_lut,
)

from tests.real_images import decodable, tolerance


def eight_bits(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Grey from `low` to `high`, rounded."""
    if high <= low:
        return np.where(values > low, 255, 0).astype(np.uint8)
    scaled = np.clip((values.astype(float) - low) / (high - low), 0, 1) * 255
    return np.floor(scaled + 0.5).astype(np.uint8)


def flattened(found: Dataset) -> Dataset:
    """The transformations of the first frame where pydicom looks for them."""
    groups = [*found.get("SharedFunctionalGroupsSequence", [])[:1]]
    groups += found.get("PerFrameFunctionalGroupsSequence", [])[:1]
    for group in groups:
        for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            for item in group.get(name, [])[:1]:
                for element in item:
                    found[element.tag] = element
    return found


def expected_grey(found: Dataset, array: np.ndarray) -> np.ndarray:
    values = apply_modality_lut(array, found)
    if found.get("VOILUTSequence"):
        shown = apply_voi_lut(values, found)
        grey = eight_bits(shown, 0, 2 ** found.VOILUTSequence[0].LUTDescriptor[2] - 1)
    elif has_window(found):
        low, high = output_range(found)
        grey = eight_bits(apply_voi_lut(values, found), low, high)
    elif found.get("BitsStored", 32) <= 8 and not found.PixelRepresentation:
        slope = float(found.get("RescaleSlope") or 1)
        intercept = float(found.get("RescaleIntercept") or 0)
        grey = eight_bits(values, intercept, intercept + slope * (2**found.BitsStored - 1))
    else:
        shown = values[~padding(found, array)]
        grey = eight_bits(values, float(shown.min()), float(shown.max()))
    is_inverted = found.PhotometricInterpretation == "MONOCHROME1"
    is_inverted = is_inverted or found.get("PresentationLUTShape") == "INVERSE"
    return 255 - grey if is_inverted else grey


def has_window(found: Dataset) -> bool:
    """Whether there is one that means something; a narrow one is made such that pydicom takes it."""
    center, width = found.get("WindowCenter"), found.get("WindowWidth")
    if center is None or width is None or (isinstance(width, float) and width <= 0):
        return False
    if isinstance(width, float) and width < 1:
        found.VOILUTFunction = "LINEAR_EXACT"
    return True


def output_range(found: Dataset) -> tuple[float, float]:
    """From what to what pydicom's windows go."""
    bits = found.get("BitsStored", 32)
    if "BitsStored" not in found:
        found.BitsStored, found.PixelRepresentation = bits, 0
    low, high = (
        (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if found.PixelRepresentation else (0, 2**bits - 1)
    )
    if found.get("ModalityLUTSequence"):
        low, high = 0, 2 ** found.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    if found.get("RescaleSlope") is None or found.get("RescaleIntercept") is None:
        return low, high
    slope, intercept = float(found.RescaleSlope), float(found.RescaleIntercept)
    return low * slope + intercept, high * slope + intercept


def padding(found: Dataset, array: np.ndarray) -> np.ndarray:
    value = found.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(array.shape, bool)
    limit = found.get("PixelPaddingRangeLimit", value)
    mask: np.ndarray = (array >= min(value, limit)) & (array <= max(value, limit))
    return mask


def expected_colour(found: Dataset, array: np.ndarray) -> np.ndarray:
    photometric = found.PhotometricInterpretation
    if photometric == "PALETTE COLOR":
        colours = apply_color_lut(array, found)[..., :3]
        return (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8)
    if array.dtype.itemsize > 1:
        array = array >> (found.BitsStored - 8)
    return array.astype(np.uint8)


def first_frame(found: Dataset) -> np.ndarray:
    """Colours as RGB."""
    found.pixel_array_options(index=0)
    array: np.ndarray = found.pixel_array
    return array


def check_image(data: bytes, image: np.ndarray) -> None:
    """Compare the first frame of the file `data`, rendered without anything asked for, with what
    pydicom's transformations give.
    """
    found = decodable(data)
    compare(flattened(found), first_frame(found), image, tolerance(data))


def compare(found: Dataset, array: np.ndarray, image: np.ndarray, off: int = 0) -> None:
    """Compare `image` with `array`, the pixels of a dataset; 8-bit values may be `off` by so much."""
    is_grey = found.PhotometricInterpretation.startswith("MONOCHROME")
    expected = expected_grey(found, array) if is_grey else expected_colour(found, array)
    covered = any(tag.group & 0xFF00 == 0x6000 for tag in found.keys())  # noqa: SIM118
    free = image != 255 if covered else np.ones(image.shape, bool)
    if is_grey and image.ndim == 3:  # a supplemental palette, which pydicom does not apply
        free = array < found.RedPaletteColorLookupTableDescriptor[1]
        assert not free.all()
        expected = np.repeat(expected[..., None], 3, axis=2)
    elif is_grey:
        free &= ~padding(found, array)
    np.testing.assert_allclose(image[free], expected[free], rtol=0, atol=off)
