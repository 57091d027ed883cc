"""Dates and times of attributes, shown by the clocks of another time zone (PS3.3 C.12.1.1.8)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

from vna.dicom.attributes import BY_TAG
from vna.dicom.matching import TIME_OF_DATE
from vna.errors import InvalidQuery
from vna.model.query import JsonElement

TIMEZONE_OFFSET_FROM_UTC = 0x00080201
_OFFSET_KEY = "00080201"
_OFFSET = re.compile(r"([+-])(\d{2})([0-5]\d)")
_LONGEST = 14 * 60
_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(:?\d{2}(?:\.\d{1,6})?)?)?")
_DATETIME = re.compile(r"(\d{8})(\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)")
_DATETIME_KEYS = tuple(f"{tag:08X}" for tag, items in BY_TAG.items() if items[0].vr == "DT")


def minutes_of(text: str) -> int | None:
    """The minutes ahead of UTC of an offset such as +0100 or -0330; None for what is none."""
    found = _OFFSET.fullmatch(text.strip(" \0"))
    if found is None:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    return int(f"{found[1]}{minutes}") if minutes <= _LONGEST else None


def asked_offset(element: JsonElement) -> int | None:
    """The offset that a query names, in minutes; None when it names none. Raises InvalidQuery."""
    text = _only(element)
    if not text:
        return None
    minutes = minutes_of(text)
    if minutes is None:
        raise InvalidQuery("TimezoneOffsetFromUTC is not written as +HHMM or -HHMM")
    return minutes


def offset_text(minutes: int) -> str:
    """`minutes` ahead of UTC as Timezone Offset From UTC (0008,0201) has them."""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}{rest:02}"


def with_partners(tags: frozenset[int]) -> frozenset[int]:
    """`tags` with what it takes to show them in another zone: the date of a time, the offset."""
    both = [*TIME_OF_DATE.items(), *((time, date) for date, time in TIME_OF_DATE.items())]
    partners = {partner for tag, partner in both if tag in tags}
    return tags | partners | {TIMEZONE_OFFSET_FROM_UTC}


def shown_in(
    attributes: Mapping[str, JsonElement], minutes: int, zone: str
) -> dict[str, JsonElement]:
    """`attributes` with dates and times as clocks `minutes` ahead of UTC showed them.

    They were noted with the offset that the attributes name, else in `zone` (an IANA name; "": by
    the same clocks). What is no such value, or has no time of day, stays as it is; DT values with
    an offset of their own too. The offset of the result stands in Timezone Offset From UTC.
    """
    own = minutes_of(_only(attributes.get(_OFFSET_KEY, {})))
    result = dict(attributes)
    for date_tag, time_tag in TIME_OF_DATE.items():
        date, time = f"{date_tag:08X}", f"{time_tag:08X}"
        day, clock = _only(attributes.get(date, {})), _only(attributes.get(time, {}))
        shifted = _shifted(day, clock, minutes, own, zone)
        if shifted is not None:
            result[date], result[time] = _element("DA", shifted[0]), _element("TM", shifted[1])
    for key in _DATETIME_KEYS:
        found = _DATETIME.fullmatch(_only(attributes.get(key, {})))
        shifted = _shifted(found[1], found[2], minutes, own, zone) if found else None
        if shifted is not None:
            result[key] = _element("DT", "".join(shifted))
    result[_OFFSET_KEY] = _element("SH", offset_text(minutes))
    return result


def _shifted(
    day: str, clock: str, minutes: int, own: int | None, zone: str
) -> tuple[str, str] | None:
    """Date and time by other clocks; the seconds stay as they are written, hours get minutes only
    where the zones differ in them.
    """
    date, time = _DATE.fullmatch(day), _TIME.fullmatch(clock)
    if date is None or time is None:
        return None
    hour, minute, seconds = time.groups()
    try:
        noted = datetime(  # noqa: DTZ001
            int(date[1]), int(date[2]), int(date[3]), int(hour), int(minute or 0)
        )
        moved = _moved(noted, minutes, own, zone)
    except (ValueError, OverflowError):
        return None
    has_minutes = minute is not None or moved.minute != 0
    return f"{moved:%Y%m%d}".zfill(8), f"{moved:%H%M}"[: 4 if has_minutes else 2] + (seconds or "")


def _moved(noted: datetime, minutes: int, own: int | None, zone: str) -> datetime:
    there = timezone(timedelta(minutes=minutes))
    if own is not None:
        return noted.replace(tzinfo=timezone(timedelta(minutes=own))).astimezone(there)
    return noted.replace(tzinfo=_zone(zone)).astimezone(there) if zone else noted


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _only(element: JsonElement) -> str:
    values = element.get("Value")
    return str(values[0]).strip() if isinstance(values, list) and len(values) == 1 else ""


def _element(vr: str, value: str) -> JsonElement:
    return {"vr": vr, "Value": [value]}
