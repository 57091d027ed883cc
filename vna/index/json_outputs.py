"""A match as one column: its object of the DICOM JSON model, finished by Postgres."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from psycopg import sql

from vna.dicom.attributes import vr_of
from vna.index.columns import (
    ALIASES,
    COLUMNS,
    COMPUTED_COLUMNS,
    INSTANCE_AVAILABILITY,
    RETURNED_COLUMNS,
    Computed,
)
from vna.index.differences import element_of
from vna.index.outputs import KEPT_AT, MOST_REMEMBERED, above, attributes_at, needs
from vna.model.identifiers import Level

Part = sql.Composable
_RETRIEVE_URL = 0x00081190
_OMITTED_WHEN_EMPTY = frozenset(
    {0x00080061}
)  # viewers take the Value of Modalities in Study for granted
_ONLINE = '{"vr":"CS","Value":["ONLINE"]}'
_MOST_ARGUMENTS = 90  # Postgres takes 100 in one call
_UIDS: dict[Level, tuple[int, str]] = {
    Level.STUDY: (0x0020000D, "before_study"),
    Level.SERIES: (0x0020000E, "before_series"),
    Level.IMAGE: (0x00080018, "before_instance"),
}
_IDENTITY = frozenset(tag for tag, _ in _UIDS.values())
"""UIDs that are always there, of characters that JSON takes as they are (`is_keepable_uid`)."""

# An odd UID as quote() of Python writes it.
_QUOTED = """
CASE WHEN {0} !~ '[^0-9.]' THEN {0} ELSE (
    SELECT string_agg(
        CASE WHEN c ~ '[A-Za-z0-9_.~-]' THEN c ELSE '%%' || upper(to_hex(ascii(c))) END, '' ORDER BY n)
    FROM unnest(string_to_array({0}, NULL)) WITH ORDINALITY AS characters(c, n)) END
