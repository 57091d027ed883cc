"""Pages of searches by keys: the statement of each kind is remembered, only its values are made anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from vna.index.columns import COLUMNS, Kind
from vna.index.conditions import day_of
from vna.index.jsonb import to_text
from vna.index.outputs import MOST_REMEMBERED
from vna.index.prepared_texts import Value, encoded
from vna.index.statement import build_pages
from vna.model.query import AnyOf, Filter, Match, Query, Range, SingleValue, UrlParts

_ANYTHING = "20000101"
"""Stands for a value of any kind."""
_SOMEWHERE = UrlParts("", "", "")
_PLACE_HOLDER = re.compile(rb"%\((\w+)\)s|%%")


@dataclass(frozen=True, slots=True)
class NumberedStatement:
    """As PreparedTexts takes it: `text` has place-holders $1, $2 … for `values`."""

    text: bytes
    values: list[bytes]


def keyed_page(query: Query, url: UrlParts) -> NumberedStatement | None:
    """What `build_pages` makes of `query`; None where no plan is right for all values. Raises InvalidQuery."""
    tags = query.return_tags
    if query.after is not None or query.utc_offset is not None or query.offset:
        return None
    if tags is None or len(tags) > MOST_REMEMBERED:
        return None
    likes = [_like(item.match) for item in query.filters]
    if None in likes:
        return None
    filters = zip(query.filters, likes, strict=True)
    kind = replace(query, filters=tuple(Filter(item.tag, like) for item, like in filters if like))
    known = _remembered(kind)
    if known is None:
        return None
    values: dict[str, Value] = {f"v{n}": v for n, v in enumerate(_values(query.filters))}
    values["before_study"] = url.before_study
    values["before_series"] = url.before_series
    values["before_instance"] = url.before_instance
    text, names = known
    return NumberedStatement(text, [encoded(values[name]) for name in names])


@lru_cache(maxsize=256)
def _remembered(kind: Query) -> tuple[bytes, tuple[str, ...]] | None:
    """The statement of all queries like `kind`, and the names of its values in their order."""
    (statement,) = build_pages(kind, "", _SOMEWHERE)
    if not (statement.is_prepared and statement.is_bounded):
        return None
    names: list[str] = []

    def numbered(found: re.Match[bytes]) -> bytes:
        if found[1] is None:
            return b"%"
        name = found[1].decode()
        if name not in names:
            names.append(name)
        return b"$%d" % (names.index(name) + 1)

    return _PLACE_HOLDER.sub(numbered, statement.text), tuple(names)


def _like(match: Match) -> Match | None:
    """What is written in SQL as `match` is; None for what is no key."""
    match match:
        case SingleValue():
            return SingleValue(_ANYTHING)
        case AnyOf():
            return AnyOf((_ANYTHING,))
        case Range(low, high):
            return Range(low and _ANYTHING, high and _ANYTHING)
        case _:
            return None


def _values(filters: tuple[Filter, ...]) -> Iterator[Value]:
    """In the order in which a Matcher binds them."""
    for item in filters:
        is_date = COLUMNS[item.tag].kind is Kind.DATE
        match item.match:
            case SingleValue(value):
                yield day_of(value) if is_date else to_text(value)
            case AnyOf(values):
                yield [to_text(value) for value in values]
            case Range(low, high):
                yield from (day_of(end) for end in (low, high) if end)
