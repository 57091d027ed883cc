"""The attributes of an instance as they differ from those that its series shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson
from psycopg import sql

from vna.model.query import JsonElement

_MOST_MEMBERS = 45  # Postgres takes 100 arguments in one call
_ELEMENT = frozenset({"vr", "Value"})
_INSTANCE_NUMBER, _MAX_IN_COLUMN = "00200013", 10**9


class SharedAttributes:
    """What a series shares, as the index told it. Never changes; shared by threads."""

    def __init__(self, document: bytes) -> None:
        self._elements: dict[str, JsonElement] = orjson.loads(document)
        self._written = {
            key: _text(element)
            for key, element in self._elements.items()
            if not all(isinstance(value, str) for value in element["Value"])
        }

    def differences(self, attributes: Mapping[str, JsonElement]) -> dict[str, object]:
        """What the index' function differences_of makes of `attributes`. 1 and 1.0 are equal, and yet not the same."""
        shared, written = self._elements, self._written
        found: dict[str, object] = dict.fromkeys(shared.keys() - attributes.keys())
        for key, element in attributes.items():
            other = shared.get(key)
            if element == other and (key not in written or _text(element) == written[key]):
                continue
            if key != _INSTANCE_NUMBER or not _is_in_column(element):
                found[key] = _short(element, None if other is None else other["vr"])
        return found


def _text(element: JsonElement) -> bytes:
    try:
        return orjson.dumps(element, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # beyond 64 bits: like nothing else
        return b""


def _is_in_column(element: JsonElement) -> bool:
    values = element["Value"]
    if element["vr"] != "IS" or not isinstance(values, list) or element.keys() != _ELEMENT:
        return False
    number = values[0] if len(values) == 1 else None
    return type(number) is int and -_MAX_IN_COLUMN < number < _MAX_IN_COLUMN


def _short(element: JsonElement, vr: object) -> object:
    """The values alone, where the VR is that of the series."""
    values = element.get("Value")
    if (
        vr is None
        or element["vr"] != vr
        or element.keys() != _ELEMENT
        or not isinstance(values, list)
    ):
        return element
    is_plain = len(values) == 1 and type(values[0]) in {str, int, float}
    return values[0] if is_plain else values


def whole_attributes(series: str = "e") -> sql.Composable:
    """The attributes of the instance `i` of `series`, as one jsonb."""
    return sql.SQL(
        "attributes_of(i.attributes, i.differences, {}.shared, i.instance_number)"
    ).format(sql.Identifier(series))


def looked_up(expression: sql.Composable) -> sql.Composable:
    """An expression of the instance `i` of the series `x` that finds this series itself: a condition on the instance
    alone. One on two tables Postgres would check on all rows that join, before it looks at the study.
    """
    return sql.SQL("(SELECT {} FROM series AS x WHERE x.id = i.series)").format(expression)


def elements_of(tags: Iterable[int]) -> sql.Composable:
    """An object with the elements of some `tags` that the instance `i` of the series `e` has; NULL for the others."""
    members = [sql.SQL("{}, {}").format(sql.Literal(f"{tag:08X}"), element_of(tag)) for tag in tags]
    objects = (
        sql.SQL("jsonb_build_object({})").format(
            sql.SQL(", ").join(members[at : at + _MOST_MEMBERS])
        )
        for at in range(0, max(1, len(members)), _MOST_MEMBERS)
    )
    return sql.SQL("({})").format(sql.SQL(" || ").join(list(objects)))


def element_of(tag: int, series: str = "e") -> sql.Composable:
    """One element of the instance `i` of `series`; NULL for none."""
    return sql.SQL(
        "element_of(i.attributes, i.differences, {}.shared, i.instance_number, {})"
    ).format(sql.Identifier(series), sql.Literal(f"{tag:08X}"))
