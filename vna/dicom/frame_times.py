"""When the frames of a multi-frame instance were taken (PS3.4 Y.3.2.1.3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate, pairwise

from pydicom.dataset import Dataset
from pydicom.valuerep import DA, DT, TM


def frame_times(dataset: Dataset) -> list[float] | None:
    """Seconds since Content Time (0008,0033) of each frame; None where the header does not say.

    Raises what pydicom raises for values that it can't read.
    """
    if vector := dataset.get("FrameTimeVector"):
        values = [vector] if isinstance(vector, (int, float, str)) else vector
        return [time / 1000 for time in accumulate(map(float, values))]
    if "FrameTime" in dataset:
        step = float(dataset.FrameTime) / 1000
        return [number * step for number in range(int(dataset.get("NumberOfFrames") or 1))]
    return _by_frame_content(dataset)


def increments(times: Sequence[float], numbers: Sequence[int]) -> list[str]:
    """The Frame Time Vector (0018,1065), in ms, of the frames `numbers` (from 1); the first is 0."""
    chosen = [times[number - 1] * 1000 for number in numbers]
    return ["0", *(f"{b - a:.10g}" for a, b in pairwise(chosen))]


def _by_frame_content(dataset: Dataset) -> list[float] | None:
    start = _moment(DA(dataset.get("ContentDate")), TM(dataset.get("ContentTime")))
    moments = [
        item.FrameContentSequence[0].get("FrameReferenceDateTime")
        for item in dataset.get("PerFrameFunctionalGroupsSequence") or ()
        if item.get("FrameContentSequence")
    ]
    if start is None or not moments or None in moments:
        return None
    return [_seconds_between(start, DT(moment)) for moment in moments]


def _moment(date: DA | None, time: TM | None) -> datetime | None:
    return None if date is None or time is None else datetime.combine(date, time)


def _seconds_between(start: datetime, moment: datetime) -> float:
    """Whatever the offset from UTC: Content Time has none."""
    plain = datetime.combine(moment.date(), moment.time())
    return (plain - start).total_seconds()
