"""The filters of a query as one condition: on the tables of its level and above, on rows below by EXISTS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from psycopg import sql

from vna.dicom.person_names import TOKEN_LEVELS, wanted
from vna.errors import InvalidQuery
from vna.index.columns import (
    ALIASES,
    COLUMNS,
    COMPUTED_COLUMNS,
    INSTANCE_AVAILABILITY,
    PARENTS,
    RETURNED_COLUMNS,
    TABLES,
    Computed,
    Kind,
    home_of,
)
from vna.index.conditions import Matcher, Part, all_of
from vna.index.differences import element_of, looked_up, whole_attributes
from vna.index.moments import Clocks, on_moments
from vna.index.outputs import above, attributes_at
from vna.index.trigrams import WITH_TRIGRAMS, with_trigrams
from vna.model.identifiers import LEVELS, Level
from vna.model.query import AnyOf, Empty, Filter, Match, MomentRange, Query, SingleValue

PATIENT_ID = 0x00100020
_NAME_SUFFIXES = ("", "_ideographic", "_phonetic")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a condition of `query` is put together: the tables of the levels `here` are joined."""

    query: Query
    here: tuple[Level, ...]
    matcher: Matcher
    clocks: Clocks | None


@dataclass(frozen=True, slots=True)
class _Found:
    """A condition on rows of `level`; it may name the tables from `top` downwards."""

    level: Level
    condition: Part
    top: Level


def scope_of(query: Query, zone: str) -> Scope:
    """A scope for `query`; `zone`: of objects that do not tell theirs, "": that of the query."""
    clocks = None if query.utc_offset is None else Clocks(query.utc_offset, zone)
    return Scope(query, above(query.level), Matcher(), clocks)


@cache
def tables(top: Level, level: Level) -> bytes:
    """The tables from `top` down to `level`."""
    return _joined(LEVELS[LEVELS.index(top) : LEVELS.index(level) + 1]).as_bytes(None)


@cache
def tables_of_page(top: Level, level: Level) -> bytes:
    """The tables from `top` down to `level` of the rows whose numbers the table `page` holds."""
    levels = LEVELS[LEVELS.index(top) : LEVELS.index(level) + 1]
    joins = (
        sql.SQL("JOIN {} ON {} = {}").format(
            _table(item), sql.Identifier(ALIASES[item], "id"), sql.Identifier("page", ALIASES[item])
        )
        for item in levels
    )
    return b"page " + sql.SQL(" ").join(list(joins)).as_bytes(None)


@cache
def numbers(top: Level, level: Level) -> bytes:
    """The columns that `page` has for `tables_of_page`."""
    levels = LEVELS[LEVELS.index(top) : LEVELS.index(level) + 1]
    columns = (
        sql.SQL("{} AS {}").format(
            sql.Identifier(ALIASES[item], "id"), sql.Identifier(ALIASES[item])
        )
        for item in levels
    )
    return sql.SQL(", ").join(list(columns)).as_bytes(None)


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


def conditions(scope: Scope) -> tuple[Part, Level]:
    """The condition of all filters, and the highest level whose table it names. Raises InvalidQuery."""
    query, here = scope.query, scope.here
    own: list[Part] = []
    top = query.level
    deeper: list[_Found] = []
    for item in query.filters:
        found = _condition(item, scope)
        if found is None:
            continue
        top = _higher(top, found.top)
        if found.level in here:
            own.append(found.condition)
        elif item.tag in COMPUTED_COLUMNS:
            own.append(_exists(query.level, found.level, [found.condition]))
        else:
            deeper.append(found)
    if deeper:
        deepest = max((found.level for found in deeper), key=LEVELS.index)
        own.append(_exists(query.level, deepest, (found.condition for found in deeper)))
    return all_of(own), top


def _higher(one: Level, other: Level) -> Level:
    return min(one, other, key=LEVELS.index)


def _exists(level: Level, deepest: Level, conditions: Iterable[Part]) -> Part:
    """Some row below, down to `deepest`, meets all conditions together."""
    start, stop = LEVELS.index(level) + 1, LEVELS.index(deepest) + 1
    below = LEVELS[start:stop]
    return sql.SQL("EXISTS (SELECT FROM {} WHERE {} AND {})").format(
        _joined(below), _link(below[0]), all_of(conditions)
    )


