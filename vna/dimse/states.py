"""The state machine of PS3.8 9.2 as tables: states, events, actions, and which action where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class State(IntEnum):
    """PS3.8 tables 9-1 to 9-5."""

    IDLE = 1
    AWAITING_REQUEST_PDU = 2
    AWAITING_LOCAL_ANSWER = 3
    AWAITING_CONNECTION = 4
    AWAITING_ANSWER_PDU = 5
    ESTABLISHED = 6
    AWAITING_RELEASE_PDU = 7
    AWAITING_LOCAL_RELEASE = 8
    COLLISION_REQUESTOR_LOCAL = 9
    COLLISION_ACCEPTOR_PDU = 10
    COLLISION_REQUESTOR_PDU = 11
    COLLISION_ACCEPTOR_LOCAL = 12
    AWAITING_CLOSE = 13


class Event(IntEnum):
    """The rows of PS3.8 table 9-10."""

    ASSOCIATE_REQUEST = 1
    CONNECTION_CONFIRMED = 2
    ACCEPT_PDU = 3
    REJECT_PDU = 4
    CONNECTION_INDICATED = 5
    REQUEST_PDU = 6
    ACCEPT = 7
    REJECT = 8
    P_DATA = 9
    P_DATA_PDU = 10
    RELEASE = 11
    RELEASE_PDU = 12
    RELEASE_REPLY_PDU = 13
    RELEASE_REPLY = 14
    ABORT = 15
    ABORT_PDU = 16
    CONNECTION_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


class Effect(Enum):
    """What an action does. SEND: the PDU that came with a local event; INDICATE: hand the peer's
    PDU up.
    """

    SEND = "send"
    SEND_USER_ABORT = "send A-ABORT, source 0"
    SEND_PROVIDER_ABORT = "send A-ABORT, source 2"
    INDICATE = "indicate"
    INDICATE_PROVIDER_ABORT = "indicate A-P-ABORT"
    START_ARTIM = "start ARTIM"
    STOP_ARTIM = "stop ARTIM"
    CLOSE = "close the connection"


@dataclass(frozen=True, slots=True)
class Action:
    """One line of PS3.8 tables 9-6 to 9-9. `next_as_acceptor` differs for AR-8 only."""

    name: str
    effects: tuple[Effect, ...]
    next_state: State
    next_as_acceptor: State


def _action(
    name: str, next_state: int, *effects: Effect, next_as_acceptor: int | None = None
) -> Action:
    other = next_state if next_as_acceptor is None else next_as_acceptor
    return Action(name, effects, State(next_state), State(other))


_SEND, _INDICATE, _CLOSE = Effect.SEND, Effect.INDICATE, Effect.CLOSE
_START, _STOP = Effect.START_ARTIM, Effect.STOP_ARTIM

# AE-1's and AE-2's transport calls are the owner's. AE-6 leaves the judgement of an unacceptable
# request to
# the owner, who then rejects from state 3: the peer sees the same A-ASSOCIATE-RJ.
ACTIONS = {
    action.name: action
    for action in (
        _action("AE-1", 4),
        _action("AE-2", 5, _SEND),
        _action("AE-3", 6, _INDICATE),
        _action("AE-4", 1, _INDICATE, _CLOSE),
        _action("AE-5", 2, _START),
        _action("AE-6", 3, _STOP, _INDICATE),
        _action("AE-7", 6, _SEND),
        _action("AE-8", 13, _SEND, _START),
        _action("DT-1", 6, _SEND),
        _action("DT-2", 6, _INDICATE),
        _action("AR-1", 7, _SEND),
        _action("AR-2", 8, _INDICATE),
        _action("AR-3", 1, _INDICATE, _CLOSE),
        _action("AR-4", 13, _SEND, _START),
        _action("AR-5", 1, _STOP),
        _action("AR-6", 7, _INDICATE),
        _action("AR-7", 8, _SEND),
        _action("AR-8", 9, _INDICATE, next_as_acceptor=10),
        _action("AR-9", 11, _SEND),
        _action("AR-10", 12, _INDICATE),
        _action("AA-1", 13, Effect.SEND_USER_ABORT, _START),
        _action("AA-2", 1, _STOP, _CLOSE),
        _action("AA-3", 1, _INDICATE, _CLOSE),
        _action("AA-4", 1, Effect.INDICATE_PROVIDER_ABORT),
        _action("AA-5", 1, _STOP),
        _action("AA-6", 13),
        _action("AA-7", 13, Effect.SEND_PROVIDER_ABORT),
        _action("AA-8", 13, Effect.SEND_PROVIDER_ABORT, Effect.INDICATE_PROVIDER_ABORT, _START),
    )
}

# Table 9-10, a line an event, "state:action"; "5-12" are the states from 5 to 12.
_TABLE = {
    Event.ASSOCIATE_REQUEST: "1:AE-1",
    Event.CONNECTION_CONFIRMED: "4:AE-2",
    Event.ACCEPT_PDU: "2:AA-1 3:AA-8 5:AE-3 6-12:AA-8 13:AA-6",
    Event.REJECT_PDU: "2:AA-1 3:AA-8 5:AE-4 6-12:AA-8 13:AA-6",
    Event.CONNECTION_INDICATED: "1:AE-5",
    Event.REQUEST_PDU: "2:AE-6 3:AA-8 5-12:AA-8 13:AA-7",
    Event.ACCEPT: "3:AE-7",
    Event.REJECT: "3:AE-8",
    Event.P_DATA: "6:DT-1 8:AR-7",
    Event.P_DATA_PDU: "2:AA-1 3:AA-8 5:AA-8 6:DT-2 7:AR-6 8-12:AA-8 13:AA-6",
    Event.RELEASE: "6:AR-1",
    Event.RELEASE_PDU: "2:AA-1 3:AA-8 5:AA-8 6:AR-2 7:AR-8 8-12:AA-8 13:AA-6",
    Event.RELEASE_REPLY_PDU: (
        "2:AA-1 3:AA-8 5-6:AA-8 7:AR-3 8-9:AA-8 10:AR-10 11:AR-3 12:AA-8 13:AA-6"
    ),
    Event.RELEASE_REPLY: "8:AR-4 9:AR-9 12:AR-4",
    Event.ABORT: "3:AA-1 4:AA-2 5-12:AA-1",
    Event.ABORT_PDU: "2:AA-2 3:AA-3 5-12:AA-3 13:AA-2",
    Event.CONNECTION_CLOSED: "2:AA-5 3-12:AA-4 13:AR-5",
    Event.ARTIM_EXPIRED: "2:AA-2 13:AA-2",
    Event.INVALID_PDU: "2:AA-1 3:AA-8 5-12:AA-8 13:AA-7",
}


def _expand(table: dict[Event, str]) -> dict[tuple[Event, State], Action]:
    transitions = {}
    for event, line in table.items():
        for cell in line.split():
            states, name = cell.split(":")
            first, _, last = states.partition("-")
            for number in range(int(first), int(last or first) + 1):
                transitions[event, State(number)] = ACTIONS[name]
    return transitions


TRANSITIONS = _expand(_TABLE)
