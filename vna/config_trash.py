"""The configuration of what is kept for a while: what was deleted, and the feed of changes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrashConfig:
    """`keep_days`: how long what was deleted can be restored before it is swept."""

    keep_days: int = 30


@dataclass(frozen=True, slots=True)
class ChangesConfig:
    """`keep_days`: how long changes stay in the feed; 0: for ever."""

    keep_days: int = 0
