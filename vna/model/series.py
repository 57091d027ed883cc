"""A series as the set of instances that it has at a moment."""

from __future__ import annotations

from dataclasses import dataclass

SETTLE_JOB = "metadata.settle"
"""The background job that makes the metadata documents of series that have come to rest."""


@dataclass(frozen=True, slots=True)
class SeriesState:
    """Which instances a series has now: `digest` is another for every other set of them."""

    series_id: int
    study_instance_uid: str
    series_instance_uid: str
    instances: int
    digest: bytes
