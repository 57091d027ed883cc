"""Who has to go when many connections wait for nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vna.scp.waiting import WaitingRoom


def test_there_is_room_until_it_is_full() -> None:
    room: WaitingRoom[int] = WaitingRoom(room=4, room_per_address=3)
    assert [room.enter(n, f"10.0.0.{n % 2}") for n in range(4)] == [None] * 4


def test_an_address_that_has_its_share_loses_its_own_oldest() -> None:
    room: WaitingRoom[str] = WaitingRoom(room=10, room_per_address=2)
    room.enter("victim", "10.0.0.1")
    room.enter("a", "10.0.0.2")
    room.enter("b", "10.0.0.2")
    assert room.enter("c", "10.0.0.2") == "a"
    assert room.enter("d", "10.0.0.2") == "b"
    assert len(room) == 3


def test_a_full_house_loses_the_oldest_of_whoever_has_most() -> None:
    room: WaitingRoom[str] = WaitingRoom(room=4, room_per_address=3)
    room.enter("old and alone", "10.0.0.1")
    for guest in "abc":
        room.enter(guest, "10.0.0.2")
    assert room.enter("new", "10.0.0.3") == "a"


def test_who_has_left_cannot_be_evicted() -> None:
    room: WaitingRoom[str] = WaitingRoom(room=10, room_per_address=2)
    room.enter("associated", "10.0.0.2")
    room.leave("associated")
    room.leave("associated")
    room.enter("a", "10.0.0.2")
    assert room.enter("b", "10.0.0.2") is None
    assert room.enter("c", "10.0.0.2") == "a"


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=200))
def test_the_bounds_hold_whatever_happens(steps: list[tuple[int, bool]]) -> None:
    room: WaitingRoom[int] = WaitingRoom(room=6, room_per_address=3)
    inside: dict[int, int] = {}
    for number, (host, comes) in enumerate(steps):
        if comes or not inside:
            inside[number] = host
            evicted = room.enter(number, f"10.0.0.{host}")
            assert evicted != number
            if evicted is not None:
                del inside[evicted]
        else:
            guest = min(inside)
            del inside[guest]
            room.leave(guest)
        assert len(room) == len(inside) <= 6
        assert all(list(inside.values()).count(each) <= 3 for each in inside.values())
