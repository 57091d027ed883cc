"""The text of one matching key, read by the rules of its VR (PS3.4 C.2.2.2)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from pydicom.datadict import keyword_for_tag, tag_for_keyword

from vna.dicom import times
from vna.errors import InvalidQuery
from vna.model.query import AnyOf, Match, MomentRange, OneOf, Range, SingleValue, Wildcard

WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""Where `*` and `?` are wildcards (PS3.4 C.2.2.2.4); elsewhere they are an error."""

RANGE_VRS = frozenset({"DA", "TM", "DT"})
_TEXT_VRS = frozenset({"LT", "ST", "UT", "UR"})
_INTEGERS = {
    "IS": (-(2**31), 2**31 - 1),
    "US": (0, 2**16 - 1),
    "SS": (-(2**15), 2**15 - 1),
    "UL": (0, 2**32 - 1),
    "SL": (-(2**31), 2**31 - 1),
    "UV": (0, 2**64 - 1),
    "SV": (-(2**63), 2**63 - 1),
}
_NUMBER_VRS = frozenset({"DS", "FL", "FD"})
MATCHABLE_VRS = frozenset({*WILDCARD_VRS, *RANGE_VRS, *_INTEGERS, *_NUMBER_VRS, "AS", "AT", "UI"})
"""What `parse_match` understands; sequences are matched item by item, binary values not at all."""

MAX_ALTERNATIVES = 1000
"""Of one key, where each is a condition of its own: with wildcards, names, dates, numbers."""

_WHOLE_TEXT_VRS = MATCHABLE_VRS - RANGE_VRS - _NUMBER_VRS - _INTEGERS.keys() - {"PN"}
_COMMA_VRS = frozenset({"UI", "CS"})
_STARS = re.compile(r"\*+")
_AT = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_INTEGER = re.compile(r"[+-]?\d{1,20}")
_REMEDIES = {
    "DA": "write YYYYMMDD, or a range: YYYYMMDD-YYYYMMDD, -YYYYMMDD, YYYYMMDD-",
    "TM": "write HH, HHMM, HHMMSS or HHMMSS.FFFFFF, or a range of two: a-b, -b, a-",
    "DT": "write YYYYMMDDHHMMSS.FFFFFF&ZZXX (shorter is allowed), or a range of two: a-b, -b, a-",
}
_SPANS: dict[str, Callable[[str], times.Span | None]] = {
    "DA": times.date_span,
    "TM": times.time_span,
    "DT": times.datetime_span,
}


def parse_match(vr: str, text: str, *, tag: int = 0, comma_lists: bool = False) -> Match | None:
    """How a key of `vr` with the value `text` matches; None is universal matching (C.2.2.2.3).

    Spaces and NULs round values do not count. A value of stars alone is universal for every VR.
    Values behind backslashes are alternatives (C.2.2.2.2 for UIDs, a kindness elsewhere), with
    wildcards or without; a lone star among them matches everything, where stars are allowed. With
    `comma_lists`, as in QIDO-RS (PS3.18 8.3.4.1), so are those behind commas in UI and CS. A single
    TM or DT, and a DA or a range end, mean the whole span that they name, see `vna.dicom.times`: so
    "10" of TM is Range("100000.000000", "105959.999999"). Numbers come out in their shortest form,
    AT as eight hex digits. More than MAX_ALTERNATIVES are refused, except plain lists of text.

    Raises InvalidQuery, its message naming the attribute of `tag` (when given) and the remedy,
    never the value: that may be a patient's.
    """
    values = [value for value in _split(vr, text, comma_lists) if value]
    if not values or not any(value.strip("*") for value in values):
        return None
    if vr in WILDCARD_VRS and any(not value.strip("*") for value in values):
        return None
    if vr not in WILDCARD_VRS and any(map(_has_wildcard, values)):
        raise _invalid(tag, vr, "wildcards are not allowed here; give whole values" + _or_range(vr))
    if vr in RANGE_VRS:
        return _moment(vr, values, tag)
    return _alternatives([_normal(vr, value, tag) for value in values], vr, tag)


