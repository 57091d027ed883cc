"""Which frames a FRAME level retrieve asks for (PS3.4 Y.3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from vna.errors import VnaError

SIMPLE_FRAME_LIST, CALCULATED_FRAME_LIST, TIME_RANGE = "00081161", "00081162", "00081163"

KEYWORDS = {
    SIMPLE_FRAME_LIST: "SimpleFrameList",
    CALCULATED_FRAME_LIST: "CalculatedFrameList",
    TIME_RANGE: "TimeRange",
}


class ExtractionError(VnaError):
    """A FRAME level retrieve can't be answered; the children say why."""


class NoSuchFrames(ExtractionError):
    """None of the frames requested is in the instance."""


class NotExtractable(ExtractionError):
    """The archive can't make a valid instance of some frames for this SOP class."""


class ExtractionFailed(ExtractionError):
    """The frames can't be taken out of this instance."""


class NotTimeBased(ExtractionError):
    """Frames were requested by time, and the instance does not say when they were taken."""


class InvalidFrameKeys(ExtractionError):
    """The request does not name frames as PS3.4 Y.3.2.1 wants it."""


@dataclass(frozen=True, slots=True)
class FrameKeys:
    """One of the three frame range keys, and its values as they were sent.

    `key`: SIMPLE_FRAME_LIST, CALCULATED_FRAME_LIST or TIME_RANGE.
    """

    key: str
    values: tuple[float, ...]

    @property
    def keyword(self) -> str:
        """The keyword of the key."""
        return KEYWORDS[self.key]

    @property
    def is_time(self) -> bool:
        """Whether the values are seconds, not numbers of frames."""
        return self.key == TIME_RANGE

    def numbers(self, frame_times: Sequence[float] | None, count: int) -> list[int]:
        """The frames meant, from 1, ascending, of an instance that has `count`.

        `frame_times`: in seconds since the Content Time (0008,0033), None when not known.
        Raises ExtractionError's children.
        """
        found = list(self._numbers(frame_times, count))
        if not found:
            raise NoSuchFrames(f"none of the frames requested is among the {count} that there are")
        return found

    def _numbers(self, frame_times: Sequence[float] | None, count: int) -> Iterator[int]:
        if self.key == TIME_RANGE:
            return self._by_time(frame_times)
        values = [int(value) for value in self.values]
        if self.key == SIMPLE_FRAME_LIST:
            return _simple(values, count)
        return _calculated(values, count)

    def _by_time(self, frame_times: Sequence[float] | None) -> Iterator[int]:
        if len(self.values) != 2 or not self.values[0] <= self.values[1]:
            raise InvalidFrameKeys("Time Range (0008,1163) is not a start and an end")
        if frame_times is None:
            raise NotTimeBased("the instance does not say when its frames were taken")
        start, end = self.values
        return (n for n, time in enumerate(frame_times, 1) if start <= time <= end)


def _simple(values: list[int], count: int) -> Iterator[int]:
    if not values or values[0] < 1 or any(a >= b for a, b in pairwise(values)):
        raise InvalidFrameKeys("Simple Frame List (0008,1161) does not ascend from 1 on")
    found = [number for number in values if number <= count]
    if found and len(found) < len(values):
        raise ExtractionFailed(f"frame {values[len(found)]} is requested, there are {count}")
    return iter(found)


def _calculated(values: list[int], count: int) -> Iterator[int]:
    triplets = list(zip(values[::3], values[1::3], values[2::3], strict=False))
    if not triplets or len(values) % 3:
        raise InvalidFrameKeys("Calculated Frame List (0008,1162) does not consist of triplets")
    previous = 0
    for first, last, step in triplets:
        if not previous < first <= last or step < 1:
            raise InvalidFrameKeys("Calculated Frame List (0008,1162) does not ascend")
        previous = first + (last - first) // step * step
    return (
        number
        for first, last, step in triplets
        for number in range(first, min(last, count) + 1, step)
    )
