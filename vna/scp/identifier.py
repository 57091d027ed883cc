"""From the identifier of a C-FIND, C-MOVE or C-GET to a Query or a Selection (PS3.4 C.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from vna.dicom.attributes import BY_TAG, UNIQUE_KEYS, vr_of
from vna.dicom.elements import Scanner
from vna.dicom.encoding import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from vna.dicom.json import dataset_json
from vna.dicom.query_keys import keys_of_identifier
from vna.dicom.supported_keys import supported
from vna.dicom.timezones import asked_offset
from vna.errors import InvalidQuery, VnaError
from vna.model.identifiers import LEVELS, Level, Selection, is_keepable_uid
from vna.model.query import JsonElement, Query
from vna.scp.extended import QueryOptions
from vna.scp.policy import IMPLICIT_LITTLE as IMPLICIT_SYNTAX
from vna.scp.policy import Model
from vna.scp.status import UndecodableIdentifier

MAX_IDENTIFIER_BYTES = 2**20
MAX_KEYS = 2000
"""In the identifier of a C-FIND, those in items too. Each match repeats them."""

SPECIFIC_CHARACTER_SET = "00080005"
QUERY_RETRIEVE_LEVEL = "00080052"
RETRIEVE_AE_TITLE = "00080054"
INSTANCE_AVAILABILITY = "00080056"
TIMEZONE_OFFSET_FROM_UTC = "00080201"

_ANSWERED_BY_THE_DOOR = frozenset({0x00080005, 0x00080052, 0x00080053, 0x00080054})
_NO_OPTIONS = QueryOptions()
_AT_EVERY_LEVEL = frozenset({"InstanceAvailability", "RetrieveURL"})

Keys = dict[str, JsonElement]
"""Elements in the DICOM JSON model, by eight hex digits."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """A decoded identifier: its level, and everything else in it."""

    level: Level
    keys: Keys


@dataclass(frozen=True, slots=True)
class FindRequest:
    """What a C-FIND asks: the query, the keys to answer, whether each of them is supported, and the
    Specific Character Set of the request as it stands there.
    """

    query: Query
    keys: Keys
    all_supported: bool
    charset: str = ""


def read_identifier(data: bytes, transfer_syntax_uid: str, model: Model) -> Identifier:
    """Decode `data`. Raises UndecodableIdentifier; InvalidQuery without a level of `model`."""
    keys = read_keys(data, transfer_syntax_uid)
    return Identifier(_level(keys, model), keys)


def read_keys(data: bytes, transfer_syntax_uid: str) -> Keys:
    """All elements of an identifier. Raises UndecodableIdentifier."""
    try:
        keys = dataset_json(data, dataset_offset=0, transfer_syntax_uid=transfer_syntax_uid)
    except (VnaError, ValueError) as exc:
        raise UndecodableIdentifier(f"identifier cannot be decoded: {exc}") from exc
    if not keys:
        raise UndecodableIdentifier("identifier holds no data element")
    _check_complete(data, transfer_syntax_uid)
    return keys


def _check_complete(data: bytes, transfer_syntax_uid: str) -> None:
    """A key that was cut off would select more than was asked for."""
    scanner = Scanner(data)
    encoding = IMPLICIT_LITTLE if transfer_syntax_uid == IMPLICIT_SYNTAX else EXPLICIT_LITTLE
    scanner.elements(0, len(data), encoding)
    if scanner.truncated:
        raise UndecodableIdentifier("identifier ends in the middle of an element")


def _level(keys: Keys, model: Model) -> Level:
    if QUERY_RETRIEVE_LEVEL not in keys:
        raise InvalidQuery("Query/Retrieve Level (0008,0052) is missing")
    text = text_of(keys[QUERY_RETRIEVE_LEVEL]).strip(" \0").upper()
    if text not in model.levels:
        expected = ", ".join(model.levels)
        raise InvalidQuery(f"Query/Retrieve Level {text[:16]!r} is not one of {expected}")
    return Level(text)


def to_find_request(identifier: Identifier, options: QueryOptions = _NO_OPTIONS) -> FindRequest:
    """The query behind a C-FIND identifier; keys of any level are taken (relational, C.4.1.2.2.1).

    A key that the archive does not keep matches everything (C.2.2.1.3). Raises InvalidQuery, for
    more than MAX_KEYS keys too.
    """
    if _count(identifier.keys) > MAX_KEYS:
        raise InvalidQuery(f"more than {MAX_KEYS} keys; ask for less at a time")
    found = keys_of_identifier(identifier.keys, combine_datetime=options.combined_datetime)
    keys = {key: element for key, element in identifier.keys.items() if _is_answered(int(key, 16))}
    kept, unknown = supported(found.filters)
    zone = identifier.keys.get(TIMEZONE_OFFSET_FROM_UTC, {}) if options.timezone else {}
    query = Query(
        identifier.level,
        kept,
        _wanted(keys),
        fuzzy=options.fuzzy,
        utc_offset=asked_offset(zone),
    )
    is_complete = not found.ignored and not unknown
    return FindRequest(
        query,
        keys,
        is_complete and all(_is_kept(int(key, 16), query.level) for key in keys),
        text_of(identifier.keys.get(SPECIFIC_CHARACTER_SET, {})),
    )


def _count(keys: Keys) -> int:
    """How many keys, those in items too."""
    sequences = (element for element in keys.values() if element.get("vr") == "SQ")
    items = (item for sequence in sequences for item in items_of(sequence))
    return len(keys) + sum(_count(item) for item in items if isinstance(item, dict))


def _wanted(keys: Keys) -> frozenset[int]:
    tags = (int(key, 16) for key in (*keys, SPECIFIC_CHARACTER_SET, INSTANCE_AVAILABILITY))
    return frozenset(tag for tag in tags if tag in BY_TAG)


def _is_answered(tag: int) -> bool:
    """Not what the door answers itself, nor group lengths, command, file meta and private groups.

    A private key is not answered: without its creator it would mean something else.
    """
    group, element = tag >> 16, tag & 0xFFFF
    return tag not in _ANSWERED_BY_THE_DOOR and element != 0 and group > 2 and group % 2 == 0


def _is_kept(tag: int, level: Level) -> bool:
    above = LEVELS[: LEVELS.index(level) + 1]
    return any(a.level in above or a.keyword in _AT_EVERY_LEVEL for a in BY_TAG.get(tag, ()))


def to_selection(identifier: Identifier) -> Selection:
    """The instances that a C-MOVE or C-GET identifier names (PS3.4 C.4.2.1.4).

    The unique key of the level must have a value, so an empty identifier never selects the archive.
    Unique keys of other levels narrow when they have one. Raises InvalidQuery.
    """
    values = {level: _unique_values(identifier.keys, level) for level in LEVELS}
    if not values[identifier.level]:
        keyword = UNIQUE_KEYS[identifier.level].keyword
        raise InvalidQuery(f"{keyword} needs a value at level {identifier.level}")
    return Selection(
        patient_ids=values[Level.PATIENT],
        study_instance_uids=values[Level.STUDY],
        series_instance_uids=values[Level.SERIES],
        sop_instance_uids=values[Level.IMAGE],
    )


def text_of(element: JsonElement) -> str:
    """The value of a text element, several values joined by a backslash."""
    values = cast("list[object]", element.get("Value", []))
    return "\\".join("" if value is None else str(value) for value in values)


def items_of(element: JsonElement) -> list[Keys]:
    """The items of a sequence element."""
    return cast("list[Keys]", element.get("Value", []))


def vr_of_key(key: str, element: JsonElement) -> str:
    """The VR of a key: the dictionary's where it knows one, else the peer's."""
    known = vr_of(int(key, 16))
    return str(element.get("vr", "UN")) if known == "UN" else known


def _unique_values(keys: Keys, level: Level) -> tuple[str, ...]:
    attribute = UNIQUE_KEYS[level]
    text = text_of(keys.get(attribute.key, {}))
    if level is Level.PATIENT:
        return _patient_ids(text.strip(" \0"))
    values = tuple(dict.fromkeys(part.strip(" \0") for part in text.split("\\")))
    for value in filter(None, values):
        if not is_keepable_uid(value):
            raise InvalidQuery(f"{attribute.keyword} {value!r} is not a UID")
    return tuple(filter(None, values))


def _patient_ids(text: str) -> tuple[str, ...]:
    """A Patient ID is taken literally; stars alone would mean the whole archive."""
    if text and not text.strip("*"):
        raise InvalidQuery("PatientID '*' would retrieve the whole archive; name one patient")
    return (text,) if text else ()
