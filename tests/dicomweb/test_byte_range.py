"""The Range header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.byte_range import parse_range
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
    ],
)
def test_ranges(header: str, start: int, length: int) -> None:
    found = parse_range(header, 100)
    assert found is not None
    assert (found.start, found.length) == (start, length)
    assert found.content_range == f"bytes {start}-{start + length - 1}/100"


@pytest.mark.parametrize(
    "header",
    ["", "bytes=", "bytes=-", "bytes=0-1,5-6", "items=0-1", "bytes=5-2", "bytes=٣-٤"],
)
def test_ranges_that_are_passed_over(header: str) -> None:
    assert parse_range(header, 100) is None


@pytest.mark.parametrize(
    ("header", "size"),
    [("bytes=100-", 100), ("bytes=" + "9" * 99 + "-", 100), ("bytes=0-", 0), ("bytes=-0", 9)],
)
def test_ranges_outside_of_the_resource(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable, match=str(size)):
        parse_range(header, size)


@given(st.from_regex(r"bytes=\d{0,4}-\d{0,4}"), st.integers(0, 5000))
def test_a_range_never_leaves_the_resource(header: str, size: int) -> None:
    try:
        found = parse_range(header, size)
    except RangeNotSatisfiable:
        return
    assert found is None or (found.start >= 0 and 0 < found.length <= size - found.start)
