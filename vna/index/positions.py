"""The order of matches, and conditions on what lies behind a place in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import LiteralString

from psycopg import sql

from vna.index.conditions import Part, all_of, any_of
from vna.model.identifiers import LEVELS, Level
from vna.model.query import Position

Key = int | str | None


@dataclass(frozen=True, slots=True)
class _SortKey:
    """A column that matches are sorted by; `shown` is its value in a Position, `meant` the way back.

    Neither depends on how a session writes dates. NULL always comes last.
    """

    column: LiteralString
    shown: LiteralString
    meant: LiteralString
    descending: bool = False
    nullable: bool = True


_DATE = _SortKey(
    "s.study_date",
    "s.study_date - date '2000-01-01'",
    "(date '2000-01-01' + {}::integer)",
    descending=True,
)
_SORT_KEYS: dict[Level, tuple[_SortKey, ...]] = {
    Level.PATIENT: (_SortKey("p.id", "p.id", "{}::bigint", descending=True, nullable=False),),
    Level.STUDY: (
        _DATE,
        _SortKey("s.study_time", "s.study_time::text", "{}::time", descending=True),
        _SortKey("s.id", "s.id", "{}::bigint", descending=True, nullable=False),
    ),
    Level.SERIES: (
        _SortKey("e.series_number", "e.series_number", "{}::integer"),
        _SortKey("e.id", "e.id", "{}::bigint", nullable=False),
    ),
    Level.IMAGE: (
        _SortKey("i.instance_number", "i.instance_number", "{}::integer"),
        _SortKey("i.id", "i.id", "{}::bigint", nullable=False),
    ),
}
"""Newest study first, then by series and instance number; the number of each row makes it unique."""


@cache
def ordered(level: Level) -> bytes:
    """What stands behind ORDER BY."""
    return ", ".join(map(_order, _sort_keys(level))).encode()


@cache
def shown(level: Level) -> bytes:
    """The columns that give the Position of a row."""
    return ", ".join(key.shown for key in _sort_keys(level)).encode()


def position_of(values: list[bytes | None]) -> Position:
    """The Position that the columns of `shown` tell."""
    return Position(tuple(None if value is None else _key(value.decode()) for value in values))


def stretches(level: Level, after: Position, bind: Callable[[object], Part]) -> list[Part]:
    """Conditions that together hold for what lies behind `after`, in order: one stretch of the order each.

    The studies without a date are a stretch of their own, so that an index finds where each begins.
    """
    keys = _sort_keys(level)
    first, *others = keys
    (day, *rest) = after.keys
    if first is not _DATE:
        return [_behind(list(zip(keys, after.keys, strict=True)), bind)]
    behind = _behind(list(zip(others, rest, strict=True)), bind)
    undated = sql.SQL("s.study_date IS NULL")
    if day is None:
        return [all_of([undated, behind])]
    date = sql.SQL(_DATE.meant).format(bind(day))
    within = any_of([sql.SQL("s.study_date < {}").format(date), behind])
    return [all_of([sql.SQL("s.study_date <= {}").format(date), within]), undated]


def _sort_keys(level: Level) -> tuple[_SortKey, ...]:
    if level is Level.PATIENT:
        return _SORT_KEYS[level]
    return tuple(key for item in LEVELS[1 : LEVELS.index(level) + 1] for key in _SORT_KEYS[item])


def _order(key: _SortKey) -> str:
    return key.column + " DESC" * key.descending + " NULLS LAST" * key.nullable


def _key(text: str) -> int | str:
    return text if ":" in text else int(text)


def _behind(keys: list[tuple[_SortKey, Key]], bind: Callable[[object], Part]) -> Part:
    """Behind in the order of `keys`: in the first of them, or level with it and behind in the others."""
    (key, value), *others = keys
    column = sql.SQL(key.column)
    beyond: Part
    level: Part
    if value is None:
        beyond, level = sql.SQL("false"), sql.SQL("{} IS NULL").format(column)
    else:
        limit = sql.SQL(key.meant).format(bind(value))
        beyond = sql.SQL("{} < {}" if key.descending else "{} > {}").format(column, limit)
        level = sql.SQL("{} = {}").format(column, limit)
        if key.nullable:
            beyond = any_of([beyond, sql.SQL("{} IS NULL").format(column)])
    if not others:
        return beyond
    return any_of([beyond, all_of([level, _behind(others, bind)])])
