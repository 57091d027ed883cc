"""A query as one SELECT: joins upwards, filters of deeper levels as EXISTS, computed attributes when asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

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
from vna.model.identifiers import LEVELS, Level
from vna.model.query import AnyOf, Filter, Match, Query, SingleValue

_ORDER: dict[Level, LiteralString] = {
    Level.PATIENT: "p.id DESC",
    Level.STUDY: "s.study_date DESC NULLS LAST, s.study_time DESC NULLS LAST, s.id DESC",
    Level.SERIES: "e.series_number NULLS LAST, e.id",
    Level.IMAGE: "i.instance_number NULLS LAST, i.id",
}
_PATIENT_ID = 0x00100020
_NAME_SUFFIXES = ("", "_ideographic", "_phonetic")


@dataclass(frozen=True, slots=True)
class Statement:
    """`text` with its values by name, and what each column of the answer is.

    The answer's columns are: the jsonb of `levels` as text, then the columns `tags`, then `computed`.
    """

    text: sql.Composed
    values: dict[str, object]
    levels: tuple[Level, ...]
    tags: tuple[int, ...]
    computed: tuple[Computed, ...]


def build_statement(query: Query) -> Statement:
    """The SELECT of `query`. Raises InvalidQuery for a match that an attribute does not allow."""
    matcher = Matcher()
    here = _above(query.level)
    wanted = query.return_tags
    levels = tuple(level for level in here if wanted is None or _needs(level, wanted, query.level))
    tags = tuple(
        tag for level in here for tag in RETURNED_COLUMNS[level] if wanted is None or tag in wanted
    )
    computed = tuple(
        item
        for item in COMPUTED_COLUMNS.values()
        if item.level in here and (wanted is None or item.tag in wanted)
    )
    outputs: list[Part] = [sql.SQL("{}::text").format(_attributes(level, here)) for level in levels]
    outputs += [COLUMNS[tag].expression for tag in tags]
    outputs += [item.expression for item in computed]
    text = sql.SQL(
        "SELECT {outputs} FROM {tables} WHERE {conditions} ORDER BY {order}{page}"
    ).format(
        outputs=sql.SQL(", ").join(outputs or [sql.SQL("1")]),
        tables=_joined(here),
        conditions=_conditions(query, matcher),
        order=_order(query.level),
        page=_page(query),
    )
    return Statement(text, matcher.bound, levels, tags, computed)


def _above(level: Level) -> tuple[Level, ...]:
    """`level` and those above it, from the top."""
    return LEVELS[: LEVELS.index(level) + 1]


def _needs(level: Level, wanted: frozenset[int], query_level: Level) -> bool:
    """Whether the jsonb of `level` has one of the wanted attributes."""
    return any(
        tag not in RETURNED_COLUMNS[level] and home_of(tag, query_level) == level for tag in wanted
    )


def _attributes(level: Level, here: tuple[Level, ...]) -> Part:
    """The jsonb of `level`; that of the patient as the study has it, where there is a study."""
    if level is Level.PATIENT and Level.STUDY in here:
        return sql.SQL("coalesce(s.patient_attributes, p.attributes)")
    return sql.Identifier(ALIASES[level], "attributes")


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


def _order(level: Level) -> Part:
    levels = (level,) if level is Level.PATIENT else _above(level)[1:]
    return sql.SQL(", ").join(sql.SQL(_ORDER[item]) for item in levels)


def _page(query: Query) -> Part:
    parts: list[Part] = []
    if query.limit is not None:
        parts.append(sql.SQL(" LIMIT {}").format(sql.Literal(max(0, query.limit))))
    if query.offset > 0:
        parts.append(sql.SQL(" OFFSET {}").format(sql.Literal(query.offset)))
    return sql.Composed(parts)


def _conditions(query: Query, matcher: Matcher) -> Part:
    here = _above(query.level)
    own: list[Part] = []
    deeper: list[tuple[Level, Part]] = []
    for item in query.filters:
        found = _condition(item, query.level, here, matcher)
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


def _condition(
    item: Filter, level: Level, here: tuple[Level, ...], matcher: Matcher
) -> tuple[Level, Part] | None:
    """Where `item` applies and how; None when the index does not keep the attribute (then it is universal)."""
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
    element = sql.SQL("({} -> {})").format(_attributes(home, here), sql.Literal(f"{item.tag:08X}"))
    return home, matcher.on_element(element, item.tag, item.match)


def _on_computed(computed: Computed, match: Match, matcher: Matcher) -> Part:
    if computed.rows is not None and computed.member is not None:
        return sql.SQL("EXISTS (SELECT {} AND {})").format(
            computed.rows, matcher.on_column((computed.member,), Kind.TEXT, match)
        )
    if not isinstance(match, (SingleValue, AnyOf)):
        raise InvalidQuery(f"({computed.tag:08X}) matches numbers only")
    return matcher.on_column((computed.expression,), Kind.INTEGER, match)
