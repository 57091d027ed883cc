"""When a campaign will be done, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_SURE = 2.0
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Forecast:
    """Instances a second, and the seconds that are left if it goes on so: `low` to `high` in nineteen of twenty cases.

    `high` is None where it may as well never end.
    """

    rate: float
    seconds: float
    low: float
    high: float | None


def forecast(remaining: int, minutes: Sequence[int]) -> Forecast | None:
    """From the instances that came in each of the last minutes, the newest first; None when nothing can be said.

    Minutes before the first in which something came do not count: the work had not begun.
    """
    counted = list(minutes)
    while counted and not counted[-1]:
        counted.pop()
    if len(counted) < _FEWEST:
        return None
    mean = sum(counted) / len(counted)
    spread = math.sqrt(sum((count - mean) ** 2 for count in counted) / (len(counted) - 1))
    error = _SURE * spread / math.sqrt(len(counted))
    slow, fast = mean - error, mean + error
    return Forecast(
        mean / 60,
        60 * remaining / mean,
        60 * remaining / fast,
        60 * remaining / slow if slow > 0 else None,
    )
