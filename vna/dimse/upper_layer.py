"""The upper layer protocol machine without sockets: bytes and requests in, indications and bytes
out.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from vna.dimse.associate import encode_accept, encode_request
from vna.dimse.errors import DimseError
from vna.dimse.pdu import (
    Abort,
    AbortReason,
    AbortSource,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    Fragment,
    InvalidPdu,
    Pdu,
    ReleaseReply,
    ReleaseRequest,
)
from vna.dimse.states import TRANSITIONS, Effect, Event, State
from vna.dimse.stream import PduStream


class WrongState(DimseError):
    """What was asked for is not possible in the present state of the association."""


@dataclass(frozen=True, slots=True)
class LocalAbort:
    """It ended here because the peer broke the protocol or the connection (A-P-ABORT)."""

    message: str
    source: int
    reason: int
    is_connection_lost: bool = False


Indication = Pdu | LocalAbort

_EVENTS: dict[type[Pdu], Event] = {
    AssociateRequest: Event.REQUEST_PDU,
    AssociateAccept: Event.ACCEPT_PDU,
    AssociateReject: Event.REJECT_PDU,
    Fragment: Event.P_DATA_PDU,
    ReleaseRequest: Event.RELEASE_PDU,
    ReleaseReply: Event.RELEASE_REPLY_PDU,
    Abort: Event.ABORT_PDU,
}
_SENDING = tuple(state for state in State if (Event.P_DATA, state) in TRANSITIONS)


class UpperLayer:
    """PS3.8 9.2 for one association.

    The owner feeds `receive_data` and asks `next_event` until None, sends what `take_outgoing`
    gives, runs a timer while `is_artim_running` and closes the connection when `must_close`. P-DATA
    is sent by the owner itself, while `check_can_send` allows it. One thread receives; what else is
    asked for may come from others, each step being taken whole.
    """

    def __init__(self, *, is_requestor: bool, max_pdu_length: int = 0) -> None:
        self.state = State.IDLE
        self.is_artim_running = False
        self.must_close = False
        self.is_requestor = is_requestor
        self._stream = PduStream(max_pdu_length)
        self._outgoing: list[bytes] = []
        self._lock = threading.RLock()

    @property
    def is_between_pdus(self) -> bool:
        return self._stream.is_between_pdus

    @property
    def is_over(self) -> bool:
        """Whether nothing but the end of the connection can follow."""
        state = self.state  # no set: to hash a State costs more than the rest of this
        return state is State.IDLE or state is State.AWAITING_CLOSE

    def take_outgoing(self) -> list[bytes]:
        """What to send, in order; forgotten here."""
        with self._lock:
            outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take in received bytes; they must stay as they are until `next_event` returns None."""
        self._stream.receive_data(data)

    def next_event(self) -> Indication | None:
        """What happened next; None: more bytes are needed. Never raises, whatever was received."""
        while True:
            indication: Indication | None
            try:
                pdu = self._stream.next_pdu()
            except InvalidPdu as exc:
                with self._lock:
                    indication = self._fail(Event.INVALID_PDU, str(exc), exc.reason)
            else:
                if pdu is None:
                    return None
                if type(pdu) is Fragment and self.state is State.ESTABLISHED:
                    return pdu  # DT-2, taken by nearly every PDU
                with self._lock:
                    indication = self._received(pdu)
            if indication is not None:
                return indication

    def next_data(self, context_id: int) -> memoryview | None:
        """The next piece of a dataset, if it is sure to be one; None: ask `next_event`."""
        if self.state is not State.ESTABLISHED:
            return None
        return self._stream.next_data(context_id)

    def connection_indicated(self) -> None:
        """The acceptor's transport connection is there."""
        self._step(Event.CONNECTION_INDICATED)

    def associate(self, request: AssociateRequest) -> None:
        """Send the A-ASSOCIATE-RQ over a transport connection that is there."""
        self._step(Event.ASSOCIATE_REQUEST)
        self._step(Event.CONNECTION_CONFIRMED, encode_request(request))

    def accept(self, answer: AssociateAccept) -> None:
        self._step(Event.ACCEPT, encode_accept(answer))

    def reject(self, answer: AssociateReject) -> None:
        self._step(Event.REJECT, answer.encode())

    def release(self) -> None:
        self._step(Event.RELEASE, ReleaseRequest().encode())

    def reply_release(self) -> None:
        self._step(Event.RELEASE_REPLY, ReleaseReply().encode())

    def abort(self, abort: Abort) -> None:
        """End it from here, as the user or (source 2) because a higher layer found the peer at
        fault.
        """
        self._step(Event.ABORT, abort.encode())

    def check_can_send(self) -> None:
        """Raise WrongState unless P-DATA may be sent now (DT-1, AR-7)."""
        if self.state not in _SENDING:
            raise WrongState(f"no data can be sent: the association is in state {self.state.name}")

    def connection_closed(self) -> LocalAbort | None:
        """The peer closed the transport connection, or it broke."""
        self.must_close = True
        with self._lock:
            if self.state is State.IDLE:
                return None
            effects = self._step(Event.CONNECTION_CLOSED)
        if Effect.INDICATE_PROVIDER_ABORT not in effects:
            return None
        return LocalAbort("the connection ended without a release", 2, 0, is_connection_lost=True)

    def artim_expired(self) -> None:
        self._step(Event.ARTIM_EXPIRED)

    def _received(self, pdu: Pdu) -> Indication | None:
        event = _EVENTS[type(pdu)]
        action = TRANSITIONS.get((event, self.state))
        if action is None:  # a byte behind the end
            return None
        if Effect.INDICATE in action.effects:
            self._step(event)
            return pdu
        if event is not Event.ABORT_PDU:
            message = f"unexpected {type(pdu).__name__} in state {self.state.name}"
            return self._fail(event, message, AbortReason.UNEXPECTED_PDU)
        is_news = self.state is not State.AWAITING_CLOSE
        self._step(event)
        return pdu if is_news else None

    def _fail(self, event: Event, message: str, reason: AbortReason) -> LocalAbort | None:
        """The peer broke the protocol. From state 2 the table answers as the user (AA-1): without a
        reason.
        """
        if (event, self.state) not in TRANSITIONS:
            return None
        is_news = self.state is not State.AWAITING_CLOSE
        effects = self._step(event, reason=reason)
        if not is_news:
            return None
        if Effect.SEND_USER_ABORT in effects:
            return LocalAbort(message, AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED)
        return LocalAbort(message, AbortSource.SERVICE_PROVIDER, reason)

    def _step(
        self,
        event: Event,
        pdu: bytes = b"",
        reason: AbortReason = AbortReason.NOT_SPECIFIED,
    ) -> tuple[Effect, ...]:
        with self._lock:
            action = TRANSITIONS.get((event, self.state))
            if action is None:
                raise WrongState(f"{event.name} is not possible in state {self.state.name}")
            for effect in action.effects:
                self._apply(effect, pdu, reason)
            self.state = action.next_state if self.is_requestor else action.next_as_acceptor
        return action.effects

    def _apply(self, effect: Effect, pdu: bytes, reason: AbortReason) -> None:
        if effect is Effect.SEND:
            self._outgoing.append(pdu)
        elif effect is Effect.SEND_USER_ABORT:
            self._outgoing.append(pdu or Abort().encode())
        elif effect is Effect.SEND_PROVIDER_ABORT:
            self._outgoing.append(Abort(AbortSource.SERVICE_PROVIDER, reason).encode())
        elif effect is Effect.CLOSE:
            self.must_close = True
        elif effect in {Effect.START_ARTIM, Effect.STOP_ARTIM}:
            self.is_artim_running = effect is Effect.START_ARTIM
