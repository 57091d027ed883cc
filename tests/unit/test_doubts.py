"""What could not be read a moment ago is tried last, and not for ever."""

from __future__ import annotations

import pytest

from vna.errors import Corrupt, Unavailable
from vna.model.instances import Location
from vna.services import doubts
from vna.services.doubts import BACKEND_SECONDS, PLACE_SECONDS, Doubts


class Clock:
    """Shows what a test says."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def place(number: int = 1, backend: str = "near") -> Location:
    return Location(backend, f"{number}.dcm", 0, 10)


def test_damage_says_nothing_of_other_objects() -> None:
    clock = Clock()
    known = Doubts(clock)
    known.add(place(1), Corrupt("damaged"))
    assert [known.has(place(1)), known.has(place(2))] == [True, False]
    clock.now += PLACE_SECONDS
    assert not known.has(place(1))


def test_a_store_that_is_away_is_away_for_all_its_objects() -> None:
    clock = Clock()
    known = Doubts(clock)
    known.add(place(1), Unavailable("no answer"))
    assert [known.has(place(2)), known.has(place(2, "far"))] == [True, False]
    clock.now += BACKEND_SECONDS
    assert not known.has(place(2))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "_MOST", 3)
    known = Doubts()
    for number in range(5):
        known.add(place(number), Corrupt("damaged"))
    assert [known.has(place(number)) for number in range(5)] == [False, False, True, True, True]
