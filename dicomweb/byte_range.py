"""The Range header: ranges of bytes of a resource (RFC 9110 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dicomweb.errors import RangeNotSatisfiable

MOST_RANGES = 16
"""More in one header are passed over: nobody who means well asks so, and each costs a read."""

_UNIT = re.compile(r"bytes\s*=", re.IGNORECASE | re.ASCII)
_RANGE = re.compile(r"\s*+(\d*+)\s*+-\s*+(\d*+)\s*+", re.ASCII)
_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`length` bytes from `start` of a resource of `size` bytes."""

    start: int
    length: int
    size: int

    @property
    def stop(self) -> int:
        """Where the byte behind the last one is."""
        return self.start + self.length

    @property
    def content_range(self) -> str:
        """The Content-Range of a 206 answer."""
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


def parse_ranges(header: str, size: int) -> tuple[ByteRange, ...]:
    """The ranges that `header` asks for, cut at the end of the resource, those outside of it left out.

    They stand in the order of the header, unless some overlap or adjoin: these become one, and all follow
    that of the resource. () without a header, or for one to pass over: another unit, nonsense, more than
    MOST_RANGES. Raises RangeNotSatisfiable when no range holds a byte of the resource.
    """
    unit = _UNIT.match(header.strip())
    if unit is None:
        return ()
    parts = header.strip()[unit.end() :].split(",", MOST_RANGES)
    wanted = [_RANGE.fullmatch(part) for part in parts if part.strip()]
    if not wanted or len(parts) > MOST_RANGES:
        return ()
    ranges = []
    for found in wanted:
        if found is None or not _is_range(found[1], found[2]):
            return ()
        ranges.append(_cut(found[1], found[2], size))
    held = [found for found in ranges if found.length > 0]
    if not held:
        raise RangeNotSatisfiable(f"the resource has {size} bytes")
    return _apart(held)


def _is_range(first: str, last: str) -> bool:
    return bool(first or last) and not (first and last and _number(last) < _number(first))


def _cut(first: str, last: str, size: int) -> ByteRange:
    """A range up to the end of the resource; without a length where it lies outside."""
    if not first:
        length = min(_number(last), size)
        return ByteRange(size - length, length, size)
    start = _number(first)
    stop = min(_number(last) + 1, size) if last else size
    return ByteRange(start, max(0, stop - start), size)


def _apart(ranges: list[ByteRange]) -> tuple[ByteRange, ...]:
    """`ranges`, those that overlap or adjoin as one."""
    joined: list[ByteRange] = []
    for found in sorted(ranges, key=lambda one: one.start):
        if joined and found.start <= joined[-1].stop:
            start, stop = joined[-1].start, max(joined[-1].stop, found.stop)
            joined[-1] = ByteRange(start, stop - start, found.size)
        else:
            joined.append(found)
    return tuple(joined if len(joined) < len(ranges) else ranges)


def _number(digits: str) -> int:
    """`digits` as a number, huge ones as one beyond every resource."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS
