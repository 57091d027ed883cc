"""The query parameters of a search, as a Query of the archive (PS3.18 8.3.4 and 10.6.1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from dicomweb.errors import BadRequest
from dicomweb.paging import CURSOR, position_of
from vna.dicom.attributes import lookup
from vna.dicom.matching import attribute_name
from vna.dicom.query_keys import QueryKeys, keys_of_parameters
from vna.dicom.timezones import TIMEZONE_OFFSET_FROM_UTC, asked_offset
from vna.errors import InvalidQuery
from vna.model.identifiers import Level
from vna.model.query import Filter, Query, SingleValue

STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
SOP_INSTANCE_UID = 0x00080018

CONTROL = frozenset(
    {
        "accept",
        "charset",
        "combineddatetimematching",
        "cursor",
        "emptyvaluematching",
        "fuzzymatching",
        "includefield",
        "limit",
        "multiplevaluematching",
        "offset",
    }
)
"""Parameters that are no matching keys; any case is taken (includeField is common)."""

# PS3.18 tables 10.6.3-3 to 10.6.3-5: what an answer holds unasked; and Study Description.
_STUDY = frozenset(
    {
        *(0x00080005, 0x00080020, 0x00080030, 0x00080050, 0x00080056, 0x00080061, 0x00080090),
        *(0x00080201, 0x00081030, 0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x0020000D),
        *(0x00200010, 0x00201206, 0x00201208),
    }
)
_SERIES = frozenset(
    {
        *(0x00080005, 0x00080056, 0x00080060, 0x00080201, 0x0008103E, 0x0020000D, 0x0020000E),
        *(0x00200011, 0x00201209, 0x00400244, 0x00400245, 0x00400275),
    }
)
_INSTANCE = frozenset(
    {
        *(0x00080005, 0x00080016, 0x00080018, 0x00080056, 0x00080201, 0x0020000D, 0x0020000E),
        *(0x00200013, 0x00280008, 0x00280010, 0x00280011, 0x00280100),
    }
)

_MAX_NUMBER = 2**31 - 1
MAX_KEYS = 200
"""Matching keys of one search: each is a condition that Postgres has to plan for."""
MAX_INCLUDED = 2000
"""Attributes that includefield may name: each match repeats them."""


@dataclass(frozen=True, slots=True)
class Within:
    """The study, and the series of it, that the path of a search names; "" names none."""

    study_instance_uid: str = ""
    series_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """A search as the archive understands it, and what the answer should warn of."""

    query: Query
    warnings: tuple[str, ...]
    is_within_study: bool


def read_search(parameters: Iterable[tuple[str, str]], level: Level, within: Within) -> Search:
    """The search behind decoded parameters. Raises BadRequest, InvalidQuery naming the fault."""
    keys, control = _divide(parameters)
    if len(keys) > MAX_KEYS:
        raise InvalidQuery(f"more than {MAX_KEYS} matching keys; ask for less at a time")
    matched = keys_of_parameters(
        keys,
        combine_datetime=_is_true(control, "combineddatetimematching"),
        match_empty=_is_true(control, "emptyvaluematching"),
    )
    query = Query(
        level=level,
        filters=(*_path_filters(within), *matched.filters),
        return_tags=_return_tags(level, within, matched, control.get("includefield", [])),
        limit=_number("limit", control),
        offset=_number("offset", control) or 0,
        fuzzy=_is_true(control, "fuzzymatching"),
        utc_offset=_utc_offset(keys),
    )
    cursor = control.get(CURSOR, [""])[-1]
    if cursor:
        query = replace(query, after=position_of(cursor, query))
        if query.offset:
            raise BadRequest("cursor and offset exclude each other")
    return Search(query, tuple(_warnings(matched)), bool(within.study_instance_uid))


def _divide(
    parameters: Iterable[tuple[str, str]],
) -> tuple[list[tuple[str, str]], dict[str, list[str]]]:
    keys: list[tuple[str, str]] = []
    control: dict[str, list[str]] = {}
    for name, value in parameters:
        if name.lower() in CONTROL:
            control.setdefault(name.lower(), []).append(value)
        else:
            keys.append((name, value))
    return keys, control


def _path_filters(within: Within) -> list[Filter]:
    uids = (
        (STUDY_INSTANCE_UID, within.study_instance_uid),
        (SERIES_INSTANCE_UID, within.series_instance_uid),
    )
    return [Filter(tag, SingleValue(uid)) for tag, uid in uids if uid]


def _return_tags(
    level: Level, within: Within, matched: QueryKeys, included: list[str]
) -> frozenset[int] | None:
    """The tags of an answer, None for all; of higher levels only what the path leaves open."""
    names = [name.strip() for text in included for name in text.split(",") if name.strip()]
    if len(names) > MAX_INCLUDED:
        raise InvalidQuery(f"includefield names more than {MAX_INCLUDED} attributes; all is a word")
    if any(name.lower() == "all" for name in names):
        return None
    tags = set(matched.return_tags)
    tags.update(_included(name) for name in names)
    if level is Level.STUDY or not within.study_instance_uid:
        tags |= _STUDY
    if level is Level.SERIES or (level is Level.IMAGE and not within.series_instance_uid):
        tags |= _SERIES
    if level is Level.IMAGE:
        tags |= _INSTANCE
    return frozenset(tags)


def _included(name: str) -> int:
    """The attribute of an includefield; of a path through sequences the outermost one."""
    found = lookup(name.split(".", maxsplit=1)[0])
    if found is None:
        raise InvalidQuery(
            f"includefield {name[:64]!r} names no attribute; "
            "use a keyword of PS3.6, eight hex digits, or all"
        )
    return found[0]


def _utc_offset(keys: Iterable[tuple[str, str]]) -> int | None:
    """The clocks by which dates and times are meant, and shown (PS3.4 C.2.2.2.1.3), in minutes."""
    for name, value in keys:
        if value.strip() and lookup(name) == (TIMEZONE_OFFSET_FROM_UTC, "SH"):
            return asked_offset({"vr": "SH", "Value": [value]})
    return None


def _number(name: str, control: Mapping[str, list[str]]) -> int | None:
    values = control.get(name)
    if not values or not values[-1].strip():
        return None
    text = values[-1].strip()
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(f"{name} must be a whole number of zero or more")
    return min(int(text[:20]), _MAX_NUMBER)


def _warnings(matched: QueryKeys) -> Iterable[str]:
    if matched.ignored:
        names = ", ".join(attribute_name(tag) for tag in matched.ignored)
        yield f"These attributes cannot be matched and have been ignored: {names}."


def _is_true(control: Mapping[str, list[str]], name: str) -> bool:
    return any(value.strip().lower() == "true" for value in control.get(name, ()))
