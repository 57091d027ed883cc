"""What a SELECT gives of each match: its columns, and the attributes that its rows are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from psycopg import sql

from vna.dicom.attributes import BY_LEVEL, vr_of
from vna.index.columns import (
    ALIASES,
    COLUMNS,
    COMPUTED_COLUMNS,
    INSTANCE_AVAILABILITY,
    RETURNED_COLUMNS,
    home_of,
)
from vna.index.differences import elements_of, whole_attributes
from vna.model.identifiers import LEVELS, Level
from vna.model.query import JsonElement

Part = sql.Composable
MOST_REMEMBERED = 256
"""Attributes asked for at once; who names more does so in vain, and is not remembered for it."""

KEPT_AT = {level: {attribute.tag for attribute in BY_LEVEL[level]} for level in LEVELS}
_OF_PATIENT = {tag for tag, item in COMPUTED_COLUMNS.items() if item.level is Level.PATIENT}
_ONLINE: JsonElement = {"vr": "CS", "Value": ["ONLINE"]}


@dataclass(frozen=True, slots=True)
class Outputs:
    """The `columns` of a SELECT: first `documents` objects of the DICOM JSON model as text, then the values `singles`.

    `singles`: key and VR of each. `empty`: the attributes of a record of which nothing is known; None where all
    that is kept was asked for.
    """

    columns: bytes
    documents: int
    singles: tuple[tuple[str, str], ...]
    empty: dict[str, JsonElement] | None

    def attributes_of(self, row: Sequence[Any]) -> dict[str, JsonElement]:
        """The attributes of one row; elements without a value may be the same object in many records."""
        found = {} if self.empty is None else self.empty.copy()
        for text in row[: self.documents]:
            for key, element in orjson.loads(text).items():
                if element:
                    found[key] = element
        for (key, vr), value in zip(self.singles, row[self.documents :], strict=False):
            values = value if isinstance(value, list) else [value]
            if values and values[0] not in {None, ""}:
                found[key] = {"vr": vr, "Value": values}
            elif self.empty is None:
                found[key] = {"vr": vr}
        if self.empty is None:
            found[f"{INSTANCE_AVAILABILITY:08X}"] = _ONLINE
        return found


def outputs_of(level: Level, asked: frozenset[int] | None) -> Outputs:
    """What it takes to answer a query at `level` for the tags `asked`; None: all that is kept."""
    if asked is not None and len(asked) > MOST_REMEMBERED:
        return _outputs_of(level, asked)
    return _remembered(level, asked)


def above(level: Level) -> tuple[Level, ...]:
    """`level` and those above it, from the top."""
    return LEVELS[: LEVELS.index(level) + 1]


def attributes_at(level: Level, here: tuple[Level, ...]) -> Part:
    """The jsonb of `level`; that of the patient as the study has it, where there is a study. That of an instance takes
    its series as well.
    """
    if level is Level.PATIENT and Level.STUDY in here:
        return sql.SQL("coalesce(s.patient_attributes, p.attributes)")
    if level is Level.IMAGE:
        return whole_attributes()
    return sql.Identifier(ALIASES[level], "attributes")


def reads_patient(level: Level, asked: frozenset[int] | None) -> bool:
    """Whether it takes the row of the patient to answer."""
    return (
        level is Level.PATIENT
        or needs(Level.PATIENT, asked, level)
        or bool((asked or frozenset()) & _OF_PATIENT)
    )


def needs(level: Level, asked: frozenset[int] | None, query_level: Level) -> bool:
    """Whether the jsonb of `level` has one of the attributes asked for."""
    return asked is None or any(
        tag not in RETURNED_COLUMNS[level] and home_of(tag, query_level) == level for tag in asked
    )


def _outputs_of(level: Level, asked: frozenset[int] | None) -> Outputs:
    here = above(level)
    documents = [_document(home, here, asked) for home in here if needs(home, asked, level)]
    tags = [tag for home in here for tag in RETURNED_COLUMNS[home] if asked is None or tag in asked]
    computed = [
        item
        for item in COMPUTED_COLUMNS.values()
        if item.level in here and (asked is None or item.tag in asked)
    ]
    columns: list[Part] = [
        *documents,
        *(COLUMNS[tag].expression for tag in tags),
        *(item.expression for item in computed),
    ]
    singles = tuple((f"{tag:08X}", vr_of(tag)) for tag in (*tags, *(c.tag for c in computed)))
    listed = sql.SQL(", ").join(columns or [sql.SQL("1")]).as_bytes(None)
    return Outputs(listed, len(documents), singles, None if asked is None else _empty(asked))


_remembered = lru_cache(maxsize=256)(_outputs_of)


def _empty(asked: frozenset[int]) -> dict[str, JsonElement]:
    found: dict[str, JsonElement] = {f"{tag:08X}": {"vr": vr_of(tag)} for tag in sorted(asked)}
    if INSTANCE_AVAILABILITY in asked:
        found[f"{INSTANCE_AVAILABILITY:08X}"] = _ONLINE
    return found


def _document(level: Level, here: tuple[Level, ...], asked: frozenset[int] | None) -> Part:
    """The jsonb of `level` as text, cut down to what is asked for where it is.

    By one function that reads the whole of it once: an operator for each key reads it as many times.
    """
    attributes = attributes_at(level, here)
    if asked is None:
        return sql.SQL("{}::text").format(attributes)
    if level is Level.IMAGE:
        return sql.SQL("{}::text").format(elements_of(sorted(asked & KEPT_AT[level])))
    keys = [f"{tag:08X}" for tag in sorted(asked & KEPT_AT[level])]
    members = sql.SQL(", ").join(sql.SQL("{} jsonb").format(sql.Identifier(key)) for key in keys)
    return sql.SQL("(SELECT row_to_json(r)::text FROM jsonb_to_record({}) AS r({}))").format(
        attributes, members
    )
