"""The configuration of the scrub: how often the worker reads everything again, and how fast."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VerificationConfig:
    """`every_days`: from one beginning to the next, 0: never. `rate`: bytes a second that are read at most, 0: all."""

    every_days: int = 30
    rate: int = 64 * 2**20
