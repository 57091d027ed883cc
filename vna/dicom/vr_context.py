"""The VR of elements that come without one and may have several (PS3.5 A.1, PS3.6)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vna.dicom.vrs import SEVERAL_VRS, implicit_vr

PIXEL_DATA = 0x7FE00010
_OVERLAY_DATA = 0x60003000
_BITS_ALLOCATED, _PIXEL_REPRESENTATION = 0x00280100, 0x00280103


@dataclass(slots=True)
class Context:
    """What elements read so far say about the VR of later ones; items inherit it."""

    bits_allocated: int = 16
    is_signed: bool = False

    def remember(self, tag: int, value: bytes | memoryview, order: str) -> None:
        """Takes note of an element; `order` is that of `struct`."""
        if tag in (_BITS_ALLOCATED, _PIXEL_REPRESENTATION) and len(value) >= 2:
            (number,) = struct.unpack_from(f"{order}H", value)
            if tag == _BITS_ALLOCATED:
                self.bits_allocated = number
            else:
                self.is_signed = number == 1


def vr_in_context(tag: int, context: Context) -> str:
    """The VR of an element that comes without one (PS3.5 A.1, PS3.6); UN for a private one."""
    several = SEVERAL_VRS.get(tag)
    if several is None:
        return "OW" if tag & 0xFF00FFFF == _OVERLAY_DATA else implicit_vr(tag)
    if tag == PIXEL_DATA:
        return "OW" if context.bits_allocated > 8 else "OB"
    if "OW" in several:
        return "OW"
    return "SS" if context.is_signed else "US"
