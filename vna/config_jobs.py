"""The configuration of background work: the worker, and how long it goes on trying."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobsConfig:
    """The worker: `threads` jobs at once; times in seconds.

    `stalled_after`: a worker that gave no sign of life for so long is dead, its jobs are taken over.
    """

    threads: int = 4
    stalled_after: float = 30.0
    drain_timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class CommitmentConfig:
    """Storage commitment; times in seconds.

    `hold_time`: how long whoever works on a request keeps others off it without a sign of life. Reports that can't be
    delivered are tried again after `retry_delay`, then twice as long each time up to `max_retry_delay`, until
    `max_attempts` or `max_age` is over. `storage_patience`: how long the storage may be away before the instances
    that can't be read are reported as failed. `keep_days`: how long reported requests stay listed.
    """

    hold_time: float = 30.0
    retry_delay: float = 30.0
    max_retry_delay: float = 3600.0
    max_attempts: int = 100
    max_age: float = 7 * 86400.0
    storage_patience: float = 3600.0
    keep_days: int = 30