def _condition(item: Filter, scope: Scope) -> _Found | None:
    """Where `item` applies and how; None when the index does not keep the attribute (then it is universal)."""
    if isinstance(item.match, Empty):
        return _without_value(item, scope)
    found = _on_moments(item, scope) or _literal(item, scope)
    query = wanted(item.tag, item.match) if scope.query.fuzzy and item.tag in TOKEN_LEVELS else None
    if query is None or found is None:
        return found
    level = TOKEN_LEVELS[item.tag]
    names = sql.Identifier(ALIASES[level], "person_names")
    condition = sql.SQL("({names} @@ {query}::tsquery OR {names} IS NULL AND {literal})").format(
        names=names, query=scope.matcher.bind(query), literal=found.condition
    )
    return _Found(level, condition, _higher(level, found.top))


def _on_moments(item: Filter, scope: Scope) -> _Found | None:
    """A range of moments, or times of another zone; None for what matches as it was noted."""
    home = home_of(item.tag, scope.query.level)
    if home is None or (scope.clocks is None and not isinstance(item.match, MomentRange)):
        return None
    is_instance = home is Level.IMAGE
    attributes = (
        looked_up(whole_attributes("x")) if is_instance else attributes_at(home, scope.here)
    )
    condition = on_moments(item.tag, item.match, attributes, scope.matcher, scope.clocks)
    return None if condition is None else _Found(home, condition, _top_of(home))


def _without_value(item: Filter, scope: Scope) -> _Found | None:
    """By what the objects said: a typed column is empty too where the value is no date or number."""
    level, tag = scope.query.level, item.tag
    computed, home = COMPUTED_COLUMNS.get(tag), home_of(tag, level)
    if computed is not None and computed.rows is not None and computed.member is not None:
        found = sql.SQL("NOT EXISTS (SELECT {} AND {} <> '')").format(
            computed.rows, computed.member
        )
        return _Found(computed.level, found, computed.level)
    if computed is not None or tag == INSTANCE_AVAILABILITY:
        return _Found(level, sql.SQL("false"), level)
    if home is None:
        return None
    if tag in RETURNED_COLUMNS[home]:
        return _Found(home, sql.SQL("{} = ''").format(COLUMNS[tag].expression), home)
    condition = scope.matcher.on_element(_element(item, home, scope), tag, item.match)
    return _Found(home, condition, _top_of(home))


def _top_of(home: Level) -> Level:
    """The highest level whose table it takes to read attributes of `home`: instances share theirs in the series."""
    return Level.SERIES if home is Level.IMAGE else home


def _element(item: Filter, home: Level, scope: Scope) -> Part:
    if home is Level.IMAGE:
        return looked_up(element_of(item.tag, "x"))
    attributes = attributes_at(home, scope.here)
    return sql.SQL("({} -> {})").format(attributes, sql.Literal(f"{item.tag:08X}"))


def _literal(item: Filter, scope: Scope) -> _Found | None:
    level, matcher = scope.query.level, scope.matcher
    column = COLUMNS.get(item.tag)
    if column is not None:
        suffixes = _NAME_SUFFIXES if column.kind is Kind.NAME else ("",)
        columns = tuple(
            sql.Identifier(ALIASES[column.level], column.name + suffix) for suffix in suffixes
        )
        condition = matcher.on_column(columns, column.kind, item.match)
        if item.tag in WITH_TRIGRAMS:
            condition = all_of(
                [*with_trigrams(columns, column.kind, item.match, matcher), condition]
            )
        if item.tag == PATIENT_ID:  # so that the index, which leaves out the nameless, is used
            condition = sql.SQL("{} AND p.patient_id <> ''").format(condition)
        return _Found(column.level, condition, column.level)
    computed = COMPUTED_COLUMNS.get(item.tag)
    if computed is not None:
        return _Found(computed.level, _on_computed(computed, item.match, matcher), computed.level)
    if item.tag == INSTANCE_AVAILABILITY:
        online = matcher.on_column((sql.SQL("'ONLINE'"),), Kind.TEXT, item.match)
        return _Found(level, online, level)
    home = home_of(item.tag, level)
    if home is None:
        return None
    condition = matcher.on_element(_element(item, home, scope), item.tag, item.match)
    return _Found(home, condition, _top_of(home))


def _on_computed(computed: Computed, match: Match, matcher: Matcher) -> Part:
    if computed.rows is not None and computed.member is not None:
        return sql.SQL("EXISTS (SELECT {} AND {})").format(
            computed.rows, matcher.on_column((computed.member,), Kind.TEXT, match)
        )
    if not isinstance(match, (SingleValue, AnyOf)):
        raise InvalidQuery(f"({computed.tag:08X}) matches numbers only")
    return matcher.on_column((computed.expression,), Kind.INTEGER, match)
