"""Lanes: a full one lets its own wait."""

from __future__ import annotations

from dicomweb.lanes import Lanes


def test_a_full_lane_does_not_stop_the_other() -> None:
    lanes = Lanes[str, int]({"a": 2, "b": 1})
    assert [lanes.enter("a", n, 9.0) for n in range(4)] == [True, True, False, False]
    assert lanes.enter("b", 9, 9.0)


def test_places_go_to_who_waited_longest() -> None:
    lanes = Lanes[str, int]({"a": 1})
    assert [lanes.enter("a", n, 9.0) for n in range(3)] == [True, False, False]
    assert [lanes.leave("a") for _ in range(3)] == [1, 2, None]
    assert lanes.enter("a", 3, 9.0)
    assert not lanes.enter("a", 4, 9.0)


def test_who_waited_too_long_waits_no_more() -> None:
    lanes = Lanes[str, int]({"a": 1})
    for number, deadline in enumerate([1.0, 1.0, 2.0, 3.0]):
        lanes.enter("a", number, deadline)
    assert lanes.expired(2.0) == [1, 2]
    assert lanes.expired(2.0) == []
    assert [lanes.leave("a"), lanes.leave("a")] == [3, None]


def test_a_lane_is_crowded_while_somebody_waits() -> None:
    lanes = Lanes[str, int]({"a": 1})
    assert lanes.enter("a", 0, 9.0)
    assert not lanes.is_crowded("a")
    lanes.enter("a", 1, 9.0)
    assert lanes.is_crowded("a")
    lanes.leave("a")
    assert not lanes.is_crowded("a")
