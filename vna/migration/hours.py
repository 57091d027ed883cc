"""The calendar of a campaign: which ceilings are in force at an hour of the week."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from vna.errors import ConfigError
from vna.model.campaign import CampaignSettings, Ceilings, Window

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MIB = 2**20
_WINDOW = re.compile(
    r"(?P<days>[a-z,-]+) +(?P<start>[0-9]{1,2}:[0-9]{2})-(?P<end>[0-9]{1,2}:[0-9]{2})(?P<rest>( +[a-z]+=[0-9.]+)*)"
)
_EXAMPLE = "write it like 'mon-fri 07:00-18:00 associations=1 instances=5 mib=2'"
_KEYS = ("associations", "instances", "mib")


def ceilings_at(settings: CampaignSettings, moment: datetime) -> Ceilings:
    """The ceilings in force at `moment`, which has a zone: those of the first window that it falls into."""
    local = moment.astimezone(ZoneInfo(settings.timezone))
    minute = local.hour * 60 + local.minute
    for window in settings.windows:
        if _holds(window, local.weekday(), minute):
            return window.ceilings
    return settings.ceilings


def least_at(campaigns: Sequence[CampaignSettings], moment: datetime) -> Ceilings:
    """What keeps the ceilings of several campaigns of one source."""
    ceilings = [ceilings_at(settings, moment) for settings in campaigns]
    return Ceilings(
        min(one.associations for one in ceilings),
        min((one.instances_per_second for one in ceilings if one.instances_per_second), default=0),
        min((one.bytes_per_second for one in ceilings if one.bytes_per_second), default=0),
    )


def share_of(ceilings: Ceilings, workers: int, rank: int) -> Ceilings:
    """What worker number `rank` of `workers` may take of ceilings that are for all of them together."""
    whole, left = divmod(ceilings.associations, max(1, workers))
    busy = max(1, min(workers, ceilings.associations))
    return Ceilings(
        whole + (rank < left),
        ceilings.instances_per_second / busy,
        ceilings.bytes_per_second / busy,
    )


def parse_window(text: str, usual: Ceilings) -> Window:
    """A window as a person writes it; what it does not name is as `usual`. Raises ConfigError."""
    match = _WINDOW.fullmatch(text.strip().lower())
    if match is None:
        raise ConfigError(f"{text!r} is no window: {_EXAMPLE}")
    values = dict(pair.split("=") for pair in match["rest"].split())
    unknown = [key for key in values if key not in _KEYS]
    if unknown:
        raise ConfigError(f"{unknown[0]!r} is no ceiling of a window: {_EXAMPLE}")
    try:
        numbers = {key: float(value) for key, value in values.items()}
    except ValueError as exc:
        raise ConfigError(f"{text!r} is no window: {_EXAMPLE}") from exc
    return Window(
        _days(match["days"], text),
        _minute(match["start"], text),
        _minute(match["end"], text),
        Ceilings(
            int(numbers.get("associations", usual.associations)),
            numbers.get("instances", usual.instances_per_second),
            numbers["mib"] * _MIB if "mib" in numbers else usual.bytes_per_second,
        ),
    )


def window_text(window: Window) -> str:
    """A window as a person reads it."""
    days = ",".join(_DAYS[day] for day in window.days)
    start, end = (f"{minute // 60:02}:{minute % 60:02}" for minute in (window.start, window.end))
    return f"{days} {start}-{end} {ceilings_text(window.ceilings)}"


def ceilings_text(ceilings: Ceilings) -> str:
    """Ceilings as `parse_window` reads them."""
    rates = {"instances": ceilings.instances_per_second, "mib": ceilings.bytes_per_second / _MIB}
    texts = [f"{key}={value:g}" for key, value in rates.items() if value]
    return " ".join((f"associations={ceilings.associations}", *texts))


def _holds(window: Window, day: int, minute: int) -> bool:
    if window.start < window.end:
        return day in window.days and window.start <= minute < window.end
    began_today = day in window.days and minute >= window.start
    return began_today or ((day - 1) % 7 in window.days and minute < window.end)


def _days(text: str, whole: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            low, high = _DAYS.index(first), _DAYS.index(last or first)
        except ValueError as exc:
            raise ConfigError(f"{part!r} in {whole!r} is no day of the week: {_EXAMPLE}") from exc
        found.update((low + step) % 7 for step in range((high - low) % 7 + 1))
    return tuple(sorted(found))


def _minute(text: str, whole: str) -> int:
    hour, minute = map(int, text.split(":"))
    if hour > 24 or minute > 59 or (hour == 24 and minute):
        raise ConfigError(f"{text!r} in {whole!r} is no time of the day: {_EXAMPLE}")
    return hour * 60 + minute
