"""Frames as they are stored become arrays of samples, decoded one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vna.dicom.decode import PixelDescription, decode_frame
from vna.dicom.rendering.attributes import Attributes
from vna.dicom.rendering.header import describe_image, frame_attributes, pixel_tag
from vna.dicom.rendering.samples import (
    FLOAT_TAGS,
    Floats,
    StoredFormat,
    Words,
    floats_of,
    stored_format,
    words_of,
)
from vna.dicom.syntaxes import (
    DEFLATED_EXPLICIT_VR,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from vna.errors import Unsupported

_NATIVE = frozenset({EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR})


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame: its number, what holds for it, and its samples.

    `photometric` is the photometric interpretation that they have now.
    """

    number: int
    attributes: Attributes
    stored: StoredFormat
    photometric: str
    samples: Words | Floats

    @property
    def words(self) -> Words | None:
        """The samples as words; None for float and double float pixel data."""
        return None if self.samples.dtype.kind == "f" else cast("Words", self.samples)

    def values(self, rows: slice) -> NDArray[np.float64]:
        """The stored pixel values of some rows."""
        words = self.words
        if words is None:
            with np.errstate(invalid="ignore"):  # of NaNs that signal
                return self.samples[rows].astype(np.float64)
        return self.stored.values(words[rows]).astype(np.float64)


@dataclass(frozen=True, slots=True)
class StoredFrames:
    """Frames of one instance (`data`, each without item headers) and the header that describes them."""

    attributes: Attributes
    numbers: Sequence[int]
    data: Sequence[bytes]
    transfer_syntax_uid: str

    def decoded(self) -> Iterator[Frame]:
        """Each frame, decoded when it is asked for. Raises Unsupported."""
        description = describe_image(self.attributes)
        check_description(description)
        tag, high_bit = pixel_tag(self.attributes), self.attributes.number("00280102")
        stored = stored_format(description, None if high_bit is None else int(high_bit))
        for index, (number, data) in enumerate(zip(self.numbers, self.data, strict=True)):
            found, native = self._native(data, description)
            photometric = found.photometric_interpretation
            samples = (
                floats_of(native, found, tag)
                if tag in FLOAT_TAGS
                else words_of(native, found, photometric)
            )
            attributes = frame_attributes(self.attributes, index)
            yield Frame(number, attributes, stored, photometric, samples)

    def _native(self, data: bytes, description: PixelDescription) -> tuple[PixelDescription, bytes]:
        if self.transfer_syntax_uid in _NATIVE:
            return description, data
        decoded = decode_frame(data, self.transfer_syntax_uid, description)
        found = replace(
            description,
            photometric_interpretation=decoded.photometric_interpretation,
            planar_configuration=decoded.planar_configuration,
        )
        return found, decoded.data


def check_description(description: PixelDescription) -> None:
    """Raises Unsupported for an image without size, or whose size can't be true."""
    sides = (description.rows, description.columns)
    if not all(0 < side < 1 << 16 for side in sides):
        raise Unsupported(f"The header says {sides[0]} rows and {sides[1]} columns")
    if not (0 < description.samples_per_pixel <= 4 and 0 < description.bits_allocated <= 64):
        raise Unsupported(
            f"Pixels of {description.samples_per_pixel} samples of {description.bits_allocated} bits "
            "can't be rendered"
        )
