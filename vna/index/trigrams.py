"""Wildcards in front of a pattern: its runs of three characters lead an index to what may match."""

from __future__ import annotations

import re
from collections.abc import Iterator

from psycopg import sql

from vna.index.columns import Kind
from vna.index.conditions import Matcher, Part, name_patterns
from vna.index.jsonb import to_text
from vna.model.query import Match, Wildcard

WITH_TRIGRAMS = frozenset({0x00100010, 0x00100020})
"""Patient Name and Patient ID, see the indexes by trigrams in sql/schema.sql."""

_BETWEEN = "\x01"
_WILDCARDS = re.compile(r"[*?]")
_RUN = re.compile(r"[^*?]{3}")


def with_trigrams(
    columns: tuple[Part, ...], kind: Kind, match: Match, matcher: Matcher
) -> Iterator[Part]:
    """What holds for all that `match` finds, and what an index by trigrams of `columns` answers.

    Nothing where another index helps, or where there is no run of three characters. In a name with '=' each part is
    matched with a group of its own: that is left to the columns.
    """
    if not isinstance(match, Wildcard) or match.pattern[:1] not in {"*", "?"}:
        return
    pattern = name_patterns(match.pattern)[-1] if kind is Kind.NAME else match.pattern
    if _RUN.search(pattern) is None or (kind is Kind.NAME and "=" in pattern):
        return
    runs = sql.SQL("{}::text").format(matcher.bind(to_text(_WILDCARDS.sub(_BETWEEN, pattern))))
    if kind is Kind.NAME:
        runs = sql.SQL("fold({})").format(runs)
    yield sql.SQL("trigrams_of({}) @> trigrams_of(VARIADIC string_to_array({}, {}))").format(
        sql.SQL(", ").join(columns), runs, sql.Literal(_BETWEEN)
    )
