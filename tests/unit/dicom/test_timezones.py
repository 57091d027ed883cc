"""Dates and times by the clocks of another zone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vna.dicom.timezones import asked_offset, minutes_of, offset_text, shown_in, with_partners
from vna.errors import InvalidQuery
from vna.model.query import JsonElement

DATE, TIME, DATETIME, OFFSET = "00080020", "00080030", "0008002A", "00080201"


def record(date: str, time: str, offset: str = "", datetime: str = "") -> dict[str, JsonElement]:
    given = {DATE: ("DA", date), TIME: ("TM", time), OFFSET: ("SH", offset)}
    given[DATETIME] = ("DT", datetime)
    return {key: {"vr": vr, "Value": [text]} for key, (vr, text) in given.items() if text}


def text(attributes: dict[str, JsonElement], key: str) -> str:
    values = attributes[key]["Value"]
    assert isinstance(values, list)
    assert len(values) == 1
    return str(values[0])


@pytest.mark.parametrize(
    ("date", "time", "own", "zone", "minutes", "expected"),
    [
        ("20240131", "101500.5", "+0100", "", 60, ("20240131", "101500.5")),
        ("20240131", "101500.5", "+0100", "", 0, ("20240131", "091500.5")),
        ("20240131", "233000", "+0000", "", 540, ("20240201", "083000")),
        ("20240101", "003000", "+0000", "", -300, ("20231231", "193000")),
        ("20240131", "10", "+0000", "", 60, ("20240131", "11")),
        ("20240131", "10", "+0000", "", 330, ("20240131", "1530")),
        ("20240131", "1015", "+0530", "", 0, ("20240131", "0445")),
        ("2024.01.31", "10:15:30", "+0000", "", 60, ("20240131", "1115:30")),
        ("20240131", "101500", "", "", 540, ("20240131", "101500")),
        ("20240131", "101500", "", "Europe/Berlin", 0, ("20240131", "091500")),
        ("20240731", "101500", "", "Europe/Berlin", 0, ("20240731", "081500")),
        ("20240131", "101500", "+0000", "Europe/Berlin", 0, ("20240131", "101500")),
        ("20240131", "101500", "nonsense", "Europe/Berlin", 0, ("20240131", "091500")),
        ("20241399", "101500", "+0100", "", 0, ("20241399", "101500")),
        ("20240131", "noon", "+0100", "", 0, ("20240131", "noon")),
        ("00010101", "000000", "+0100", "", 0, ("00010101", "000000")),
    ],
)
def test_a_date_and_its_time_are_shown_together(
    date: str, time: str, own: str, zone: str, minutes: int, expected: tuple[str, str]
) -> None:
    shown = shown_in(record(date, time, own), minutes, zone)
    assert (text(shown, DATE), text(shown, TIME)) == expected
    assert text(shown, OFFSET) == offset_text(minutes)


def test_a_date_without_a_time_stays() -> None:
    shown = shown_in(record("20240131", "", "+0100"), 0, "")
    assert text(shown, DATE) == "20240131"
    assert TIME not in shown


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20240131233000.25", "20240201003000.25"),
        ("2024013123", "2024020100"),
        ("20240131", "20240131"),
        ("20240131233000+0500", "20240131233000+0500"),
    ],
)
def test_datetimes_with_an_offset_of_their_own_stay(value: str, expected: str) -> None:
    shown = shown_in(record("", "", "+0000", value), 60, "")
    assert text(shown, DATETIME) == expected


@given(st.integers(-840, 840))
def test_offsets_are_read_as_they_are_written(minutes: int) -> None:
    assert minutes_of(offset_text(minutes)) == minutes


@pytest.mark.parametrize("value", ["", "0100", "+1", "+0160", "+1500", "UTC", "+0100 x"])
def test_what_is_no_offset(value: str) -> None:
    assert minutes_of(value) is None


def test_a_query_with_a_wrong_offset_is_refused() -> None:
    assert asked_offset({"vr": "SH"}) is None
    assert asked_offset({"vr": "SH", "Value": ["-0330"]}) == -210
    with pytest.raises(InvalidQuery, match="HHMM"):
        asked_offset({"vr": "SH", "Value": ["CET"]})


def test_a_time_needs_its_date_and_the_offset() -> None:
    assert with_partners(frozenset({0x00080030})) == {0x00080020, 0x00080030, 0x00080201}
    assert with_partners(frozenset({0x00100030})) == {0x00100030, 0x00080201}
