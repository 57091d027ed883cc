"""A query as statements: all its records, pages of finished objects, the number of its matches."""

from __future__ import annotations

from dataclasses import dataclass

from vna.index.columns import COLUMNS
from vna.index.conditions import Part, all_of
from vna.index.filters import (
    PATIENT_ID,
    conditions,
    numbers,
    scope_of,
    tables,
    tables_of_page,
)
from vna.index.json_outputs import counted_above, json_object
from vna.index.outputs import Outputs, above, outputs_of, reads_patient
from vna.index.positions import ordered, shown, stretches
from vna.model.identifiers import Level
from vna.model.query import AnyOf, Filter, Query, Range, SingleValue, UrlParts

_STUDY_DATE = 0x00080020
_KEYS = frozenset(
    {PATIENT_ID, 0x0020000D, 0x0020000E, 0x00080018, 0x00080050}  # unique keys, accession number
)


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
class TextStatement:
    """A statement of which every row is text. `is_prepared`: one plan is right whatever the values.

    `is_bounded`: an index leads to what it reads, and it reads no more than it gives.
    """

    text: bytes
    values: dict[str, object]
    is_prepared: bool
    is_bounded: bool


def build_statement(query: Query, zone: str = "", first_rows: int = 1) -> Statement:
    """The SELECT of `query`. Raises InvalidQuery for a match that an attribute does not allow.

    `zone`: the IANA name of the time zone of objects that do not tell theirs; "": that of the query.
    """
    scope = scope_of(query, zone)
    outputs = outputs_of(query.level, query.return_tags)
    condition, _ = conditions(scope)
    body = b"SELECT %b FROM %b WHERE %b ORDER BY %b" % (
        outputs.columns,
        tables(Level.PATIENT, query.level),
        condition.as_bytes(None),
        ordered(query.level),
    )
    return Statement(
        text=body + _page(query.limit, query.offset),
        values=scope.matcher.bound,
        outputs=outputs,
        is_keyed=_is_keyed(query),
        first=body + _page(first_rows, query.offset),
    )


def build_pages(query: Query, zone: str, url: UrlParts) -> list[TextStatement]:
    """Statements whose rows, one statement's behind the other's, are the matches of `query`.

    Of each the finished object of the DICOM JSON model and the columns of its Position. Each is limited as `query`
    is: once there are enough rows, those that are left need not be asked. Raises InvalidQuery.
    """
    scope = scope_of(query, zone)
    condition, top = conditions(scope)
    if top is not Level.PATIENT:  # the order takes the study
        reads = reads_patient(query.level, query.return_tags)
        top = Level.PATIENT if reads else Level.STUDY
    parts: list[Part] = [condition]
    if query.after is not None:
        behind = stretches(query.level, query.after, scope.matcher.bind)
        parts = [all_of([condition, stretch]) for stretch in behind]
    scope.matcher.name_values(
        before_study=url.before_study,
        before_series=url.before_series,
        before_instance=url.before_instance,
    )
    is_keyed = _is_keyed(query) or not (query.filters or query.offset)
    texts = (_page_text(query, top, part.as_bytes(None)) for part in parts)
    return [TextStatement(text, scope.matcher.bound, is_keyed, is_keyed) for text in texts]


def _page_text(query: Query, top: Level, condition: bytes) -> bytes:
    level, order = query.level, ordered(query.level)
    found = b"FROM %b WHERE %b ORDER BY %b%b" % (
        tables(top, level),
        condition,
        order,
        _page(query.limit, query.offset),
    )
    columns = b"%b, %b" % (json_object(level, query.return_tags), shown(level))
    counted = counted_above(level, query.return_tags)
    if not counted.tables and not query.offset:
        return b"SELECT %b %b" % (columns, found)
    # The columns, which take far more than to find a row, are not made of what `offset` passes over.
    page = b"page AS MATERIALIZED (SELECT %b %b)" % (numbers(top, level), found)
    return b"WITH %b SELECT %b FROM %b %b ORDER BY %b" % (
        b", ".join(filter(None, [page, counted.tables])),
        *(columns, tables_of_page(top, level), counted.joins, order),
    )


def build_count(query: Query, zone: str, known: str = "") -> TextStatement:
    """One row: what was to be seen at its moment, and how many matches there were, whatever page is asked for.

    The second is NULL when nothing was committed since `known`, the first value of an earlier row.
    Raises InvalidQuery.
    """
    scope = scope_of(query, zone)
    condition, top = conditions(scope)
    scope.matcher.name_values(known=known)
    text = (
        b"SELECT pg_current_snapshot()::text, CASE WHEN pg_current_snapshot()::text <> %%(known)s::text "
        b"THEN (SELECT count(*) FROM %b WHERE %b) END"
        % (tables(top, query.level), condition.as_bytes(None))
    )
    is_prepared = _is_keyed(query) or not query.filters
    return TextStatement(text, scope.matcher.bound, is_prepared, is_bounded=False)


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


def _page(limit: int | None, offset: int) -> bytes:
    parts = [] if limit is None else [b" LIMIT %d" % max(0, limit)]
    parts += [b" OFFSET %d" % offset] if offset > 0 else []
    return b"".join(parts)
