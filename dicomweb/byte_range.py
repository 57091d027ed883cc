"""The Range header: one range of bytes of a resource (RFC 9110 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dicomweb.errors import RangeNotSatisfiable

_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE | re.ASCII)
_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`length` bytes from `start` of a resource of `size` bytes."""

    start: int
    length: int
    size: int

    @property
    def content_range(self) -> str:
        """The Content-Range of a 206 answer."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{self.size}"


def parse_range(header: str, size: int) -> ByteRange | None:
    """The range that `header` asks for, cut at the end of the resource.

    None without a header, or for one to pass over: several ranges, another unit, nonsense.
    Raises RangeNotSatisfiable for a range that holds no byte of the resource.
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        length = min(_number(found[2]), size)
        return _checked(ByteRange(size - length, length, size))
    start = _number(found[1])
    last = _number(found[2]) if found[2] else size - 1
    if found[2] and last < start:
        return None
    last = min(last, size - 1)
    return _checked(ByteRange(start, last - start + 1, size))


def _number(digits: str) -> int:
    """`digits` as a number, huge ones as one beyond every resource."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _checked(byte_range: ByteRange) -> ByteRange:
    if byte_range.length <= 0:
        raise RangeNotSatisfiable(f"the resource has {byte_range.size} bytes")
    return byte_range
