"""Which grey scale transformations a header asks for (PS3.3 C.7.5.1.1.2, C.11.1, C.11.2, C.11.6)."""

from __future__ import annotations

from vna.dicom.rendering.attributes import Attributes
from vna.dicom.rendering.grey import GreyMapping, Modality, Span, Voi
from vna.dicom.rendering.luts import Lut, read_lut
from vna.dicom.rendering.options import VoiFunction, Window
from vna.dicom.rendering.samples import StoredFormat

MODALITY_LUTS, VOI_LUTS, PRESENTATION_LUTS = "00283000", "00283010", "20500010"
WINDOW_CENTER, WINDOW_WIDTH, VOI_FUNCTION = "00281050", "00281051", "00281056"
RESCALE_INTERCEPT, RESCALE_SLOPE = "00281052", "00281053"
PRESENTATION_SHAPE = "20500020"
_PADDING = ("00280120", "00280121")
_FLOAT_PADDINGS = (("00280122", "00280124"), ("00280123", "00280125"))
_SEGMENTATION_TYPE, _MAXIMUM_FRACTION = "00620001", "0062000E"
_SIGN = 1 << 15
_SHALLOW, _WORD = 8, 16


def modality_of(attributes: Attributes, stored: StoredFormat | None) -> Modality:
    """The table when there is one, else slope and intercept. `stored` is None for float pixel data."""
    is_signed = stored is not None and stored.is_signed
    lut = _first_lut(attributes, MODALITY_LUTS, signed_input=is_signed)
    if lut is not None:
        return Modality(lut=lut)
    slope, intercept = attributes.number(RESCALE_SLOPE), attributes.number(RESCALE_INTERCEPT)
    return Modality(slope or 1.0, intercept or 0.0)


def voi_of(attributes: Attributes, modality: Modality, stored: StoredFormat | None) -> Voi | None:
    """The VOI LUT, else the first window that means something; None when the header has neither."""
    is_signed = modality.lut is None and (
        modality.intercept < 0 or (stored is not None and stored.is_signed)
    )
    lut = _first_lut(attributes, VOI_LUTS, signed_input=is_signed)
    return lut or window_of(attributes)


def window_of(attributes: Attributes) -> Window | None:
    """The first window of a positive width (C.11.2.1.2)."""
    function = _function(attributes.text(VOI_FUNCTION))
    pairs = zip(attributes.numbers(WINDOW_CENTER), attributes.numbers(WINDOW_WIDTH), strict=False)
    for center, width in pairs:
        if width <= 0:
            continue
        if width < 1 and function is VoiFunction.LINEAR:  # meant as what LINEAR can't say
            return Window(center, width, VoiFunction.LINEAR_EXACT)
        return Window(center, width, function)
    return None


def default_span(attributes: Attributes, modality: Modality, stored: StoredFormat) -> Span | None:
    """What to show of an image without VOI: everything that up to 8 bits can hold, or a segmentation's
    maximum; None where only its pixels tell.
    """
    segmentation = attributes.text(_SEGMENTATION_TYPE)
    if segmentation == "FRACTIONAL":
        return Span(0.0, float(attributes.integer(_MAXIMUM_FRACTION, 255) or 255))
    is_deep = stored.bits_stored > _SHALLOW or stored.is_signed or modality.lut is not None
    if is_deep or segmentation == "LABELMAP":
        return None
    ends = [limit * modality.slope + modality.intercept for limit in stored.limits]
    return Span(min(ends), max(ends))


def mapping_of(
    attributes: Attributes, modality: Modality, voi: Voi, padding: tuple[float, float] | None
) -> GreyMapping:
    """All of it, with the presentation LUT or shape, and the inversion of MONOCHROME1.

    Images for presentation say INVERSE where they are MONOCHROME1 (C.8.11.3.1.2): that is one
    inversion, not two.
    """
    presentation = _first_lut(attributes, PRESENTATION_LUTS, signed_input=False)
    is_inverted = attributes.text("00280004") == "MONOCHROME1"
    is_inverted = is_inverted or attributes.text(PRESENTATION_SHAPE) == "INVERSE"
    return GreyMapping(modality, voi, padding, presentation, is_inverted)


def padding_of(attributes: Attributes, stored: StoredFormat | None) -> tuple[float, float] | None:
    """The range of stored values that stand for no pixel; `stored` is None for float pixel data."""
    tags = _PADDING
    if stored is None:
        tags = next((pair for pair in _FLOAT_PADDINGS if pair[0] in attributes), _FLOAT_PADDINGS[0])
    ends = [number for tag in tags for number in attributes.numbers(tag)[:1]]
    if not ends or not attributes.numbers(tags[0]):
        return None
    if (
        stored is not None and stored.is_signed and stored.bits_allocated <= _WORD
    ):  # the element was written, or read, as US
        ends = [end - 2 * _SIGN if end >= _SIGN else end for end in ends]
    return min(ends), max(ends)


def _first_lut(attributes: Attributes, tag: str, *, signed_input: bool) -> Lut | None:
    luts = (read_lut(item, signed_input=signed_input) for item in attributes.items(tag))
    return next((lut for lut in luts if lut is not None), None)


def _function(text: str) -> VoiFunction:
    name = text.upper()
    return VoiFunction(name) if name in VoiFunction.__members__ else VoiFunction.LINEAR
