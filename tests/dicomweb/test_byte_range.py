"""The Range header."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.byte_range import MOST_RANGES, parse_ranges
from dicomweb.errors import RangeNotSatisfiable


@pytest.mark.parametrize(
    ("header", "start", "length"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 100),
        ("bytes=10-19", 10, 10),
        ("bytes=90-1000", 90, 10),
        ("bytes=-10", 90, 10),
        ("bytes=-1000", 0, 100),
        (" Bytes = 1 - 2 ", 1, 2),
        ("bytes=0-" + "9" * 99, 0, 100),
        ("bytes=-" + "9" * 99, 0, 100),
        ("bytes=" + "0" * 99 + "7-9", 7, 3),
        ("bytes=500-600,3-5", 3, 3),
        ("bytes=5-9,0-5", 0, 10),
        ("bytes=0-4,5-9", 0, 10),
        ("bytes=, 3-5 ,", 3, 3),
        ("bytes=" + ",".join(["0-9"] * MOST_RANGES), 0, 10),
    ],
)
def test_one_range(header: str, start: int, length: int) -> None:
    (found,) = parse_ranges(header, 100)
    assert (found.start, found.length) == (start, length)
    assert found.content_range == f"bytes {start}-{start + length - 1}/100"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-1,5-6", [(0, 2), (5, 2)]),
        ("bytes=-5,0-9", [(95, 5), (0, 10)]),
        ("bytes=90-,0-9,5-19,200-", [(0, 20), (90, 10)]),
        ("bytes=99-,0-0 , 50-50", [(99, 1), (0, 1), (50, 1)]),
    ],
)
def test_several_ranges(header: str, expected: list[tuple[int, int]]) -> None:
    assert [(one.start, one.length) for one in parse_ranges(header, 100)] == expected


@pytest.mark.parametrize(
    "header",
    [
        *("", "bytes", "bytes=", "bytes=-", "items=0-1", "bytes=5-2", "bytes=٣-٤", "bytes=,"),
        *("bytes=0-1,x", "bytes=0-1,5-2", "bytes=0-1,-"),
        "bytes=" + ",".join(f"{2 * number}-{2 * number}" for number in range(MOST_RANGES + 1)),
        "bytes=" + ",".join(["0-"] * 2000),
    ],
)
def test_ranges_that_are_passed_over(header: str) -> None:
    assert parse_ranges(header, 100) == ()


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("bytes=100-", 100),
        ("bytes=" + "9" * 99 + "-", 100),
        ("bytes=0-", 0),
        ("bytes=-0", 9),
        ("bytes=100-,200-300", 100),
    ],
)
def test_ranges_outside_of_the_resource(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable, match=str(size)):
        parse_ranges(header, size)


@given(st.from_regex(r"bytes=\d{0,4}-\d{0,4}(,\d{0,4}-\d{0,4}){0,5}"), st.integers(0, 5000))
def test_ranges_never_leave_the_resource_nor_cover_a_byte_twice(header: str, size: int) -> None:
    try:
        found = parse_ranges(header, size)
    except RangeNotSatisfiable:
        return
    assert all(one.start >= 0 and one.length > 0 and one.stop <= size for one in found)
    ordered = sorted(found, key=lambda one: one.start)
    assert all(one.stop < other.start for one, other in itertools.pairwise(ordered))
