"""A query as one SELECT: joins upwards, filters of deeper levels as EXISTS, computed attributes when asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import LiteralString

from psycopg import sql

from vna.dicom.person_names import TOKEN_LEVELS, wanted
from vna.errors import InvalidQuery
from vna.index.columns import (
    ALIASES,
    COLUMNS,
    COMPUTED_COLUMNS,
    INSTANCE_AVAILABILITY,
    PARENTS,
    TABLES,
    Computed,
    Kind,
    home_of,
)
from vna.index.conditions import Matcher, Part, all_of
from vna.index.moments import Clocks, on_moments
from vna.index.outputs import Outputs, above, attributes_at, outputs_of
from vna.model.identifiers import LEVELS, Level
from vna.model.query import AnyOf, Filter, Match, MomentRange, Query, Range, SingleValue

_ORDER: dict[Level, LiteralString] = {
    Level.PATIENT: "p.id DESC",
    Level.STUDY: "s.study_date DESC NULLS LAST, s.study_time DESC NULLS LAST, s.id DESC",
    Level.SERIES: "e.series_number NULLS LAST, e.id",
    Level.IMAGE: "i.instance_number NULLS LAST, i.id",
}
_PATIENT_ID = 0x00100020
_STUDY_DATE = 0x00080020
_KEYS = frozenset(
    {_PATIENT_ID, 0x0020000D, 0x0020000E, 0x00080018, 0x00080050}  # unique keys, accession number
)
_NAME_SUFFIXES = ("", "_ideographic", "_phonetic")


@dataclass(frozen=True, slots=True)
class Statement:
    """`text` with its `values` by name; what its rows mean is up to `outputs`.

    `is_keyed`: an index finds by every filter, so one plan is right whatever the values, and no more is read than
    matches. `first`: the same for the first rows only, as many as were asked of `build_statement`.
    """

    text: bytes
    values: dict[str, object]
    outputs: Outputs
    is_keyed: bool
    first: bytes


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where a condition of `query` is put together: the tables of the levels `here` are joined."""

    query: Query
    here: tuple[Level, ...]
    matcher: Matcher
    clocks: Clocks | None


def build_statement(query: Query, zone: str = "", first_rows: int = 1) -> Statement:
    """The SELECT of `query`. Raises InvalidQuery for a match that an attribute does not allow.

    `zone`: the IANA name of the time zone of objects that do not tell theirs; "": that of the query.
    """
    matcher = Matcher()
    clocks = None if query.utc_offset is None else Clocks(query.utc_offset, zone)
    scope = _Scope(query, above(query.level), matcher, clocks)
    outputs = outputs_of(query.level, query.return_tags)
    body = b"SELECT %b FROM %b WHERE %b ORDER BY %b" % (
        outputs.columns,
        _tables(query.level),
        _conditions(scope).as_bytes(None),
        _ordered(query.level),
    )
    return Statement(
        text=body + _page(query.limit, query.offset),
        values=matcher.bound,
        outputs=outputs,
        is_keyed=_is_keyed(query),
        first=body + _page(first_rows, query.offset),
    )


def _is_keyed(query: Query) -> bool:
    here = above(query.level)
    return (
        bool(query.filters)
        and query.offset <= 0
        and query.utc_offset is None
        and all(_is_key(item) and COLUMNS[item.tag].level in here for item in query.filters)
    )


def _is_key(item: Filter) -> bool:
    if item.tag == _STUDY_DATE:
        return isinstance(item.match, (SingleValue, Range))
    return item.tag in _KEYS and isinstance(item.match, (SingleValue, AnyOf))


@cache
def _tables(level: Level) -> bytes:
    return _joined(above(level)).as_bytes(None)


def _joined(levels: tuple[Level, ...]) -> Part:
    """The tables of adjacent levels, joined."""
    first, *others = levels
    parts: list[Part] = [_table(first)]
    parts += [sql.SQL("JOIN {} ON {}").format(_table(level), _link(level)) for level in others]
    return sql.SQL(" ").join(parts)


def _table(level: Level) -> Part:
    return sql.SQL("{} AS {}").format(sql.Identifier(TABLES[level]), sql.Identifier(ALIASES[level]))


def _link(level: Level) -> Part:
    """How a row of `level` belongs to its parent."""
    parent = LEVELS[LEVELS.index(level) - 1]
    return sql.SQL("{} = {}").format(
        sql.Identifier(ALIASES[level], PARENTS[level]), sql.Identifier(ALIASES[parent], "id")
    )


