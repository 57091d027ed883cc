"""The incoming side of an association: commands, streaming datasets, C-CANCEL and release (PS3.7
6.3, 9.3.2.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vna.dimse.assembly import Assembler, ReceivedCommand
from vna.dimse.command import Command, CommandField
from vna.dimse.connection import Connection
from vna.dimse.message import Message
from vna.dimse.negotiation import PresentationContext
from vna.dimse.pdu import Abort, AbortReason, Fragment, InvalidPdu, Pdu, ReleaseRequest
from vna.dimse.settings import Timeouts
from vna.dimse.transport import Patience


def never() -> bool:
    """For who has no condition."""
    return False


class Inbox:
    """Reads one message after the other; at most one command is read ahead, while looking for a
    cancel.
    """

    def __init__(
        self,
        connection: Connection,
        contexts: Mapping[int, PresentationContext],
        timeouts: Timeouts,
        took_response: Callable[[Command], bool],
    ) -> None:
        """`took_response` gets each response; False: nobody waits there for it, so it is a message."""
        self.is_release_pending = False
        self.is_busy: Callable[[], bool] = never
        self.cancelled: set[int] = set()
        self.drain_grace: float | None = None
        self._connection = connection
        self._assembler = Assembler(contexts)
        self._timeouts = timeouts
        self._patience = Patience(timeouts.message, timeouts.slowest_rate)
        self._ahead: ReceivedCommand | None = None
        self._took_response = took_response

    def next_message(self, is_enough: Callable[[], bool] = never) -> Message | None:
        """The next message that is neither a C-CANCEL-RQ nor a response that was waited for.

        None: the peer asks for a release, we were drained, or such a response made it enough.
        """
        if self._ahead is None:
            self._discard_data()
        while True:
            self._patience = Patience(self._timeouts.message, self._timeouts.slowest_rate)
            received = self._ahead or self._await_command()
            self._ahead = None
            if received is None:
                return None
            if not self._is_settled(received):
                return Message(received.context, received.command, received.has_data, self._pull)
            self._discard_data()
            if is_enough():
                return None

    @property
    def has_request(self) -> bool:
        """Whether a command has been read ahead, which `next_message` gives without waiting."""
        return self._ahead is not None

    def look(self, *, receive: bool = True) -> None:
        """Note the C-CANCEL-RQs, responses and the release that have arrived, without waiting.

        Nothing is read past a dataset that is still to be taken, nor past another command. Without
        `receive` only what was taken from the connection already.
        """
        while not (self._assembler.is_in_data or self._ahead or self.is_release_pending):
            event = self._connection.ready_event()
            if event is None:
                if not receive or not self._connection.fill_now():
                    return
                continue
            received = self._command_of(event)
            if received is not None and not self._is_settled(received):
                self._ahead = received

    def _await_command(self) -> ReceivedCommand | None:
        while not self.is_release_pending:
            event = self._connection.ready_event()
            if event is not None:
                received = self._command_of(event)
                if received is not None:
                    return received
            elif not self._is_idle:
                self._connection.fill(self._patience)
            elif not self._await_message():
                return None
        return None

    @property
    def _is_idle(self) -> bool:
        return self._assembler.is_between_messages and self._connection.machine.is_between_pdus

    def _await_message(self) -> bool:
        """Wait for the first bytes of a message; False: silence while draining, the association was
        aborted.

        While operations of the peer are under way, it is its right to be silent.
        """
        patience = Patience(self._timeouts.idle)
        while (is_busy := self.is_busy()) or self.drain_grace is None:
            if is_busy:
                patience = Patience(self._timeouts.idle)
                if self._connection.fill_or_wake(self._timeouts.idle):
                    return True
            elif self._connection.fill(patience):
                return True
        if self._connection.fill_within(self.drain_grace or 0.0):
            return True
        self._connection.abort(Abort())
        return False

    def _command_of(self, event: Pdu) -> ReceivedCommand | None:
        """What an event between datasets means: a command, or nothing yet."""
        if isinstance(event, Fragment):
            taken = self._take(event)
            return taken if isinstance(taken, ReceivedCommand) else None
        if isinstance(event, ReleaseRequest) and self._assembler.is_between_messages:
            self.is_release_pending = True
        else:
            self._connection.fail(
                f"{type(event).__name__} inside a message", AbortReason.UNEXPECTED_PDU
            )
        return None

    def _pull(self) -> memoryview | None:
        """The next piece of the current dataset; None at its end."""
        connection = self._connection
        while self._assembler.is_in_data:
            piece = connection.machine.next_data(self._assembler.data_context_id)
            if piece is not None:
                return piece
            event = connection.ready_event()
            if event is None:
                connection.fill(self._patience)
                continue
            if type(event) is not Fragment:
                connection.fail(
                    f"{type(event).__name__} inside a dataset", AbortReason.UNEXPECTED_PDU
                )
            taken = self._take(event)
            if type(taken) is memoryview and taken:
                return taken
        return None

    def _take(self, fragment: Fragment) -> ReceivedCommand | memoryview | None:
        try:
            return self._assembler.take(fragment)
        except InvalidPdu as exc:
            self._connection.fail(str(exc), exc.reason)

    def _is_settled(self, received: ReceivedCommand) -> bool:
        """Whether a command needs nobody's attention any more: a cancel is noted, a response handed
        on.
        """
        command = received.command
        if command.is_response:
            return self._took_response(command)
        if command.command_field != CommandField.C_CANCEL_RQ:
            return False
        if command.message_id_being_responded_to is not None:
            self.cancelled.add(command.message_id_being_responded_to)
        return True

    def _discard_data(self) -> None:
        while self._pull() is not None:
            pass
