"""Round numbers and moments for the axes of plots, and amounts as people read them."""

from __future__ import annotations

import math
from datetime import datetime

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
_DAY = 86400


def ticks(highest: float, most: int = 5) -> list[float]:
    """From 0 in equal, round steps up to the first that is not below `highest`."""
    if highest < 1e-9:
        return [0.0, 1.0]
    rough = highest / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in _STEPS if factor * power >= rough * (1 - 1e-9))
    return [step * number for number in range(math.ceil(highest / step - 1e-9) + 1)]


def short(value: float) -> str:
    """A number for an axis: 12 k, 3.5 M."""
    for power, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= power:
            return f"{value / power:.3g} {letter}"
    return f"{value:.3g}"


def whole(value: int) -> str:
    """A number with narrow gaps between its thousands."""
    return f"{value:,}".replace(",", "\u202f")


def size(value: float) -> str:
    """An amount of bytes."""
    unit = 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.3g} {_UNITS[unit]}" if unit else f"{value:.0f} bytes"


def moment(at: datetime, seconds: float) -> str:
    """A moment, as exactly as an axis of so many seconds needs."""
    if seconds > 3 * _DAY:
        return f"{at:%Y-%m-%d}"
    return f"{at:%m-%d %H:%M}" if seconds > 600 else f"{at:%H:%M:%S}"


def span(seconds: int) -> str:
    """How long a step is."""
    for unit, name in ((_DAY, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit and not seconds % unit:
            count = seconds // unit
            return f"{count} {name}s" if count > 1 else name
    return f"{seconds} seconds" if seconds > 1 else "second"


def lasting(seconds: float) -> str:
    """How long something took, by and large."""
    for unit, name in ((_DAY, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.3g} seconds"