@cache
def _ordered(level: Level) -> bytes:
    levels = (level,) if level is Level.PATIENT else above(level)[1:]
    return ", ".join(_ORDER[item] for item in levels).encode()


def _page(limit: int | None, offset: int) -> bytes:
    parts = [] if limit is None else [b" LIMIT %d" % max(0, limit)]
    parts += [b" OFFSET %d" % offset] if offset > 0 else []
    return b"".join(parts)


def _conditions(scope: _Scope) -> Part:
    query, here = scope.query, scope.here
    own: list[Part] = []
    deeper: list[tuple[Level, Part]] = []
    for item in query.filters:
        found = _condition(item, scope)
        if found is None:
            continue
        level, condition = found
        if level in here:
            own.append(condition)
        elif item.tag in COMPUTED_COLUMNS:
            own.append(_exists(query.level, level, [condition]))
        else:
            deeper.append((level, condition))
    if deeper:
        deepest = max((level for level, _ in deeper), key=LEVELS.index)
        own.append(_exists(query.level, deepest, (condition for _, condition in deeper)))
    return all_of(own)


def _exists(level: Level, deepest: Level, conditions: Iterable[Part]) -> Part:
    """Some row below, down to `deepest`, meets all conditions together."""
    start, stop = LEVELS.index(level) + 1, LEVELS.index(deepest) + 1
    below = LEVELS[start:stop]
    return sql.SQL("EXISTS (SELECT FROM {} WHERE {} AND {})").format(
        _joined(below), _link(below[0]), all_of(conditions)
    )


def _condition(item: Filter, scope: _Scope) -> tuple[Level, Part] | None:
    """Where `item` applies and how; None when the index does not keep the attribute (then it is universal)."""
    found = _on_moments(item, scope) or _literal(item, scope)
    query = wanted(item.tag, item.match) if scope.query.fuzzy and item.tag in TOKEN_LEVELS else None
    if query is None or found is None:
        return found
    level = TOKEN_LEVELS[item.tag]
    names = sql.Identifier(ALIASES[level], "person_names")
    return level, sql.SQL("({names} @@ {query}::tsquery OR {names} IS NULL AND {literal})").format(
        names=names, query=scope.matcher.bind(query), literal=found[1]
    )


def _on_moments(item: Filter, scope: _Scope) -> tuple[Level, Part] | None:
    """A range of moments, or times of another zone; None for what matches as it was noted."""
    home = home_of(item.tag, scope.query.level)
    if home is None or (scope.clocks is None and not isinstance(item.match, MomentRange)):
        return None
    attributes = attributes_at(home, scope.here)
    condition = on_moments(item.tag, item.match, attributes, scope.matcher, scope.clocks)
    return None if condition is None else (home, condition)


def _literal(item: Filter, scope: _Scope) -> tuple[Level, Part] | None:
    level, here, matcher = scope.query.level, scope.here, scope.matcher
    column = COLUMNS.get(item.tag)
    if column is not None:
        suffixes = _NAME_SUFFIXES if column.kind is Kind.NAME else ("",)
        columns = tuple(
            sql.Identifier(ALIASES[column.level], column.name + suffix) for suffix in suffixes
        )
        condition = matcher.on_column(columns, column.kind, item.match)
        if item.tag == _PATIENT_ID:  # so that the index, which leaves out the nameless, is used
            condition = sql.SQL("{} AND p.patient_id <> ''").format(condition)
        return column.level, condition
    computed = COMPUTED_COLUMNS.get(item.tag)
    if computed is not None:
        return computed.level, _on_computed(computed, item.match, matcher)
    if item.tag == INSTANCE_AVAILABILITY:
        return level, matcher.on_column((sql.SQL("'ONLINE'"),), Kind.TEXT, item.match)
    home = home_of(item.tag, level)
    if home is None:
        return None
    element = sql.SQL("({} -> {})").format(
        attributes_at(home, here), sql.Literal(f"{item.tag:08X}")
    )
    return home, matcher.on_element(element, item.tag, item.match)


def _on_computed(computed: Computed, match: Match, matcher: Matcher) -> Part:
    if computed.rows is not None and computed.member is not None:
        return sql.SQL("EXISTS (SELECT {} AND {})").format(
            computed.rows, matcher.on_column((computed.member,), Kind.TEXT, match)
        )
    if not isinstance(match, (SingleValue, AnyOf)):
        raise InvalidQuery(f"({computed.tag:08X}) matches numbers only")
    return matcher.on_column((computed.expression,), Kind.INTEGER, match)
