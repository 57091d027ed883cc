"""The transition table against PS3.8 table 9-10 and against pynetdicom's copy of it."""

from __future__ import annotations

import pytest
from pynetdicom.fsm import TRANSITION_TABLE

from vna.dimse.states import ACTIONS, TRANSITIONS, Effect, Event, State


def test_every_cell_is_the_same_as_in_another_transcription() -> None:
    ours = {
        (f"Evt{event.value}", f"Sta{state.value}"): action.name
        for (event, state), action in TRANSITIONS.items()
    }
    assert ours == TRANSITION_TABLE


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_every_action_is_used(name: str) -> None:
    assert any(action.name == name for action in TRANSITIONS.values())


@pytest.mark.parametrize("state", sorted(set(State) - {State.IDLE}))
def test_every_state_can_lose_its_connection(state: State) -> None:
    action = TRANSITIONS[Event.CONNECTION_CLOSED, state]
    assert action.next_state is State.IDLE


def test_states_that_await_the_close_run_artim() -> None:
    for (_, state), action in TRANSITIONS.items():
        if action.next_state is State.AWAITING_CLOSE and state is not State.AWAITING_CLOSE:
            assert Effect.START_ARTIM in action.effects


def test_a_release_collision_takes_the_two_sides_apart() -> None:
    collision = TRANSITIONS[Event.RELEASE_PDU, State.AWAITING_RELEASE_PDU]
    assert collision.next_state is State.COLLISION_REQUESTOR_LOCAL
    assert collision.next_as_acceptor is State.COLLISION_ACCEPTOR_PDU
