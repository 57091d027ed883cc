"""The query parameters of a search, as a Query of the archive (PS3.18 8.3.4 and 10.6.1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from dicomweb.errors import BadRequest
from dicomweb.paging import CURSOR, position_of
from dicomweb.parameters import truth, whole_number
from vna.dicom.attributes import ATTRIBUTES, COMPUTED, lookup
from vna.dicom.items_cut import Wanted, wanted_by
from vna.dicom.matching import attribute_name
from vna.dicom.query_keys import keys_of_parameters, path_of
from vna.dicom.supported_keys import supported
from vna.dicom.timezones import TIMEZONE_OFFSET_FROM_UTC, asked_offset
from vna.errors import InvalidQuery
from vna.model.identifiers import LEVELS, Level
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

_STEERING = frozenset({0x00080005, 0x00080052, 0x00080053})
"""Specific Character Set, Query/Retrieve Level and View say how a query is meant."""
_ANYWHERE = frozenset(item.tag for item in COMPUTED if item.level is Level.IMAGE)
"""What is computed for the matches of every level."""


def _only_below(level: Level) -> frozenset[int]:
    """The tags that only levels below `level` have."""
    above = LEVELS[: LEVELS.index(level) + 1]
    items = (*ATTRIBUTES, *COMPUTED)
    known = {item.tag for item in items if item.level in above} | _ANYWHERE
    return frozenset(item.tag for item in items) - known


_BELOW = {level: _only_below(level) for level in LEVELS}

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
    """A search as the archive understands it, and what the answer should warn of.

    `cuts`: the sequences of which only members were asked for.
    """

    query: Query
    warnings: tuple[str, ...]
    is_within_study: bool
    cuts: Wanted


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
    filters, unknown = supported(matched.filters)
    wanted, is_all = _wanted(keys, control.get("includefield", []))
    unasked = _unasked(level, within)
    query = Query(
        level=level,
        filters=(*_path_filters(within), *filters),
        return_tags=None if is_all else unasked | _kept_at(level, wanted),
        limit=_number("limit", control),
        offset=_number("offset", control) or 0,
        fuzzy=_is_true(control, "fuzzymatching"),
        utc_offset=_utc_offset(keys),
    )
    query = _placed(query, _only(CURSOR, control))
    cuts: Wanted = {tag: inner for tag, inner in wanted.items() if inner and tag not in unasked}
    warnings = tuple(_warnings([*matched.ignored, *unknown]))
    return Search(query, warnings, bool(within.study_instance_uid), cuts)


def _placed(query: Query, cursor: str) -> Query:
    """`query` behind the place that `cursor` names, if it names one."""
    if not cursor:
        return query
    if query.offset:
        raise BadRequest("cursor and offset exclude each other")
    return replace(query, after=position_of(cursor, query))


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


def _wanted(keys: Iterable[tuple[str, str]], included: list[str]) -> tuple[Wanted, bool]:
    """What is asked for by name, matched or included; and whether all is."""
    names = [name.strip() for text in included for name in text.split(",") if name.strip()]
    if len(names) > MAX_INCLUDED:
        raise InvalidQuery(f"includefield names more than {MAX_INCLUDED} attributes; all is a word")
    if any(name.lower() == "all" for name in names):
        return {}, True
    asked = [*(name for name, _ in keys), *names]
    return wanted_by([tag for tag, _ in path_of(name)] for name in asked), False


def _unasked(level: Level, within: Within) -> frozenset[int]:
    """The tags that every answer holds; of higher levels only what the path leaves open."""
    tags: frozenset[int] = _INSTANCE if level is Level.IMAGE else frozenset()
    if level is Level.STUDY or not within.study_instance_uid:
        tags |= _STUDY
    if level is Level.SERIES or (level is Level.IMAGE and not within.series_instance_uid):
        tags |= _SERIES
    return tags


def _kept_at(level: Level, tags: Iterable[int]) -> frozenset[int]:
    """`tags` without those of levels below `level`, which its answers shall not have (PS3.18 10.6.3.3)."""
    return frozenset(tag for tag in tags if tag not in _STEERING and tag not in _BELOW[level])


def _utc_offset(keys: Iterable[tuple[str, str]]) -> int | None:
    """The clocks by which dates and times are meant, and shown (PS3.4 C.2.2.2.1.3), in minutes."""
    for name, value in keys:
        if value.strip() and lookup(name) == (TIMEZONE_OFFSET_FROM_UTC, "SH"):
            return asked_offset({"vr": "SH", "Value": [value]})
    return None


def _number(name: str, control: Mapping[str, list[str]]) -> int | None:
    text = _only(name, control)
    return min(whole_number(name, text), _MAX_NUMBER) if text else None


def _only(name: str, control: Mapping[str, list[str]]) -> str:
    """The value of a parameter that is given once, or always alike; "" for none."""
    values = {value.strip() for value in control.get(name, [])}
    if len(values) > 1:
        raise BadRequest(f"{name} is given twice")
    return values.pop() if values else ""


def _warnings(ignored: list[int]) -> Iterable[str]:
    if ignored:
        names = ", ".join(attribute_name(tag) for tag in dict.fromkeys(ignored))
        yield f"These attributes cannot be matched and have been ignored: {names}."


def _is_true(control: Mapping[str, list[str]], name: str) -> bool:
    said = [truth(name, value) for value in control.get(name, ())]
    return any(said)
