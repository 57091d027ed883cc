"""How long each frame of a film is shown (PS3.3 C.7.6.5)."""

from __future__ import annotations

from collections.abc import Sequence

from vna.dicom.rendering.attributes import Attributes

_FRAME_TIME, _FRAME_TIME_VECTOR = "00181063", "00181065"
_RATES = ("00082144", "00180040")  # recommended display frame rate, cine rate
_DEFAULT = 100.0
_SHORTEST, _LONGEST = 10, 10_000


def durations(attributes: Attributes, numbers: Sequence[int]) -> list[int]:
    """Milliseconds for each of the frames `numbers` (from 1): their own time, else that of the whole,
    else a tenth of a second.
    """
    vector = attributes.numbers(_FRAME_TIME_VECTOR)
    if len(vector) > 1:  # the n-th is from frame n-1 to frame n
        times = [vector[min(number, len(vector) - 1)] for number in numbers]
    else:
        times = [_frame_time(attributes)] * len(numbers)
    return [min(_LONGEST, max(_SHORTEST, round(time))) for time in times]


def _frame_time(attributes: Attributes) -> float:
    time = attributes.number(_FRAME_TIME)
    if time and time > 0:
        return time
    rates = (attributes.number(tag) for tag in _RATES)
    return next((1000 / rate for rate in rates if rate and rate > 0), _DEFAULT)
