"""Sequences with those members only that were asked for (PS3.4 C.2.2.2.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vna.dicom.attributes import vr_of
from vna.model.query import JsonElement

Wanted = dict[int, "Wanted | None"]
"""The members asked for of a sequence, by tag; None: the whole of one."""


def wanted_by(paths: Iterable[Iterable[int]]) -> Wanted:
    """What `paths` of tags through sequences ask for together; who names a sequence gets the whole of it."""
    found: Wanted = {}
    for path in paths:
        *sequences, last = path
        inner: Wanted | None = found
        for tag in sequences:
            inner = None if inner is None else inner.setdefault(tag, {})
        if inner is not None:
            inner[last] = None
    return found


def cut(attributes: Mapping[str, JsonElement], wanted: Wanted) -> dict[str, JsonElement]:
    """`attributes` in which the sequences of `wanted` have only what it names; what is missing there is empty."""
    result = dict(attributes)
    for tag, members in wanted.items():
        key = f"{tag:08X}"
        if members is not None and key in result:
            result[key] = _cut_sequence(result[key], members)
    return result


def _cut_sequence(element: JsonElement, wanted: Wanted) -> JsonElement:
    items = element.get("Value")
    if not isinstance(items, list):
        return element
    return {**element, "Value": [_cut_item(item, wanted) for item in items]}


def _cut_item(item: object, wanted: Wanted) -> object:
    if not isinstance(item, dict):
        return item
    keys = {f"{tag:08X}": {"vr": vr_of(tag)} for tag in sorted(wanted)}
    return cut({key: item.get(key, empty) for key, empty in keys.items()}, wanted)
