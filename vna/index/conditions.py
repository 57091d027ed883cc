"""One match as a condition of SQL, on a typed column or on an element of the DICOM JSON model."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import LiteralString

from psycopg import sql

from vna.dicom.attributes import vr_of
from vna.errors import InvalidQuery
from vna.index.columns import Kind
from vna.index.jsonb import to_text
from vna.model.query import (
    AnyOf,
    Empty,
    Filter,
    ItemMatch,
    Match,
    OneOf,
    Range,
    SingleValue,
    Wildcard,
)

Part = sql.Composable
_NUMBERS = frozenset({"IS", "DS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"})
_LIKE = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_", "*": "%", "?": "_"})
_OFFSET = re.compile(r"[+-]\d{4}$")
_NAME_GROUPS: tuple[LiteralString, ...] = ("Alphabetic", "Ideographic", "Phonetic")
_VALUE = sql.SQL("(v.v #>> '{}')")
_NUMBER = sql.SQL("(CASE jsonb_typeof(v.v) WHEN 'number' THEN v.v::numeric END)")
_DAY = sql.SQL("date_of(jsonb_build_object('Value', jsonb_build_array(v.v)))")
_NAMES = tuple(
    sql.SQL("rtrim(fold(v.v ->> {}), '^ ')").format(sql.Literal(name)) for name in _NAME_GROUPS
)


MOST_VALUES = 20_000
"""Place-holders of one statement; Postgres takes 65 535."""


class Matcher:
    """Builds the conditions of one statement; `bound` are its values by place-holder, never part of its text."""

    def __init__(self) -> None:
        self.bound: dict[str, object] = {}

    def on_column(self, columns: tuple[Part, ...], kind: Kind, match: Match) -> Part:
        """`match` on a typed column (three for a NAME, one per component group). Raises InvalidQuery."""
        if isinstance(match, OneOf):
            return any_of(self.on_column(columns, kind, item) for item in match.matches)
        match kind:
            case Kind.NAME:
                return self._on_name(columns, match)
            case Kind.TEXT:
                return self._on_text(columns[0], match)
            case Kind.DATE:
                return self.on_date(columns[0], match)
            case Kind.TIME:
                return self.on_time(columns[0], match)
            case Kind.INTEGER:
                return self.on_ordered(columns[0], match, self._number)

    def on_date(self, column: Part, match: Match) -> Part:
        """`match` on a date. Raises InvalidQuery."""
        return self.on_ordered(column, match, self.date)

    def on_time(self, column: Part, match: Match) -> Part:
        """`match` on a time of day. Raises InvalidQuery."""
        return self.on_ordered(column, match, self.time)

    def on_element(self, element: Part, tag: int, match: Match) -> Part:
        """`match` on at least one value of a jsonb element (PS3.4 C.2.2.3). Raises InvalidQuery."""
        if isinstance(match, ItemMatch):
            return self._on_items(element, match)
        if isinstance(match, Empty):
            return sql.SQL("({} -> 'Value') IS NULL").format(element)
        if isinstance(match, OneOf):
            return any_of(self.on_element(element, tag, item) for item in match.matches)
        return sql.SQL(
            "EXISTS (SELECT FROM jsonb_array_elements({} -> 'Value') AS v(v) WHERE {})"
        ).format(element, self._on_json_value(vr_of(tag), match))

    def bind(self, value: object) -> Part:
        """The place-holder of `value`. Raises InvalidQuery for more than MOST_VALUES."""
        if len(self.bound) >= MOST_VALUES:
            raise InvalidQuery(f"more than {MOST_VALUES} values to match; ask in parts")
        name = f"v{len(self.bound)}"
        self.bound[name] = value
        return sql.Placeholder(name)

    def name_values(self, **values: object) -> None:
        """Bind values that have place-holders of their own."""
        self.bound |= values

    def _on_json_value(self, vr: str, match: Match) -> Part:
        if vr == "PN":
            return self._on_name(_NAMES, match)
        if vr == "DA":
            return self.on_ordered(_DAY, match, self.date)
        if vr == "TM":
            return self.on_ordered(sql.SQL("clock_of({})").format(_VALUE), match, self.time)
        if vr == "DT":
            return self.on_ordered(_moment_of, match, self._moment)
        if vr in _NUMBERS:
            return self.on_ordered(_NUMBER, match, self._number)
        return self._on_text(_VALUE, match)

    def _on_items(self, element: Part, match: ItemMatch) -> Part:
        conditions = all_of(self._on_member(member) for member in match.filters)
        return sql.SQL(
            "EXISTS (SELECT FROM jsonb_array_elements({} -> 'Value') AS item(item) WHERE {})"
        ).format(element, conditions)

    def _on_member(self, member: Filter) -> Part:
        key = sql.Literal(f"{member.tag:08X}")
        element = sql.SQL("(item.item -> {})").format(key)
        return self.on_element(element, member.tag, member.match)

    def _on_text(self, column: Part, match: Match) -> Part:
        match match:
            case SingleValue(value):
                return compare(column, "=", self._text(value))
            case AnyOf(values):
                listed = self.bind([to_text(value) for value in values])
                return sql.SQL("{} = ANY({}::text[])").format(column, listed)
            case Wildcard(pattern):
                return compare(column, "LIKE", self._text(pattern.translate(_LIKE)))
            case _:
                raise InvalidQuery("a text matches values and wildcards, no range and no items")

    def on_ordered(
        self, column: Part | Callable[[str], Part], match: Match, bind: Callable[[str], Part]
    ) -> Part:
        """`match` on what has an order: values, ranges. Raises InvalidQuery.

        `column` may depend on the value that it is compared with; `bind` makes that a part of the statement.
        """

        def side(value: str) -> Part:
            return column if isinstance(column, sql.Composable) else column(value)

        match match:
            case SingleValue(value):
                return compare(side(value), "=", bind(value))
            case AnyOf(values):
                return any_of(compare(side(value), "=", bind(value)) for value in values)
            case Range(low, high):
                ends: tuple[tuple[LiteralString, str | None], ...] = ((">=", low), ("<=", high))
                given = [compare(side(end), sign, bind(end)) for sign, end in ends if end]
                return all_of(given or [sql.SQL("{} IS NOT NULL").format(side(""))])
            case _:
                raise InvalidQuery("a date, a time or a number matches values and ranges only")

    def _on_name(self, groups: tuple[Part, ...], match: Match) -> Part:
        match match:
            case SingleValue(value):
                return self._on_groups(groups, value, "=")
            case AnyOf(values):
                return any_of(self._on_groups(groups, value, "=") for value in values)
            case Wildcard(pattern):
                return self._on_groups(groups, pattern, "LIKE")
            case _:
                raise InvalidQuery("a person's name matches values and wildcards only")

    def _on_groups(self, groups: tuple[Part, ...], value: str, sign: LiteralString) -> Part:
        """Without '=' any component group may match; with it each one that is given must (PS3.5 6.2.1).

        One of stars alone is given by nobody: it matches what is not there, too.
        """
        parts = value.split("=")
        if len(parts) == 1:
            return any_of(self._on_group(group, value, sign) for group in groups)
        given = zip(groups, parts, strict=False)
        return all_of(self._on_group(group, part, sign) for group, part in given if part.strip("*"))

    def _on_group(self, group: Part, value: str, sign: LiteralString) -> Part:
        if sign == "=":
            return self._on_folded(group, "=", value.rstrip("^ "))
        return any_of(
            # Without wildcards it must be '=': as LIKE it keeps the planner from the partial indexes.
            self._on_folded(group, "LIKE", text.translate(_LIKE))
            if "*" in text or "?" in text
            else self._on_folded(group, "=", text)
            for text in name_patterns(value)
        )

    def _on_folded(self, group: Part, sign: LiteralString, text: str) -> Part:
        return compare(group, sign, sql.SQL("fold({}::text)").format(self._text(text)))

    def _text(self, value: str) -> Part:
        return self.bind(to_text(value))

    def date(self, value: str) -> Part:
        """A day written YYYYMMDD. Raises InvalidQuery."""
        return self.bind(day_of(value))

    def time(self, value: str) -> Part:
        """A time of day as a TM value."""
        return sql.SQL("clock_of({}::text)").format(self._text(value))

    def _moment(self, value: str) -> Part:
        in_utc = sql.Literal(_in_utc(value))
        return sql.SQL("moment_of({}::text, {})").format(self._text(value), in_utc)

    def _number(self, value: str) -> Part:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise InvalidQuery("a number to match is written in digits")
        return sql.SQL("{}::numeric").format(self._text(value.strip()))


def _moment_of(value: str) -> Part:
    """A stored DT as it compares with `value`: in UTC when that has an offset, else as its clock showed."""
    return sql.SQL("moment_of({}, {})").format(_VALUE, sql.Literal(_in_utc(value)))


def day_of(value: str) -> date:
    """The day that is written YYYYMMDD. Raises InvalidQuery."""
    try:
        return datetime.strptime(value, "%Y%m%d").date()  # noqa: DTZ007
    except ValueError as exc:
        raise InvalidQuery("a date to match is written YYYYMMDD") from exc


def compare(left: Part, sign: LiteralString, right: Part) -> Part:
    """`left` and `right` compared."""
    return sql.SQL("{} " + sign + " {}").format(left, right)


def all_of(conditions: Iterable[Part]) -> Part:
    """Every condition; true for none."""
    listed = list(conditions)
    return sql.SQL(" AND ").join(listed) if listed else sql.SQL("true")


def any_of(conditions: Iterable[Part]) -> Part:
    """At least one condition; false for none."""
    listed = list(conditions)
    return sql.SQL("({})").format(sql.SQL(" OR ").join(listed)) if listed else sql.SQL("false")


def name_patterns(pattern: str) -> list[str]:
    """What a pattern means. Delimiters at the end say nothing: DOE^JOHN^ is DOE^JOHN, and DOE^* finds DOE alone too."""
    pattern = pattern.rstrip("^ ")
    ending = pattern[len(pattern.rstrip("^* ")) :]
    shorter = pattern[: len(pattern) - len(ending) + ending.find("^")] if "^" in ending else ""
    return [pattern, shorter] if shorter else [pattern]


def _in_utc(moment: str) -> bool:
    return _OFFSET.search(moment) is not None
