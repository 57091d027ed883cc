"""When reception waits, for how long, and what it does with what it finds: without sockets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.unit.dimse import values
from tests.unit.dimse.peers import echo_request
from vna.dimse.command import RESPONSE, Command, CommandField, encode_command
from vna.dimse.connection import Connection
from vna.dimse.inbox import Inbox
from vna.dimse.pdu import Abort, Pdu, ReleaseRequest
from vna.dimse.settings import Timeouts
from vna.dimse.states import State
from vna.dimse.upper_layer import UpperLayer


class ScriptedConnection:
    """Plays what arrives: bytes, or None for a wait that ends without any.

    `waits` notes what kind of wait each step was.
    """

    def __init__(self, *script: bytes | None) -> None:
        self.machine = UpperLayer(is_requestor=False)
        self.machine.state = State.ESTABLISHED
        self.script = deque(script)
        self.waits: list[str] = []
        self.before_wait: Callable[[], None] = lambda: None
        self.is_aborted = False

    def ready_event(self) -> Pdu | None:
        return cast("Pdu | None", self.machine.next_event())

    def fill(self, clock: object) -> bool:
        return self._step("patiently")

    def fill_or_wake(self, seconds: float) -> bool:
        return self._step("while busy")

    def fill_within(self, seconds: float) -> bool:
        return self._step("grace")

    def fill_now(self) -> bool:
        return bool(self.script) and self._step("now")

    def abort(self, abort: Abort) -> None:
        self.is_aborted = True

    def _step(self, kind: str) -> bool:
        self.before_wait()
        self.waits.append(kind)
        data = self.script.popleft()
        if data is None:
            return False
        self.machine.receive_data(data)
        return True


def inbox_on(
    connection: ScriptedConnection, took: Callable[[Command], bool] = lambda _: False
) -> Inbox:
    return Inbox(cast("Connection", connection), values.CONTEXTS, Timeouts(), took)


def command(**fields: Any) -> bytes:
    """A command without dataset on context 1."""
    return values.p_data((1, 3, encode_command(Command(**fields), has_data=False)))


def cancel(message_id: int) -> bytes:
    return command(command_field=CommandField.C_CANCEL_RQ, message_id_being_responded_to=message_id)


def answer(message_id: int) -> bytes:
    return command(
        command_field=CommandField.C_ECHO_RQ | RESPONSE,
        message_id_being_responded_to=message_id,
        status=0,
    )


def test_silence_counts_only_while_nothing_is_under_way() -> None:
    connection = ScriptedConnection(None, None, None, echo_request(7))
    inbox, left = inbox_on(connection), iter([True, True, True, False])
    inbox.is_busy = lambda: next(left)
    message = inbox.next_message()
    assert message is not None
    assert message.command.message_id == 7
    assert connection.waits == ["while busy"] * 3 + ["patiently"]


def test_a_drain_waits_for_what_is_under_way_then_for_silence() -> None:
    connection = ScriptedConnection(None, None, None)
    inbox, left = inbox_on(connection), iter([True, True, False])
    inbox.is_busy = lambda: next(left)
    inbox.drain_grace = 0.0
    assert inbox.next_message() is None
    assert connection.waits == ["while busy", "while busy", "grace"]
    assert connection.is_aborted


def test_a_drain_that_comes_while_busy_still_serves_what_arrives() -> None:
    connection = ScriptedConnection(None, echo_request(1), None)
    inbox = inbox_on(connection)
    connection.before_wait = lambda: setattr(inbox, "drain_grace", 0.0)
    inbox.is_busy = lambda: not connection.waits
    assert inbox.next_message() is not None
    assert inbox.next_message() is None
    assert connection.waits == ["while busy", "grace", "grace"]


def test_cancels_and_awaited_responses_are_no_messages() -> None:
    connection = ScriptedConnection(cancel(5) + answer(1) + answer(2) + cancel(6), echo_request(9))
    taken: list[int | None] = []

    def took(response: Command) -> bool:
        taken.append(response.message_id_being_responded_to)
        return True

    inbox = inbox_on(connection, took)
    message = inbox.next_message()
    assert message is not None
    assert message.command.message_id == 9
    assert taken == [1, 2]
    assert inbox.cancelled == {5, 6}


def test_a_response_that_makes_it_enough_ends_the_wait() -> None:
    connection = ScriptedConnection(answer(1) + echo_request(2))
    taken: list[Command] = []

    def took(response: Command) -> bool:
        taken.append(response)
        return True

    inbox = inbox_on(connection, took)
    assert inbox.next_message(lambda: bool(taken)) is None
    message = inbox.next_message()
    assert message is not None
    assert message.command.message_id == 2


def test_looking_takes_responses_up_to_the_next_request() -> None:
    connection = ScriptedConnection(answer(1) + cancel(3) + echo_request(2) + answer(4))
    taken: list[int | None] = []

    def took(response: Command) -> bool:
        taken.append(response.message_id_being_responded_to)
        return True

    inbox = inbox_on(connection, took)
    inbox.look()
    assert taken == [1]
    assert inbox.cancelled == {3}
    message = inbox.next_message()
    assert message is not None
    assert message.command.message_id == 2
    inbox.look()
    assert taken == [1, 4]


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_release_ends_reception(is_busy: bool) -> None:
    connection = ScriptedConnection(ReleaseRequest().encode())
    inbox = inbox_on(connection)
    inbox.is_busy = lambda: is_busy
    assert inbox.next_message() is None
    assert inbox.is_release_pending
    assert not connection.is_aborted