"""


def json_object(level: Level, asked: frozenset[int] | None) -> bytes:
    """The expression of a match of a query at `level` with the tags `asked` (None: all that is kept) and Retrieve
    URL (0008,1190). Its place-holders bear the names of the fields of UrlParts.

    What is asked for and has no value is there without one, except Modalities in Study.
    """
    if asked is not None and len(asked) > MOST_REMEMBERED:
        return _json_object(level, asked)
    return _remembered(level, asked)


def _json_object(level: Level, asked: frozenset[int] | None) -> bytes:
    whole = _everything(level) if asked is None else _chosen(level, asked | {_RETRIEVE_URL})
    return whole.as_bytes(None)


_remembered = lru_cache(maxsize=256)(_json_object)


@dataclass(frozen=True, slots=True)
class CountedAbove:
    """What `json_object` takes from rows below levels above its own, counted once for each row of such a level.

    `tables` are the WITH-queries that count for a table `page`, `joins` brings them in; both b"" for none.
    """

    tables: bytes
    joins: bytes


def counted_above(level: Level, asked: frozenset[int] | None) -> CountedAbove:
    """The counts for a query at `level` for the tags `asked`; None: all that is kept."""
    computed = frozenset(COMPUTED_COLUMNS)
    return _counted_above(level, computed if asked is None else asked & computed)


@lru_cache(maxsize=256)
def _counted_above(level: Level, asked: frozenset[int]) -> CountedAbove:
    found = {home: _computed_of(home, asked) for home in above(level)[:-1]}
    tables = (_counted(home, items) for home, items in found.items() if items)
    joins = (
        sql.SQL("JOIN {0} ON {0}.id = {1}.id").format(
            _counted_name(home), sql.Identifier(ALIASES[home])
        )
        for home, items in found.items()
        if items
    )
    return CountedAbove(
        sql.SQL(", ").join(list(tables)).as_bytes(None),
        sql.SQL(" ").join(list(joins)).as_bytes(None),
    )


def _computed_of(level: Level, asked: frozenset[int]) -> list[Computed]:
    found = (item for item in COMPUTED_COLUMNS.values() if item.level is level)
    return [item for item in found if item.tag in asked]


def _counted(level: Level, items: list[Computed]) -> Part:
    columns = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(item.expression, sql.Identifier(f"{item.tag:08X}"))
        for item in items
    )
    return sql.SQL(
        "{name} AS MATERIALIZED (SELECT {alias}.id, {columns} "
        "FROM (SELECT DISTINCT page.{alias} AS id FROM page) AS {alias})"
    ).format(name=_counted_name(level), alias=sql.Identifier(ALIASES[level]), columns=columns)


def _counted_name(level: Level) -> sql.Identifier:
    return sql.Identifier("counted_" + ALIASES[level])


# --- what was asked for ---


def _chosen(level: Level, asked: frozenset[int]) -> Part:
    """Members joined as text, in the order of their tags."""
    here, tags = above(level), sorted(asked)
    documents = [home for home in here if needs(home, asked, level)]
    is_first_omitted = tags[0] in _OMITTED_WHEN_EMPTY
    pieces: list[str | Part] = ["" if is_first_omitted else "{"]
    for number, tag in enumerate(tags):
        comma = "," if number or is_first_omitted else ""
        pieces += _member(comma, tag, level, documents)
    text = _concatenated(_merged([*pieces, "}"]))
    if is_first_omitted:
        text = sql.SQL("'{{' || substr({}, 2)").format(text)
    documents = [home for home in documents if home is not Level.IMAGE]
    if not documents:
        return text
    # In memory once: from the table, an operator for each key would fetch and unpack it for each key.
    whole = (
        sql.SQL("{} || '{{}}' AS {}").format(attributes_at(home, here), _document(home))
        for home in documents
    )
    return sql.SQL("(SELECT {} FROM (SELECT {} OFFSET 0) AS documents)").format(
        text, sql.SQL(", ").join(whole)
    )


def _document(level: Level) -> sql.Identifier:
    return sql.Identifier("document_" + ALIASES[level])


def _member(comma: str, tag: int, level: Level, documents: list[Level]) -> Iterator[str | Part]:
    """A comma, the key and the element: constants as str."""
    key, vr = f'{comma}"{tag:08X}":', vr_of(tag)
    holders = [home for home in reversed(documents) if tag in KEPT_AT[home]]
    single = _single(tag, level)
    if tag == INSTANCE_AVAILABILITY:
        yield key + _ONLINE
    elif tag == _RETRIEVE_URL:
        yield f'{key}{{"vr":"UR","Value":["'
        yield from _url(level)
        yield '"]}'
    elif tag in _IDENTITY and COLUMNS[tag].level in above(level):
        yield f'{key}{{"vr":"UI","Value":["'
        yield COLUMNS[tag].expression
        yield '"]}'
    elif single is not None:
        yield _valued(key, tag, single)
    elif holders:
        found = (
            element_of(tag)
            if home is Level.IMAGE
            else sql.SQL("{} -> {}").format(_document(home), sql.Literal(f"{tag:08X}"))
            for home in holders
        )
        yield key
        yield sql.SQL("coalesce({}, {})").format(
            sql.SQL(", ").join(found), sql.Literal(f'{{"vr":"{vr}"}}')
        )
    else:
        yield f'{key}{{"vr":"{vr}"}}'


def _valued(key: str, tag: int, values: Part) -> Part:
    """`key` and the element of the array `values`; what tells that there is none where that is NULL."""
    begin, vr = sql.Literal(f'{key}{{"vr":"{vr_of(tag)}","Value":'), vr_of(tag)
    if tag in _OMITTED_WHEN_EMPTY:
        return sql.SQL("{} || {} || '}}'").format(begin, values)
    absent = sql.Literal(f'{key}{{"vr":"{vr}"}}')
    return sql.SQL("coalesce({} || {} || '}}', {})").format(begin, values, absent)


def _single(tag: int, level: Level) -> Part | None:
    """The array of values of what stands in a column or is computed, as text; NULL for none."""
    here = above(level)
    column, computed = COLUMNS.get(tag), COMPUTED_COLUMNS.get(tag)
    if computed is not None and computed.level in here:
        return _computed(computed, level)
    if column is not None and column.level in here and tag in RETURNED_COLUMNS[column.level]:
        return sql.SQL("'[' || to_json(nullif({}, '')) || ']'").format(column.expression)
    return None


def _computed(computed: Computed, level: Level) -> Part:
    expression = computed.expression
    if computed.level is not level:
        column = sql.Identifier(f"{computed.tag:08X}")
        expression = sql.SQL("{}.{}").format(_counted_name(computed.level), column)
    if computed.rows is None:
        return sql.SQL("'[' || {} || ']'").format(expression)
    return sql.SQL("nullif(to_json({})::text, '[]')").format(expression)


def _url(level: Level) -> Iterator[Part]:
    for home, (tag, prefix) in _UIDS.items():
        if home in above(level):
            yield sql.SQL("{}::text").format(sql.Placeholder(prefix))
            yield sql.SQL(_QUOTED).format(COLUMNS[tag].expression)


def _merged(parts: Iterable[str | Part]) -> list[Part]:
    """Neighbouring constants joined into one."""
    found: list[Part] = []
    for is_constant, run in groupby(parts, lambda part: isinstance(part, str)):
        if is_constant:
            found.append(sql.Literal("".join(str(part) for part in run)))
        else:
            found += [part for part in run if not isinstance(part, str)]
    return found


def _concatenated(parts: list[Part]) -> Part:
    while len(parts) > _MOST_ARGUMENTS:
        groups = range(0, len(parts), _MOST_ARGUMENTS)
        parts = [_call("concat", parts[at : at + _MOST_ARGUMENTS]) for at in groups]
    return _call("concat", parts)


def _call(function: str, arguments: Iterable[Part]) -> Part:
    return sql.SQL("{}({})").format(sql.Identifier(function), sql.SQL(", ").join(arguments))


# --- all that is kept ---


def _everything(level: Level) -> Part:
    """The documents of all levels as one, what is in columns added; a deeper level is believed first."""
    here = above(level)
    tags = [tag for home in here for tag in RETURNED_COLUMNS[home]]
    tags += [tag for tag, item in COMPUTED_COLUMNS.items() if item.level in here]
    elements = {
        f"{INSTANCE_AVAILABILITY:08X}": sql.Literal(_ONLINE),
        f"{_RETRIEVE_URL:08X}": _concatenated(
            [sql.Literal('{"vr":"UR","Value":["'), *_url(level), sql.Literal('"]}')]
        ),
    }
    for tag in tags:
        single = _single(tag, level)
        if single is not None:
            elements[f"{tag:08X}"] = _valued("", tag, single)
    members = (
        sql.SQL("{}, ({})::jsonb").format(sql.Literal(key), element)
        for key, element in elements.items()
    )
    documents = sql.SQL(" || ").join(attributes_at(home, here) for home in here)
    return sql.SQL("({} || jsonb_strip_nulls(jsonb_build_object({})))::text").format(
        documents, sql.SQL(", ").join(members)
    )
