"""The protocol machine on a socket: pumps bytes through it and turns its ends into errors."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator
from typing import NoReturn

from vna.dimse.errors import (
    AssociationAborted,
    AssociationEnded,
    AssociationRejected,
    ConnectionLost,
    PeerTimeout,
    ProtocolError,
)
from vna.dimse.pdu import Abort, AbortReason, AbortSource, AssociateReject, Pdu
from vna.dimse.settings import Timeouts
from vna.dimse.states import TRANSITIONS, Event, State
from vna.dimse.transport import Clock, Deadline, Patience, TimedOut, Transport, Unit
from vna.dimse.upper_layer import LocalAbort, UpperLayer, WrongState

LAST_WORD_SECONDS = 5.0
_LastWord = Abort | LocalAbort | AssociateReject


class Connection:
    """One association's machine and transport. What it raises is AssociationEnded or one of its
    children.

    One thread at a time receives (`event`, `fill` and the like, `finish`); messages may be sent
    from others meanwhile, one whole message after the other.
    """

    def __init__(
        self,
        link: socket.socket | Transport,
        *,
        is_requestor: bool,
        max_pdu_length: int,
        timeouts: Timeouts,
    ) -> None:
        """Take over a connected socket, or a transport that has done its handshake already."""
        self.machine = UpperLayer(is_requestor=is_requestor, max_pdu_length=max_pdu_length)
        self._transport = (
            link
            if isinstance(link, Transport)
            else Transport(link, half_open_after=timeouts.half_open)
        )
        self._timeouts = timeouts
        self._is_closed = False
        self._sending = threading.RLock()
        self._receiver: int | None = None

    @property
    def is_over(self) -> bool:
        return self._is_closed or self.machine.is_over

    def event(self, clock: Clock) -> Pdu:
        """The peer's next PDU, or piece of data."""
        while (pdu := self.ready_event()) is None:
            self.fill(clock)
        return pdu

    def ready_event(self) -> Pdu | None:
        """As `event`, but None when more bytes are needed."""
        indication = self.machine.next_event()
        if isinstance(indication, _LastWord):
            self._ended(indication)
        return indication

    def fill(self, clock: Clock) -> bool:
        """Wait for bytes and give them to the machine; False when woken instead."""
        self._check_open()
        try:
            data = self._transport.receive(clock)
        except TimedOut as exc:
            self._timed_out(exc)
        except ConnectionLost:
            self.machine.connection_closed()
            raise
        return self._took(data)

    def fill_now(self) -> bool:
        """Give the machine what has arrived, without waiting; False: nothing has."""
        self._check_open()
        try:
            data = self._transport.receive_now()
        except ConnectionLost:
            self.machine.connection_closed()
            raise
        return self._took(data)

    def fill_within(self, seconds: float) -> bool:
        """As `fill`, but False when nothing comes for so many seconds; what is there already always
        counts.
        """
        if self.fill_now():
            return True
        clock = Deadline(seconds)
        while True:
            try:
                data = self._transport.receive(clock)
            except TimedOut:
                return False
            if data is not None:
                return self._took(data)

    def fill_or_wake(self, seconds: float) -> bool:
        """As `fill`, but False as well when nothing came for so many seconds."""
        self._check_open()
        try:
            data = self._transport.receive(Deadline(seconds))
        except TimedOut:
            return False
        except ConnectionLost:
            self.machine.connection_closed()
            raise
        return self._took(data)

    def send_data(self, units: Iterable[Unit]) -> None:
        """Send the P-DATA-TF PDUs of a message, ready-made; from any thread.

        What their source raises comes out between two PDUs, and so does an end of the association
        that another thread has brought about.
        """
        with self._sending:
            self._send(
                self._while_open(units),
                Patience(self._timeouts.message, self._timeouts.slowest_rate),
            )

    def flush(self) -> None:
        """Send what the machine has to say, behind the message that another thread is sending."""
        with self._sending:
            self._send(self._outgoing(), Deadline(self._timeouts.artim))

    def fail(self, message: str, reason: AbortReason) -> NoReturn:
        """Abort as the provider because of what the peer sent. Raises ProtocolError."""
        source = AbortSource.SERVICE_PROVIDER
        self.abort(Abort(source, reason))
        raise ProtocolError(message, source=source, reason=reason)

    def abort(self, abort: Abort) -> None:
        """Send an A-ABORT if the association still stands."""
        if (Event.ABORT, self.machine.state) in TRANSITIONS and not self._is_closed:
            with contextlib.suppress(WrongState):  # another thread was first
                self.machine.abort(abort)
            self._flush_last_word()

    def finish(self) -> None:
        """Wait (ARTIM) for the peer to close where PS3.8 has it so, then close. Idempotent."""
        if self._is_closed:
            return
        try:
            self._await_close()
        except TimedOut:
            self.machine.artim_expired()
        except ConnectionLost:
            self.machine.connection_closed()
        finally:
            self._is_closed = True
            self._transport.farewell()
            self._close_transport()

    def wake(self) -> None:
        self._transport.wake()

    def shutdown(self) -> None:
        self._transport.shutdown()

    def _await_close(self) -> None:
        artim = Deadline(self._timeouts.artim)
        while self.machine.state is State.AWAITING_CLOSE:
            data = self._transport.receive(artim)
            if data is None:
                continue
            if not data:
                self.machine.connection_closed()
            self.machine.receive_data(data)
            while self.machine.next_event() is not None:
                pass
            with self._sending:
                self._transport.send(self._outgoing(), artim)

    def _close_transport(self) -> None:
        """Not under a thread that is still sending: it is cut off first."""
        if not self._sending.acquire(blocking=False):
            self.shutdown()
            self._sending.acquire()
        try:
            self._transport.close()
        finally:
            self._sending.release()

    def _took(self, data: memoryview | None) -> bool:
        if data is None:
            return False
        if data:
            self.machine.receive_data(data)
            return True
        ended = self.machine.connection_closed()
        raise ConnectionLost(ended.message if ended else "the connection was closed")

    def _while_open(self, units: Iterable[Unit]) -> Iterator[Unit]:
        machine = self.machine
        try:
            machine.check_can_send()
            for unit in units:
                yield unit
                machine.check_can_send()
        except WrongState as exc:
            raise AssociationEnded(str(exc)) from exc

    def _check_open(self) -> None:
        self._receiver = threading.get_ident()
        if self.is_over:
            raise AssociationEnded("the association is over")

    def _ended(self, last_word: _LastWord) -> NoReturn:
        self._flush_last_word()
        if isinstance(last_word, AssociateReject):
            raise rejected("the peer rejected the association", last_word)
        if isinstance(last_word, Abort):
            raise AssociationAborted(
                f"the peer aborted the association (source {last_word.source}, "
                f"reason {last_word.reason})",
                source=last_word.source,
                reason=last_word.reason,
            )
        raise ProtocolError(last_word.message, source=last_word.source, reason=last_word.reason)

    def _timed_out(self, cause: TimedOut) -> NoReturn:
        """Before the request ARTIM closes without a word (AA-2); later the peer gets an A-ABORT."""
        if self.machine.is_artim_running:
            self.machine.artim_expired()
        else:
            self.abort(Abort(AbortSource.SERVICE_PROVIDER, AbortReason.NOT_SPECIFIED))
            self.shutdown()  # who was silent so long is not waited for a second time, for its close
        raise PeerTimeout(f"the peer took too long: {cause}") from cause

    def _flush_last_word(self) -> None:
        """Send an A-ABORT to a peer that may not listen any more; then it is over all the same.

        It goes between two PDUs of a message that another thread is sending. Where that is stuck,
        the connection is cut.
        """
        seconds = min(self._timeouts.artim, LAST_WORD_SECONDS)
        if not self._sending.acquire(timeout=seconds):
            self.shutdown()
            return
        try:
            with contextlib.suppress(ConnectionLost, TimedOut):
                self._transport.send(self._outgoing(), Deadline(seconds))
        finally:
            self._sending.release()

    def _outgoing(self) -> list[Unit]:
        return [(pdu,) for pdu in self.machine.take_outgoing()]

    def _send(self, units: Iterable[Unit], clock: Clock) -> None:
        try:
            self._transport.send(units, clock)
        except TimedOut as exc:
            self._cut_off(exc)
        except ConnectionLost:
            if self._receiver in {None, threading.get_ident()}:
                self._look_for_abort()
            self.machine.connection_closed()
            raise

    def _cut_off(self, cause: TimedOut) -> NoReturn:
        """A PDU is half sent, so an A-ABORT could not be understood: cut the connection."""
        self.machine.connection_closed()
        self.shutdown()
        raise PeerTimeout(f"the peer took too long: {cause}") from cause

    def _look_for_abort(self) -> None:
        """Sending failed: if the peer's A-ABORT is there to read, it is the better explanation."""
        with contextlib.suppress(ConnectionLost):
            while data := self._transport.receive_now():
                self.machine.receive_data(data)
                while (indication := self.machine.next_event()) is not None:
                    if isinstance(indication, (Abort, AssociateReject)):
                        self._ended(indication)


def rejected(message: str, answer: AssociateReject) -> AssociationRejected:
    """The error for an A-ASSOCIATE-RJ, sent or received."""
    result, source, reason = answer.result, answer.source, answer.reason
    return AssociationRejected(
        f"{message} (result {result}, source {source}, reason {reason})",
        result=result,
        source=source,
        reason=reason,
    )
