"""The keys of a whole query, of C-FIND (PS3.4 C.4.1.1.3) or QIDO-RS (PS3.18 8.3.4)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from vna.dicom.attributes import UNIQUE_KEYS, lookup, vr_of
from vna.dicom.matching import (
    MATCHABLE_VRS,
    TIME_OF_DATE,
    attribute_name,
    combined,
    parse_match,
)
from vna.errors import InvalidQuery
from vna.model.query import AnyOf, Empty, Filter, ItemMatch, JsonElement, Match

_SPECIFIC_CHARACTER_SET = 0x00080005
_QUERY_RETRIEVE_LEVEL = 0x00080052
_CONTROL = frozenset({_SPECIFIC_CHARACTER_SET, _QUERY_RETRIEVE_LEVEL, 0x00080053})
_NEVER_MATCHED = frozenset({
    0x00080054,  # RetrieveAETitle
    0x00080056,  # InstanceAvailability
    0x00080201,  # TimezoneOffsetFromUTC: says how times are meant
    0x00081190,  # RetrieveURL
    0x00880130,  # StorageMediaFileSetID
    0x00880140,  # StorageMediaFileSetUID
})  # fmt: skip
_TOLD_TO_IGNORE = _NEVER_MATCHED - {0x00080201}
_UNIQUE_TAGS = frozenset(attribute.tag for attribute in UNIQUE_KEYS.values())
_MAX_PATH = 16
_EMPTY = '""'


@dataclass(frozen=True, slots=True)
class QueryKeys:
    """What a query asks for.

    `return_tags`: every attribute named, matched or not, except those that only steer the query
    (character set, level, view). `ignored`: tags with a value that can't be matched (private,
    unknown or binary), which by PS3.4 C.2.2.1.3 count as universal; a door may tell the client.
    """

    filters: tuple[Filter, ...]
    return_tags: frozenset[int]
    ignored: tuple[int, ...] = ()


def keys_of_identifier(
    identifier: Mapping[str, JsonElement], *, combine_datetime: bool = False
) -> QueryKeys:
    """The keys of a C-FIND identifier given in the DICOM JSON model, at any level.

    The VR of the standard counts where the identifier has another one. With `combine_datetime` the
    ranges of a date and its time are one range of moments (PS3.4 C.2.2.2.5.4). Raises InvalidQuery
    naming the attribute.
    """
    ignored: list[int] = []
    filters = _item_filters(identifier, ignored)
    if combine_datetime:
        texts = {item.tag: _element_text(identifier[f"{item.tag:08X}"]) for item in filters}
        filters = _combine(texts, filters)
    tags = frozenset(int(key, 16) for key in identifier) - _CONTROL
    return QueryKeys(filters, tags, tuple(ignored))


def keys_of_parameters(
    parameters: Iterable[tuple[str, str]],
    *,
    combine_datetime: bool = False,
    match_empty: bool = False,
) -> QueryKeys:
    """The keys of QIDO-RS match parameters, names and values already percent-decoded.

    A name is a keyword, eight hex digits, or a path of these through sequences with dots; paths
    into the same sequence must match in one item. An empty value is universal, but an empty
    PatientID or instance UID of a level, or one of separators alone, matches nothing (an AnyOf
    without values): viewers send that for "of this unknown patient" and must not get the archive.
    `combine_datetime` as for `keys_of_identifier`. With `match_empty` two quotation marks match what
    has no value (PS3.4 C.2.2.2.7). Raises InvalidQuery for a word that names no attribute or is
    given twice.
    """
    tree: _Tree = {}
    ignored: list[int] = []
    texts: dict[int, str] = {}
    for name, value in parameters:
        path = path_of(name)
        if match_empty and value.strip() == _EMPTY:
            _put(tree, path, Empty())
        else:
            _insert(tree, path, value, ignored)
        if len(path) == 1:
            texts[path[0][0]] = value
    filters = _tree_filters(tree)
    if combine_datetime:
        filters = _combine(texts, filters)
    return QueryKeys(filters, frozenset(tree) - _CONTROL, tuple(ignored))


# --- C-FIND ---


def _item_filters(item: Mapping[str, JsonElement], ignored: list[int]) -> tuple[Filter, ...]:
    found = ((int(key, 16), item[key]) for key in sorted(item))
    matches = ((tag, _element_match(tag, element, ignored)) for tag, element in found)
    return tuple(Filter(tag, match) for tag, match in matches if match is not None)


def _combine(texts: Mapping[int, str], filters: tuple[Filter, ...]) -> tuple[Filter, ...]:
    """`filters` with the ranges of each date and its time, written as in `texts`, as one."""
    found: dict[int, Match | None] = {}
    for date, time in TIME_OF_DATE.items():
        both = {date, time} <= texts.keys()
        moments = combined(texts[date], texts[time]) if both else None
        if moments is not None:
            found[date], found[time] = moments, None
    matches = ((item.tag, found.get(item.tag, item.match)) for item in filters)
    return tuple(Filter(tag, match) for tag, match in matches if match is not None)


def _element_match(tag: int, element: JsonElement, ignored: list[int]) -> Match | None:
    if tag in _CONTROL or tag in _NEVER_MATCHED or _is_private_creator(tag):
        return None
    known = vr_of(tag)
    vr = known if known != "UN" else str(element.get("vr", "UN"))
    if vr == "SQ":
        return _sequence_match(tag, element.get("Value", []), ignored)
    text = _element_text(element)
    if not text.strip(" \0"):
        return None
    if vr not in MATCHABLE_VRS or (tag >> 16) & 1:
        ignored.append(tag)
        return None
    return parse_match(vr, text, tag=tag)


def _sequence_match(tag: int, items: object, ignored: list[int]) -> ItemMatch | None:
    if not isinstance(items, list) or len(items) > 1 or not all(map(_is_item, items)):
        raise InvalidQuery(
            f"{attribute_name(tag)}: a sequence to match has one item; ask once for each"
        )
    filters = _item_filters(items[0], ignored) if items else ()
    return ItemMatch(filters) if filters else None


def _is_item(value: object) -> TypeGuard[dict[str, JsonElement]]:
    return isinstance(value, dict) and all(isinstance(element, dict) for element in value.values())


def _element_text(element: JsonElement) -> str:
    inline = element.get("InlineBinary")
    if isinstance(inline, str):  # a known attribute that came as UN
        try:
            return base64.b64decode(inline).decode("utf-8", "replace")
        except binascii.Error:
            return ""
    values = element.get("Value", [])
    return "\\".join(map(_value_text, values)) if isinstance(values, list) else ""


def _value_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        groups = (value.get(name, "") for name in ("Alphabetic", "Ideographic", "Phonetic"))
        return "=".join(map(str, groups)).rstrip("=")
    return str(value)


def _is_private_creator(tag: int) -> bool:
    return bool((tag >> 16) & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


# --- QIDO-RS ---

_Tree = dict[int, "Match | _Tree | None"]


def path_of(name: str) -> list[tuple[int, str]]:
    """(tag, VR) of each attribute of a path through sequences. Raises InvalidQuery."""
    words = name.split(".")
    if len(words) > _MAX_PATH:
        raise InvalidQuery(f"The path of a parameter has more than {_MAX_PATH} parts")
    path = [_attribute(word, name) for word in words]
    for tag, vr in path[:-1]:
        if vr != "SQ":
            raise InvalidQuery(
                f"{attribute_name(tag)} is no sequence: nothing can stand behind its dot"
            )
    return path


def _attribute(word: str, name: str) -> tuple[int, str]:
    found = lookup(word) if word else None  # PS3.6 has elements without a keyword
    if found is None:
        shown = name[:64]
        raise InvalidQuery(
            f"{shown!r} names no attribute; use a keyword of PS3.6 or eight hex digits"
        )
    return found


def _insert(tree: _Tree, path: list[tuple[int, str]], value: str, ignored: list[int]) -> None:
    tag, vr = path[-1]
    if vr == "SQ" and not value.strip():
        _inner(tree, path).setdefault(tag, {})
        return
    match = _parameter_match(tag, vr, value, ignored, is_nested=len(path) > 1)
    _put(tree, path, match)


def _inner(tree: _Tree, path: list[tuple[int, str]]) -> _Tree:
    """The tree of the item that the end of `path` belongs to."""
    for sequence, _ in path[:-1]:
        inner = tree.setdefault(sequence, {})
        if not isinstance(inner, dict):
            inner = tree[sequence] = {}
        tree = inner
    return tree


def _put(tree: _Tree, path: list[tuple[int, str]], match: Match | None) -> None:
    tag, tree = path[-1][0], _inner(tree, path)
    if tag in tree and tree[tag] != match:
        raise InvalidQuery(f"{attribute_name(tag)} is given twice; give alternatives as one list")
    tree[tag] = match


def _parameter_match(
    tag: int, vr: str, value: str, ignored: list[int], *, is_nested: bool
) -> Match | None:
    if vr == "SQ":
        raise InvalidQuery(f"{attribute_name(tag)} is a sequence; name a member behind a dot")
    if tag in _CONTROL or tag in _NEVER_MATCHED:
        if tag in _TOLD_TO_IGNORE and value.strip(" \0*"):
            ignored.append(tag)
        return None
    is_unique = tag in _UNIQUE_TAGS and not is_nested
    if not value.strip(" \0"):
        return AnyOf(()) if is_unique else None
    if vr not in MATCHABLE_VRS or (tag >> 16) & 1:
        ignored.append(tag)
        return None
    match = parse_match(vr, value, tag=tag, comma_lists=True)
    if match is None and is_unique and "*" not in value:
        return AnyOf(())  # separators alone are as empty as nothing
    return match


def _tree_filters(tree: _Tree) -> tuple[Filter, ...]:
    filters = []
    for tag in sorted(tree):
        match = tree[tag]
        if isinstance(match, dict):
            inner = _tree_filters(match)
            match = ItemMatch(inner) if inner else None
        if match is not None:
            filters.append(Filter(tag, match))
    return tuple(filters)
