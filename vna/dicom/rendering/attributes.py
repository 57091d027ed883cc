"""Typed reading of a header in the DICOM JSON model (PS3.18 F.2): what can't be read counts as absent."""

from __future__ import annotations

import math
import struct
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping

from vna.model.query import JsonElement

_WORDS = {"US": "H", "SS": "h", "OW": "H", "UL": "I", "SL": "i"}


class Attributes:
    """The elements of a dataset or of an item by eight hex digits."""

    __slots__ = ("_elements",)

    def __init__(self, elements: Mapping[str, JsonElement]) -> None:
        self._elements = elements

    def __contains__(self, tag: object) -> bool:
        return tag in self._elements

    def tags(self) -> list[str]:
        """The tags that are there, whether they have a value or not."""
        return list(self._elements)

    def over(self, others: Attributes) -> Attributes:
        """These elements, and of `others` those that are not among them."""
        return Attributes({**others._elements, **self._elements})

    def values(self, tag: str) -> list[object]:
        """The members of "Value"; empty without one."""
        values = self._elements.get(tag, {}).get("Value")
        return values if isinstance(values, list) else []

    def numbers(self, tag: str) -> list[float]:
        """Finite numbers of any VR, those written as text included."""
        found = [_number(value) for value in self.values(tag)]
        return [number for number in found if number is not None]

    def number(self, tag: str) -> float | None:
        """The first number."""
        return next(iter(self.numbers(tag)), None)

    def integer(self, tag: str, default: int = 0) -> int:
        """The first number, without what is behind its point."""
        number = self.number(tag)
        return default if number is None else int(number)

    def text(self, tag: str) -> str:
        """The first value as text, a person's name in its first representation; "" without one."""
        for value in self.values(tag):
            if isinstance(value, dict):
                return next((str(name) for name in value.values()), "")
            if value is not None:
                return str(value).strip()
        return ""

    def items(self, tag: str) -> list[Attributes]:
        """The items of a sequence."""
        return [Attributes(item) for item in self.values(tag) if isinstance(item, dict)]

    def data(self, tag: str) -> bytes:
        """Little endian bytes of a binary value, or of numbers of a VR of two or four bytes; b"" without one."""
        element = self._elements.get(tag, {})
        inline = element.get("InlineBinary")
        if isinstance(inline, str):
            try:
                return b64decode(inline)
            except Base64Error:
                return b""
        word = _WORDS.get(str(element.get("vr")))
        values = self.values(tag)
        if word is None or not values:
            return b""
        try:
            return struct.pack(f"<{len(values)}{word}", *values)
        except struct.error:
            return b""


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
