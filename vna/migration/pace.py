"""How much a source is asked for at once: a little more while it keeps up, half as much when it does not."""

from __future__ import annotations

_FIRST = 1.0
_SLOW = 3.0
_SMOOTH = 0.3
_AGEING = 1.02
_AFTER_REFUSAL = 0.5
_AFTER_SLOWNESS = 0.75
_QUIET_SECONDS = 2.0


class AdaptiveLimit:
    """Additive increase, multiplicative decrease of the studies that one worker fetches at once.

    Until the source first asks for less, each study that goes well adds one; from then on a whole round of them does.
    Less is asked for when the source refuses, and when an instance takes three times as long as in the best
    time; at most once in two seconds, since what is under way complains about the same. `ceiling` may be changed at
    any time, 0 for none at all. All times are in seconds of the caller's clock.
    """

    def __init__(self, ceiling: int = 1) -> None:
        self.ceiling = ceiling
        self._limit = _FIRST
        self._is_known = False
        self._best: float | None = None
        self._recent: float | None = None
        self._quiet_until = float("-inf")

    @property
    def limit(self) -> float:
        """The limit as it is, a fraction included, between one and the ceiling (which may be none)."""
        return min(self._limit, float(self.ceiling))

    @property
    def slots(self) -> int:
        """How many may be under way now."""
        return int(self.limit)

    def went_well(self, now: float, seconds_per_unit: float | None, active: int) -> None:
        """A fetch ended well; `seconds_per_unit`: how long an instance (or half a mebibyte) took, None: nobody can say.

        `active`: how many were under way, this one included: a limit that was not reached says nothing about more.
        """
        if seconds_per_unit is not None and self._is_slow(seconds_per_unit):
            self._decrease(now, _AFTER_SLOWNESS)
            return
        if active >= self.slots and self._limit < self.ceiling:
            self._limit += 1.0 if not self._is_known else 1.0 / self._limit

    def was_refused(self, now: float) -> None:
        """The source asked for less, or gave out."""
        self._decrease(now, _AFTER_REFUSAL)

    def _is_slow(self, seconds: float) -> bool:
        recent = seconds if self._recent is None else self._recent
        self._recent = recent + _SMOOTH * (seconds - recent)
        self._best = self._recent if self._best is None else min(self._best * _AGEING, self._recent)
        return self._limit > 1 and self._recent > _SLOW * self._best

    def _decrease(self, now: float, factor: float) -> None:
        self._is_known = True
        if now < self._quiet_until:
            return
        self._quiet_until = now + _QUIET_SECONDS
        self._limit = max(1.0, self.limit * factor)
