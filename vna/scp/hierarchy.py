"""Hierarchical requests: what an identifier must name above its level (PS3.4 C.4.1.2.1, C.4.2.2.1)."""

from __future__ import annotations

from vna.dicom.attributes import UNIQUE_KEYS
from vna.errors import InvalidQuery
from vna.model.identifiers import Level
from vna.scp.identifier import Identifier, text_of
from vna.scp.policy import Model

_NOT_SINGLE = frozenset("*?\\")


def require_hierarchy(identifier: Identifier, model: Model) -> None:
    """Check for one value in the unique key of each level above the one that is asked for.

    For requests without relational agreement. Raises InvalidQuery, which is answered 0xA900.
    """
    for level in levels_above(identifier.level, model):
        attribute = UNIQUE_KEYS[level]
        value = text_of(identifier.keys.get(attribute.key, {})).strip(" \0")
        if not value or _NOT_SINGLE & set(value):
            raise InvalidQuery(f"{attribute.keyword} needs one value: not relational")


def levels_above(level: Level, model: Model) -> tuple[Level, ...]:
    """The levels of `model` above `level`, from the top."""
    return model.levels[: model.levels.index(level)]
