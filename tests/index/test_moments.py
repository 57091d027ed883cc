"""Dates and times as one range, and by the clocks of another time zone."""

from __future__ import annotations

import pytest

from tests.index.samples import ORIGIN, attributes, new_instance
from vna.errors import InvalidQuery
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.search import SearchIndex
from vna.model.identifiers import Level
from vna.model.query import (
    AnyOf,
    Filter,
    Match,
    MomentRange,
    Query,
    Range,
    SingleValue,
    Wildcard,
)

STUDY_DATE, STUDY_TIME, BIRTH_DATE = 0x00080020, 0x00080030, 0x00100030
SERIES_DATE, SERIES_TIME = 0x00080021, 0x00080031
CONTENT_DATE, CONTENT_TIME = 0x00080023, 0x00080033
DATETIME = 0x0008002A
TOKYO, BERLIN_ZONE = 540, "Europe/Berlin"


def store(index: InstanceIndex, date: str, time: str, offset: str = "", datetime: str = "") -> None:
    """An instance with the same moment at study, series and image level."""
    zone = attributes(T00080201=("SH", offset))
    values = (("DA", date), ("TM", time))
    index.register(
        new_instance(
            patient=attributes(T00100030=("DA", "19700615")),
            study_attributes=attributes(T00080020=values[0], T00080030=values[1]) | zone,
            series_attributes=attributes(T00080021=values[0], T00080031=values[1]) | zone,
            instance_attributes=attributes(
                T00080023=values[0], T00080033=values[1], T0008002A=("DT", datetime)
            )
            | zone,
        ),
        ORIGIN,
    )


def finds(
    database: Database, level: Level, *filters: Filter, minutes: int | None = None, zone: str = ""
) -> bool:
    query = Query(level, filters, utc_offset=minutes)
    return bool(list(SearchIndex(database, zone).find(query)))


PAIRS = [(STUDY_DATE, STUDY_TIME), (SERIES_DATE, SERIES_TIME), (CONTENT_DATE, CONTENT_TIME)]


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("date_tag", [date for date, _ in PAIRS])
@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("20060705", "095959", False),
        ("20060705", "100000", True),
        ("20060705", "", False),
        ("20060706", "030000", True),
        ("20060706", "", True),
        ("20060707", "180059", True),
        ("20060707", "180100", False),
        ("20060708", "120000", False),
        ("", "120000", False),
    ],
)
def test_one_range_of_date_and_time(
    database: Database,
    index: InstanceIndex,
    level: Level,
    date_tag: int,
    date: str,
    time: str,
    expected: bool,
) -> None:
    store(index, date, time)
    match = MomentRange("20060705100000.000000", "20060707180059.999999")
    assert finds(database, level, Filter(date_tag, match)) is expected


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (MomentRange(None, "20240131101500.500000"), True),
        (MomentRange(None, "20240131101500.400000"), False),
        (MomentRange("20240131101500.500000", None), True),
        (MomentRange("20240131101500.600000", None), False),
        (MomentRange(None, None), True),
    ],
)
@pytest.mark.parametrize("minutes", [None, 60])
def test_open_ends(
    database: Database,
    index: InstanceIndex,
    match: MomentRange,
    expected: bool,
    minutes: int | None,
) -> None:
    store(index, "20240131", "101500.5")
    found = finds(database, Level.STUDY, Filter(STUDY_DATE, match), minutes=minutes)
    assert found is expected


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(
    ("offset", "zone", "date", "time", "is_date", "is_time"),
    [
        # 23:30 in London on the last of January is 08:30 of the next day in Tokyo.
        ("+0000", "", "20240131", "233000", True, True),
        ("+0900", "", "20240201", "083000", True, True),
        ("+0900", "", "20240131", "233000", False, False),
        ("-0500", "", "20240131", "183000", True, True),
        ("", "", "20240201", "083000", True, True),
        ("", "", "20240131", "233000", False, False),
        ("", "Europe/London", "20240131", "233000", True, True),
        ("", BERLIN_ZONE, "20240201", "003000", True, True),
        ("nonsense", BERLIN_ZONE, "20240201", "003000", True, True),
        ("+0900", BERLIN_ZONE, "20240201", "083000", True, True),
        ("+0000", "", "20240131", "", False, False),
        ("+0000", "", "20240201", "", True, False),
        ("-1200", "", "20240131", "113000", True, True),
        ("+1400", "", "20240201", "133000", True, True),
    ],
)
def test_the_zone_of_a_query_moves_its_dates_and_times(
    database: Database,
    index: InstanceIndex,
    pair: tuple[int, int],
    offset: str,
    zone: str,
    date: str,
    time: str,
    is_date: bool,
    is_time: bool,
) -> None:
    store(index, date, time, offset)
    day, clock = pair
    matches: list[tuple[int, Match, bool]] = [
        (day, SingleValue("20240201"), is_date),
        (day, Range("20240201", "20240201"), is_date),
        (day, Range("20240201", None), is_date),
        (day, AnyOf(("20230101", "20240201")), is_date),
        (clock, Range("080000.000000", "085959.999999"), is_time),
        (day, MomentRange("20240201080000.000000", "20240201090000.000000"), is_date and is_time),
        (day, MomentRange("20240201083000.000000", None), is_date and is_time),
    ]
    for tag, match, expected in matches:
        found = finds(database, Level.STUDY, Filter(tag, match), minutes=TOKYO, zone=zone)
        assert found is expected, (tag, match)


def test_summer_time_is_that_of_the_day(database: Database, index: InstanceIndex) -> None:
    store(index, "20240701", "100000")
    for hour, expected in ((8, True), (9, False)):
        match = Range(f"{hour:02}0000.000000", f"{hour:02}5959.999999")
        found = finds(database, Level.STUDY, Filter(STUDY_TIME, match), minutes=0, zone=BERLIN_ZONE)
        assert found is expected


@pytest.mark.parametrize(
    ("stored", "offset", "match", "expected"),
    [
        ("20240131233000", "+0000", Range("20240201080000", "20240201090000"), True),
        ("20240131233000", "", Range("20240201080000", "20240201090000"), False),
        ("20240201083000", "", Range("20240201080000", "20240201090000"), True),
        ("20240131183000-0500", "+0900", Range("20240201080000", "20240201090000"), True),
        ("20240131233000", "+0000", Range("20240131230000+0000", None), True),
        ("20240131233000", "+0000", Range("20240131233001+0000", None), False),
        ("20240131233000", "+0000", SingleValue("20240201083000"), True),
    ],
)
def test_datetimes(
    database: Database, index: InstanceIndex, stored: str, offset: str, match: Match, expected: bool
) -> None:
    store(index, "", "", offset, stored)
    found = finds(database, Level.IMAGE, Filter(DATETIME, match), minutes=TOKYO)
    assert found is expected


def test_a_birth_date_is_the_same_everywhere(database: Database, index: InstanceIndex) -> None:
    store(index, "20240131", "233000", "+0000")
    match = Filter(BIRTH_DATE, SingleValue("19700615"))
    assert finds(database, Level.STUDY, match, minutes=TOKYO)


@pytest.mark.parametrize("tag", [STUDY_DATE, STUDY_TIME, DATETIME])
def test_impossible_matches_are_refused_in_every_zone(database: Database, tag: int) -> None:
    with pytest.raises(InvalidQuery):
        finds(database, Level.STUDY, Filter(tag, Wildcard("1*")), minutes=TOKYO)