TIME_OF_DATE: dict[int, int] = {
    date_tag: time_tag
    for keywords in (
        ("InstanceCreationDate", "InstanceCreationTime"),
        ("StudyDate", "StudyTime"),
        ("SeriesDate", "SeriesTime"),
        ("AcquisitionDate", "AcquisitionTime"),
        ("ContentDate", "ContentTime"),
        ("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
        ("PresentationCreationDate", "PresentationCreationTime"),
        ("StructureSetDate", "StructureSetTime"),
        ("RTPlanDate", "RTPlanTime"),
    )
    for date_tag, time_tag in [[tag_for_keyword(keyword) or 0 for keyword in keywords]]
}
"""The time of day that belongs to a date. That of a birth is not among them: no zone moves it."""


def combined(date: str, time: str) -> MomentRange | None:
    """The range of moments of a date's and its time's key, both in the same form of a range.

    C.2.2.2.5.4; None when either is no range, or has ends that the other has not: then each
    matches by itself. Raises InvalidQuery.
    """
    days, clock = _ends("DA", date), _ends("TM", time)
    if days is None or clock is None or [bool(e) for e in days] != [bool(e) for e in clock]:
        return None
    dates, times_of_day = _range("DA", days, 0), _range("TM", clock, 0)
    if dates is None or times_of_day is None:
        return None
    return MomentRange(
        _moment_at(dates.low, times_of_day.low), _moment_at(dates.high, times_of_day.high)
    )


def _moment_at(day: str | None, time_of_day: str | None) -> str | None:
    return day + time_of_day if day and time_of_day else None


def _ends(vr: str, text: str) -> tuple[str, str] | None:
    return times.split_range(text.strip(" \0"), vr)


def attribute_name(tag: int) -> str:
    """`tag` for a message: "PatientID (0010,0020)"."""
    number = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    keyword = keyword_for_tag(tag)
    return f"{keyword} {number}" if keyword else number


def _split(vr: str, text: str, comma_lists: bool) -> list[str]:
    if vr in _TEXT_VRS:
        return [text.strip(" \0")]
    if comma_lists and vr in _COMMA_VRS:
        text = text.replace(",", "\\")
    return [value.strip(" \0") for value in text.split("\\")]


def _alternatives(values: Sequence[str], vr: str, tag: int) -> Match:
    distinct = tuple(dict.fromkeys(_STARS.sub("*", value) for value in values))
    are_whole = vr not in WILDCARD_VRS or not any(map(_has_wildcard, distinct))
    if len(distinct) > MAX_ALTERNATIVES and not (are_whole and vr in _WHOLE_TEXT_VRS):
        raise _invalid(tag, vr, f"over {MAX_ALTERNATIVES} alternatives; ask in parts")
    if are_whole:
        return AnyOf(distinct) if len(distinct) > 1 else SingleValue(distinct[0])
    matches = tuple(
        Wildcard(value) if _has_wildcard(value) else SingleValue(value) for value in distinct
    )
    return OneOf(matches) if len(matches) > 1 else matches[0]


def _has_wildcard(value: str) -> bool:
    return "*" in value or "?" in value


def _moment(vr: str, values: Sequence[str], tag: int) -> Match | None:
    if len(values) == 1:
        ends = times.split_range(values[0], vr)
        if ends is not None:
            return _range(vr, ends, tag)
    spans = list(dict.fromkeys(_span(vr, value, tag) for value in values))
    if vr == "DA" and all(low == high for low, high in spans):
        return _alternatives([low for low, _ in spans], vr, tag)
    if len(spans) > 1 or vr == "DA":
        raise _malformed(vr, tag)
    low, high = spans[0]
    return SingleValue(low) if low == high else Range(low, high)


def _range(vr: str, ends: tuple[str, str], tag: int) -> Range | None:
    low, high = ends
    if not low and not high:
        return None
    return Range(
        _span(vr, low, tag)[0] if low else None,
        _span(vr, high, tag)[1] if high else None,
    )


def _span(vr: str, value: str, tag: int) -> times.Span:
    span = _SPANS[vr](value)
    if span is None:
        raise _malformed(vr, tag)
    return span


def _normal(vr: str, value: str, tag: int) -> str:
    if vr == "PN":
        return _person_name(value)
    if vr in _INTEGERS:
        return _integer(vr, value, tag)
    if vr in _NUMBER_VRS:
        return _number(vr, value, tag)
    if vr == "AT":
        return _attribute_tag(value, tag)
    if vr in MATCHABLE_VRS:
        return value
    raise _invalid(tag, vr, "this VR can't be matched; send the key without a value")


def _person_name(value: str) -> str:
    """Without the delimiters of empty components at the end, which say nothing (PS3.5 6.2.1.1)."""
    return "=".join(group.rstrip("^ ") for group in value.split("=")).rstrip("=") or value


def _integer(vr: str, value: str, tag: int) -> str:
    text = value if _INTEGER.fullmatch(value) else _number(vr, value, tag)
    low, high = _INTEGERS[vr]
    if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
        raise _invalid(tag, vr, f"write one whole number from {low} to {high}")
    return str(int(text))


def _number(vr: str, value: str, tag: int) -> str:
    try:
        number = float(value) if "_" not in value else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _invalid(tag, vr, "write one number, such as 12 or 0.5")
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _attribute_tag(value: str, tag: int) -> str:
    found = _AT.fullmatch(value)
    if found is None:
        raise _invalid(tag, "AT", "write a tag as eight hex digits, such as 00280010")
    return (found[1] + found[2]).upper()


def _or_range(vr: str) -> str:
    return " or a range such as a-b" if vr in RANGE_VRS else ""


def _malformed(vr: str, tag: int) -> InvalidQuery:
    return _invalid(tag, vr, _REMEDIES[vr])


def _invalid(tag: int, vr: str, remedy: str) -> InvalidQuery:
    name = attribute_name(tag) if tag else "A key"
    return InvalidQuery(f"{name} of VR {vr}: {remedy}")
