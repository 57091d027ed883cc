"""A query as both doors understand it: PS3.4 C.2.2.2 matching, free of any protocol."""

from __future__ import annotations

from dataclasses import dataclass

from vna.model.identifiers import Level


@dataclass(frozen=True, slots=True)
class SingleValue:
    """Equal to `value` (PS3.4 C.2.2.2.1); PN compares without case."""

    value: str


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Equal to one of `values`: a list of UIDs (C.2.2.2.2), or alternatives of a code string."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`*` any run of characters, `?` exactly one (C.2.2.2.4)."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Range:
    """Between two DA, TM or DT values, inclusive; None is open (C.2.2.2.5). Values as in DICOM: YYYYMMDD …"""

    low: str | None
    high: str | None


@dataclass(frozen=True, slots=True)
class MomentRange:
    """A date and its time together between two moments, inclusive; None is open (C.2.2.2.5.4).

    A match of the date's attribute. Moments are written YYYYMMDDHHMMSS.FFFFFF.
    """

    low: str | None
    high: str | None


@dataclass(frozen=True, slots=True)
class OneOf:
    """At least one of `matches`: alternatives with wildcards among them."""

    matches: tuple[SingleValue | Wildcard, ...]


@dataclass(frozen=True, slots=True)
class ItemMatch:
    """At least one item of a sequence matches every filter (C.2.2.2.6)."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Empty:
    """The attribute has no value, or is not there at all (C.2.2.2.7)."""


Match = SingleValue | AnyOf | Wildcard | OneOf | Range | MomentRange | ItemMatch | Empty


@dataclass(frozen=True, slots=True)
class Filter:
    """One matching key: `tag` as a number (0x00100020) and how it matches. Universal keys need no filter."""

    tag: int
    match: Match


@dataclass(frozen=True, slots=True)
class Query:
    """What to find: records of `level` that match every filter.

    `return_tags` are the attributes wanted (None: everything the index has for the level and those above).
    A filter of any level is allowed (relational, C.4.1.2.2.1); doors that are hierarchical check it themselves.
    `fuzzy`: person names match by meaning (C.2.2.2.1.1). `utc_offset`: dates and times of the filters, and those of
    the records, are those of clocks so many minutes ahead of UTC (C.2.2.2.1.3); None: as they were noted.
    `after`: only matches behind that place in their order; for pages.
    """

    level: Level
    filters: tuple[Filter, ...] = ()
    return_tags: frozenset[int] | None = frozenset()
    limit: int | None = None
    offset: int = 0
    fuzzy: bool = False
    utc_offset: int | None = None
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order of matches: what the match in front of it is sorted by; None where it has no value.

    Days from 2000-01-01 and time of day of its study and the number of that in the index, then Series Number and
    number of the series, then Instance Number and number of the instance, as deep as the query goes.
    """

    keys: tuple[int | str | None, ...]


@dataclass(frozen=True, slots=True)
class UrlParts:
    """What stands in a Retrieve URL in front of each of its UIDs."""

    before_study: str
    before_series: str
    before_instance: str


@dataclass(frozen=True, slots=True)
class Page:
    """Matches as finished objects of the DICOM JSON model, UTF-8.

    `following`: where the next page begins, None on the last one. `total`: how many matches the whole search has,
    None where it was not counted.
    """

    objects: list[bytes]
    following: Position | None
    total: int | None


@dataclass(frozen=True, slots=True)
class SearchTimes:
    """How many seconds a search may take that no index bounds, and how many counting its matches may."""

    search: float
    count: float


@dataclass(frozen=True, slots=True)
class Record:
    """One match: attributes in the DICOM JSON model (PS3.18 F.2), keyed by eight upper-case hex digits.

    Tags that were asked for and have no value are there as {"vr": …}. Numbers of DS and IS are JSON
    numbers where they parse. Computed attributes (counts, ModalitiesInStudy …) are ordinary members.
    """

    level: Level
    attributes: dict[str, JsonElement]


JsonElement = dict[str, object]
