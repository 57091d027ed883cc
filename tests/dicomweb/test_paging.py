"""Cursors of pages: what was written is read again, everything else is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.errors import BadRequest
from dicomweb.paging import cursor_of, next_link, position_of
from vna.model.identifiers import LEVELS, Level
from vna.model.query import Filter, Position, Query, SingleValue

DAYS, NUMBERS = st.integers(-730_119, 2_921_939), st.integers(-(2**31) + 1, 2**31 - 1)
TIMES = st.times().map(
    lambda time: time.isoformat().rstrip("0").rstrip(".") if time.microsecond else time.isoformat()
)
IDS = st.integers(1, 2**63 - 1)
QUERY = Query(Level.STUDY, (Filter(0x00100020, SingleValue("P1")),))


@st.composite
def positions(draw: st.DrawFn) -> tuple[Level, Position]:
    level = draw(st.sampled_from([Level.STUDY, Level.SERIES, Level.IMAGE]))
    keys = [draw(st.none() | DAYS), draw(st.none() | TIMES), draw(IDS)]
    for _ in range(LEVELS.index(level) - 1):
        keys += [draw(st.none() | NUMBERS), draw(IDS)]
    return level, Position(tuple(keys))


@given(positions())
def test_a_cursor_is_read_as_it_was_written(found: tuple[Level, Position]) -> None:
    level, position = found
    query = replace(QUERY, level=level)
    cursor = cursor_of(position, query)
    assert position_of(cursor, query) == position
    assert cursor.isascii()
    assert not set(cursor) & set("=+/&?#%")


@given(st.text() | st.binary().map(lambda data: data.hex()))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="cursor"):
        position_of(text, QUERY)


@pytest.mark.parametrize(
    "other",
    [
        replace(QUERY, filters=(Filter(0x00100020, SingleValue("P2")),)),
        replace(QUERY, filters=()),
        replace(QUERY, fuzzy=True),
        replace(QUERY, utc_offset=60),
        replace(QUERY, level=Level.SERIES),
    ],
)
def test_the_cursor_of_another_search_is_refused(other: Query) -> None:
    cursor = cursor_of(Position((1, None, 2)), QUERY)
    with pytest.raises(BadRequest):
        position_of(cursor, other)


def test_attributes_and_size_of_a_page_may_change_on_the_way() -> None:
    cursor = cursor_of(Position((1, None, 2)), QUERY)
    other = replace(QUERY, return_tags=None, limit=7)
    assert position_of(cursor, other) == Position((1, None, 2))


@given(positions(), st.data())
def test_a_damaged_cursor_is_refused(found: tuple[Level, Position], data: st.DataObject) -> None:
    query = replace(QUERY, level=found[0])
    cursor = cursor_of(found[1], query)
    at = data.draw(st.integers(0, len(cursor) - 2))
    other = data.draw(st.sampled_from("ABCabc019-_").filter(lambda c: c != cursor[at]))
    with pytest.raises(BadRequest):
        position_of(cursor[:at] + other + cursor[at + 1 :], query)


@pytest.mark.parametrize(
    "keys",
    [
        (),
        (1, None),
        (1, None, None),
        (1, None, True),
        (1.5, None, 2),
        ("x", None, 2),
        (1, "25:00:00", 2),
        (1, "10:00:00; DROP", 2),
        (10**9, None, 2),
        (1, None, 2**63),
        (1, None, 2, 3, 4),
    ],
)
def test_a_place_that_no_search_can_have_is_refused(keys: tuple[int | str | None, ...]) -> None:
    with pytest.raises(BadRequest):
        position_of(cursor_of(Position(keys), QUERY), QUERY)


def test_the_link_keeps_the_search_and_replaces_the_page() -> None:
    parameters = [("PatientName", "*É a&b*"), ("limit", "5"), ("offset", "3"), ("Cursor", "old")]
    link = next_link("http://h/dicom-web/studies", parameters, "new")
    assert link == (
        "<http://h/dicom-web/studies?PatientName=%2A%C3%89%20a%26b%2A&limit=5&cursor=new>; "
        'rel="next"'
    )


def test_a_link_that_no_header_holds_is_left_out() -> None:
    assert next_link("http://h/studies", [("StudyInstanceUID", "1." * 5000)], "x") is None
