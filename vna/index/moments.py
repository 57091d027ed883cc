"""Dates and times that belong together, as conditions of SQL: one range of both, clocks of another zone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from vna.dicom.attributes import vr_of
from vna.dicom.matching import TIME_OF_DATE
from vna.errors import InvalidQuery
from vna.index.columns import COLUMNS
from vna.index.conditions import Matcher, Part, all_of, any_of, compare
from vna.index.jsonb import to_text
from vna.model.query import AnyOf, Match, MomentRange, Range, SingleValue

_DATE_OF_TIME = {time: date for date, time in TIME_OF_DATE.items()}
_SOME_DAY = sql.SQL("date '2000-01-01'")
_DATE_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Clocks:
    """What clocks show `utc_offset` minutes ahead of UTC; `zone`: where values that do not say it were noted."""

    utc_offset: int
    zone: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """A date and its time of day, of the rows with `attributes`; NULL where there is no such value."""

    day: Part
    time_of_day: Part
    attributes: Part


def is_moment(tag: int) -> bool:
    """Whether a time zone moves the values of `tag`."""
    return tag in TIME_OF_DATE or tag in _DATE_OF_TIME or vr_of(tag) == "DT"


def on_moments(
    tag: int, match: Match, attributes: Part, matcher: Matcher, clocks: Clocks | None
) -> Part | None:
    """`match` on a date, its time or both, and on a DT; None: the values count as they were noted.

    `attributes` is the jsonb of the level that has `tag`. Raises InvalidQuery.
    """
    if isinstance(match, MomentRange):
        return _between(_pair(tag, attributes), match, matcher, clocks)
    if clocks is None or not is_moment(tag):
        return None
    if vr_of(tag) == "DT":
        return _on_datetimes(tag, match, attributes, matcher, clocks)
    if tag in TIME_OF_DATE:
        return _on_day(_pair(tag, attributes), match, matcher, clocks)
    pair = _pair(_DATE_OF_TIME[tag], attributes)
    known = _Pair(
        sql.SQL("coalesce({}, {})").format(pair.day, _SOME_DAY), pair.time_of_day, attributes
    )
    shown = sql.SQL("{}::time").format(_shown(known, matcher, clocks))
    return matcher.on_time(shown, match)


def _pair(date_tag: int, attributes: Part) -> _Pair:
    return _Pair(
        _typed(date_tag, "date_of", attributes),
        _typed(TIME_OF_DATE[date_tag], "time_of", attributes),
        attributes,
    )


def _typed(tag: int, function: str, attributes: Part) -> Part:
    column = COLUMNS.get(tag)
    if column is not None:
        return column.expression
    element = sql.SQL("{} -> {}").format(attributes, sql.Literal(f"{tag:08X}"))
    return sql.SQL("{}({})").format(sql.Identifier(function), element)


def _shown(pair: _Pair, matcher: Matcher, clocks: Clocks) -> Part:
    """The moment of `pair` as `clocks` showed it."""
    moment = sql.SQL("{} + {}").format(pair.day, pair.time_of_day)
    return _shifted(moment, pair.attributes, matcher, clocks)


def _shifted(moment: Part, attributes: Part, matcher: Matcher, clocks: Clocks) -> Part:
    return sql.SQL("shifted({}, {}, {}::text, {})").format(
        moment, attributes, matcher.bind(clocks.zone), sql.Literal(clocks.utc_offset)
    )


def _between(pair: _Pair, match: MomentRange, matcher: Matcher, clocks: Clocks | None) -> Part:
    """A day without a time is within when it lies between those of the ends."""
    ends: tuple[tuple[LiteralString, str | None], ...] = ((">", match.low), ("<", match.high))
    conditions = [_on_side(pair, sign, end, matcher, clocks) for sign, end in ends if end]
    return all_of(conditions or [sql.SQL("{} IS NOT NULL").format(pair.day)])


def _on_side(
    pair: _Pair, sign: LiteralString, end: str, matcher: Matcher, clocks: Clocks | None
) -> Part:
    """`pair` at the moment `end` or on its side that `sign` tells."""
    day, time_of_day = matcher.date(end[:_DATE_LENGTH]), matcher.time(end[_DATE_LENGTH:])
    if clocks is None:
        both = sql.SQL("({}, {})")
        moment, limit = both.format(pair.day, pair.time_of_day), both.format(day, time_of_day)
        # The day alone is said again because the planner can't estimate ranges of pairs.
        return all_of([compare(pair.day, sign + "=", day), compare(moment, sign + "=", limit)])
    limit = sql.SQL("{} + {}").format(day, time_of_day)
    shown = compare(_shown(pair, matcher, clocks), sign + "=", limit)
    exact = sql.SQL("coalesce({}, {})").format(shown, compare(pair.day, sign, day))
    return all_of([_near(pair.day, sign, day), exact])


def _on_day(pair: _Pair, match: Match, matcher: Matcher, clocks: Clocks) -> Part:
    shown = sql.SQL("coalesce({}::date, {})").format(_shown(pair, matcher, clocks), pair.day)
    exact = matcher.on_date(shown, match)
    return all_of([_nearby(pair.day, match, matcher), exact])


def _nearby(day: Part, match: Match, matcher: Matcher) -> Part:
    """Within a day of what is asked for, by the clocks of any zone: the condition that an index answers."""
    match match:
        case SingleValue(value):
            return _nearby(day, Range(value, value), matcher)
        case AnyOf(values):
            return any_of(_nearby(day, SingleValue(value), matcher) for value in values)
        case Range(low, high):
            ends: tuple[tuple[LiteralString, str | None], ...] = ((">", low), ("<", high))
            return all_of(_near(day, sign, matcher.date(end)) for sign, end in ends if end)
        case _:
            raise InvalidQuery("a date matches values and ranges only")


def _near(day: Part, sign: LiteralString, end: Part) -> Part:
    """No two zones are more than 26 hours apart: their dates differ by two days at most."""
    days = sql.SQL("- 2") if sign == ">" else sql.SQL("+ 2")
    return compare(day, sign + "=", sql.SQL("{} {}").format(end, days))


def _on_datetimes(
    tag: int, match: Match, attributes: Part, matcher: Matcher, clocks: Clocks
) -> Part:
    """A value with an offset is a moment; one without is what the clocks of its object showed."""
    ahead = sql.SQL("make_interval(mins => {})").format(sql.Literal(clocks.utc_offset))
    noted = _shifted(sql.SQL("moment_of(v.v, false)"), attributes, matcher, clocks)
    shown = sql.SQL(
        "CASE WHEN v.v ~ '[+-][0-9]{{4}}$' THEN moment_of(v.v, true) + {} ELSE {} END"
    ).format(ahead, noted)

    def asked(value: str) -> Part:
        text = matcher.bind(to_text(value))
        return sql.SQL(
            "CASE WHEN {0}::text ~ '[+-][0-9]{{4}}$' THEN moment_of({0}::text, true) + {1} "
            "ELSE moment_of({0}::text, false) END"
        ).format(text, ahead)

    return sql.SQL(
        "EXISTS (SELECT FROM jsonb_array_elements_text({} -> {} -> 'Value') AS v(v) WHERE {})"
    ).format(attributes, sql.Literal(f"{tag:08X}"), matcher.on_ordered(shown, match, asked))
