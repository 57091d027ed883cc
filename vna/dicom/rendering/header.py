"""What of a header rendering needs: small enough to keep, and to send to where frames are decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from vna.dicom.decode import PixelDescription
from vna.dicom.rendering.attributes import Attributes
from vna.model.query import JsonElement

SHARED_GROUPS, FRAME_GROUPS = "52009229", "52009230"
PIXEL_TAGS = ("7FE00008", "7FE00009", "7FE00010")
OPTICAL_PATHS, ICC_PROFILE = "00480105", "00282000"
MACROS = ("00289110", "00289132", "00289145")
"""Functional groups: pixel measures, VOI LUT, pixel value transformation."""

_GROUPS = frozenset({0x0028, 0x2050, *range(0x6000, 0x6020, 2)})
_TAGS = frozenset(
    {
        *(0x00080005, 0x00080016, 0x00080018, 0x00080020, 0x00080060, 0x00080080, 0x00081030),
        *(
            0x0008103E,
            0x00082144,
            0x00089205,
            0x00100010,
            0x00100020,
            0x00100030,
            0x00100040,
            0x00180015,
        ),
        *(0x00180040, 0x00180050, 0x00180060, 0x00180080, 0x00180081, 0x00181063, 0x00181065),
        *(0x00181150, 0x00181151, 0x00181164, 0x00182010, 0x00185101, 0x00200011, 0x00200013),
        *(0x00200060, 0x00200062, 0x00201041, 0x00480105, 0x00620001, 0x0062000E, 0x52009229),
        0x52009230,
    }
)
_NEVER = frozenset({0x00287FE0})  # Pixel Data Provider URL
_FLOAT_BITS = {"7FE00008": 32, "7FE00009": 64}
_PRESENTATION = "presentation"

Header = dict[str, JsonElement]


@dataclass(frozen=True, slots=True)
class RelevantHeader:
    """DICOM JSON of what all frames have in common, and of each frame's own functional groups."""

    common: bytes
    frames: tuple[bytes, ...]
    description: PixelDescription

    @property
    def size(self) -> int:
        """Bytes that it takes to keep."""
        return len(self.common) + sum(map(len, self.frames)) + 64 * len(self.frames)

    def of_frames(self, numbers: Sequence[int]) -> bytes:
        """One JSON object in which the n-th item of FRAME_GROUPS belongs to the n-th of `numbers`."""
        if not self.frames:
            return self.common
        items = b",".join(
            self.frames[number - 1] if number <= len(self.frames) else b"{}" for number in numbers
        )
        members = b'"%b":{"vr":"SQ","Value":[%b]}' % (FRAME_GROUPS.encode(), items)
        return self.common[:-1] + (b"," if len(self.common) > 2 else b"") + members + b"}"


def relevant_header(header: Mapping[str, JsonElement]) -> RelevantHeader:
    """What rendering needs of `header`, whose values are all in it."""
    common = {tag: element for tag, element in header.items() if tag != FRAME_GROUPS}
    paths = [item for item in _items(header, OPTICAL_PATHS) if ICC_PROFILE in item][:1]
    if OPTICAL_PATHS in common:
        common[OPTICAL_PATHS] = {"vr": "SQ", "Value": paths}
    frames = map(orjson.dumps, _items(header, FRAME_GROUPS))
    return RelevantHeader(orjson.dumps(common), tuple(frames), describe_image(Attributes(common)))


def is_relevant(tag: int) -> bool:
    """Whether rendering looks at the element, of the dataset itself, with this tag."""
    return tag in _TAGS or (tag >> 16 in _GROUPS and tag not in _NEVER)


def describe_image(attributes: Attributes) -> PixelDescription:
    """The Image Pixel module (C.7.6.3), with the usual values where it says nothing."""
    bits = attributes.integer("00280100") or _FLOAT_BITS.get(pixel_tag(attributes), 16)
    return PixelDescription(
        rows=attributes.integer("00280010"),
        columns=attributes.integer("00280011"),
        samples_per_pixel=attributes.integer("00280002", 1) or 1,
        bits_allocated=bits,
        bits_stored=attributes.integer("00280101", bits),
        pixel_representation=attributes.integer("00280103") & 1,
        planar_configuration=attributes.integer("00280006"),
        photometric_interpretation=attributes.text("00280004") or "MONOCHROME2",
        number_of_frames=max(1, attributes.integer("00280008", 1)),
    )


def pixel_tag(attributes: Attributes) -> str:
    """Which of the three elements for pixels the dataset has."""
    return next((tag for tag in PIXEL_TAGS if tag in attributes), "7FE00010")


def presented(attributes: Attributes, elements: bytes) -> Attributes:
    """`attributes` where `elements`, a JSON object, stand in place of those of each frame."""
    return Attributes({_PRESENTATION: {"vr": "SQ", "Value": [orjson.loads(elements)]}}).over(
        attributes
    )


def frame_attributes(attributes: Attributes, index: int) -> Attributes:
    """The attributes of one frame: its own functional groups before the shared ones and the dataset's."""
    for item in (*attributes.items(SHARED_GROUPS)[:1], *attributes.items(FRAME_GROUPS)[index:][:1]):
        for macro in MACROS:
            for values in item.items(macro)[:1]:
                attributes = values.over(attributes)
    for item in attributes.items(_PRESENTATION):
        attributes = item.over(attributes)
    return attributes


def _items(header: Mapping[str, JsonElement], tag: str) -> Iterator[Header]:
    values = header.get(tag, {}).get("Value")
    for item in values if isinstance(values, list) else ():
        if isinstance(item, dict):
            yield item
