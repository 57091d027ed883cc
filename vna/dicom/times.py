"""Dates and times of a query, completed to the ends of the span they name (PS3.5 6.2)."""

from __future__ import annotations

import calendar
import re

_DATE = re.compile(r"(\d{4})(\.?)(\d{2})\2(\d{2})")
_TIME = re.compile(r"(\d{2})(?::?([0-5]\d)(?::?([0-5]\d|60)(?:\.(\d{1,6}))?)?)?")
# Offsets go from -1200 to +1400. Four such digits behind a '-' are an offset: no range ends in a
# year before 1260.
_OFFSET = r"(?:\+(?:0\d|1[0-4])|-(?:0\d|1[0-2]))[0-5]\d(?!\d)"
_DATETIME = re.compile(
    r"(?P<year>\d{4})(?:(?P<month>\d{2})(?:(?P<day>\d{2})(?P<time>\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?)?)?"
    rf"(?P<offset>{_OFFSET})?"
)
_ONE_DATETIME = r"\d{4}(?:\d{2}){0,5}(?:\.\d{1,6})?(?:" + _OFFSET + r")?"
_DATETIME_RANGE = re.compile(rf"({_ONE_DATETIME})?\s*-\s*({_ONE_DATETIME})?")

Span = tuple[str, str]


def date_span(text: str) -> Span | None:
    """First and last day that `text` names: the same day, YYYYMMDD; None when it is not a date.

    The old form 1997.04.24 (ACR-NEMA 300) is understood. A day of a month that is too short for it
    (20240231, sent as "the end of February") spans from the next month's first day back to the
    month's last: the low end starts behind the month, the high end closes it.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = int(found[1]), int(found[3]), int(found[4])
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    last = calendar.monthrange(year, month)[1]
    if day <= last:
        return (f"{year:04}{month:02}{day:02}",) * 2
    behind = f"{year:04}{month + 1:02}01"  # months that are too short are never the twelfth
    return behind, f"{year:04}{month:02}{last:02}"


def time_span(text: str) -> Span | None:
    """First and last moment that `text` names, HHMMSS.FFFFFF; None when it is not a time.

    A time without minutes, seconds or fraction is "not precise" to them (PS3.5 6.2, TM): "10" names
    the whole hour, "1030" the whole minute, "103000" the whole second. The old form 10:30:00 is
    understood; a leap second (60) is taken as 59.
    """
    found = _TIME.fullmatch(text)
    if found is None or int(found[1]) > 23:
        return None
    hour, minute, second, fraction = found.groups()
    if second == "60":
        second = "59"
    low = f"{hour}{minute or '00'}{second or '00'}.{(fraction or '').ljust(6, '0')}"
    high = f"{hour}{minute or '59'}{second or '59'}.{(fraction or '').ljust(6, '9')}"
    return low, high


def datetime_span(text: str) -> Span | None:
    """First and last moment that `text` names, YYYYMMDDHHMMSS.FFFFFF with the offset from UTC that
    it had.

    None when it is not a date-time. Missing parts name the whole year, month, day … as for times.
    """
    found = _DATETIME.fullmatch(text)
    if found is None:
        return None
    year, month, day = found["year"], found["month"], found["day"]
    first = date_span(f"{year}{month or '01'}{day or '01'}")
    last = date_span(f"{year}{month or '12'}{day or '31'}")
    times = time_span(found["time"]) if found["time"] else ("000000.000000", "235959.999999")
    if first is None or last is None or times is None or (day and first[0] != first[1]):
        return None
    offset = found["offset"] or ""
    return first[0] + times[0] + offset, last[1] + times[1] + offset


def split_range(text: str, vr: str) -> tuple[str, str] | None:
    """The two ends of a range of DA, TM or DT, "" for an open one; None when `text` is a single
    value.

    In a DT, a '-' in front of an offset from UTC is no range (PS3.4 C.2.2.2.5.3): 20240131-0500 is
    one value, 20240131-0500-20240201-0500 a range, 2010-2012 a range of years.
    """
    if vr != "DT":
        low, dash, high = text.partition("-")
        return (low.strip(), high.strip()) if dash else None
    if _DATETIME.fullmatch(text):
        return None
    found = _DATETIME_RANGE.fullmatch(text)
    return (found[1] or "", found[2] or "") if found else None
