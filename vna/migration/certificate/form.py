"""What stands in a certificate: the kinds of its lines, and what is counted over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

FORMAT = "vna migration certificate"
VERSION = 1
HEAD, FOOT = "head", "foot"
STUDY, INSTANCE, ATTEMPT = "study", "instance", "attempt"


class Tally:
    """Counts the lines between head and foot: what the foot says of them, and what a check finds."""

    def __init__(self) -> None:
        self._studies: Counter[str] = Counter()
        self._instances: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self.attempts = 0

    def add(self, kind: str, values: Mapping[str, Any]) -> None:
        """One more line. Raises ValueError for an amount of bytes that is none."""
        if kind == ATTEMPT:
            self.attempts += 1
            return
        state = str(values.get("state"))
        if kind == STUDY:
            self._studies[state] += 1
            return
        size = values.get("received_size", values.get("size", 0))
        if type(size) is not int or size < 0:
            raise ValueError("it has a size that is none")
        self._instances[state] += 1
        self._bytes[state] += size

    def counts(self) -> dict[str, dict[str, int]]:
        """Studies, instances and their bytes by state."""
        counters = {"studies": self._studies, "instances": self._instances, "bytes": self._bytes}
        return {name: dict(sorted(counter.items())) for name, counter in counters.items()}
