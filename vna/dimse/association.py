"""An association over a socket: open it, receive and send messages, end it (PS3.8 7, PS3.7 6)."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Self
from uuid import uuid4

from vna.dimse.command import RESPONSE, Command, encode_command
from vna.dimse.connection import Connection, rejected
from vna.dimse.errors import AssociationEnded, ConnectionLost, NotAccepted
from vna.dimse.fragments import Data, message_pdus
from vna.dimse.handshake import Contexts, judge, make_accept, make_request, read_accept
from vna.dimse.inbox import Inbox
from vna.dimse.message import Message
from vna.dimse.negotiation import PresentationContext
from vna.dimse.pdu import (
    Abort,
    AbortReason,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    UserInformation,
)
from vna.dimse.settings import AcceptorSettings, RequestorSettings, Timeouts
from vna.dimse.states import State
from vna.dimse.transport import Deadline

UNRECOGNIZED_OPERATION = 0x0211
MAX_MESSAGE_ID = 65535
_LOCAL_COLLISION = (State.COLLISION_REQUESTOR_LOCAL, State.COLLISION_ACCEPTOR_LOCAL)


class Association:
    """One association, used by one thread; only `drain` and `interrupt` may be called from others.

    `id` is a short hex text for logs; `contexts` the accepted presentation contexts by id,
    `refused_contexts` the result of each refused one; `peer_max_pdu_length` 0 is "no limit". Every
    error it raises is a child of DimseError; after an AssociationEnded only `close` is left to
    call. As a context manager it closes at the end.
    """

    def __init__(
        self,
        connection: Connection,
        request: AssociateRequest,
        contexts: Contexts,
        peer: UserInformation,
        peer_address: str,
        timeouts: Timeouts,
    ) -> None:
        """For `accept` and `request` below."""
        self.id = uuid4().hex[:12]
        self.calling_ae_title = request.calling_ae_title
        self.called_ae_title = request.called_ae_title
        self.peer_address = peer_address
        self.is_requestor = connection.machine.is_requestor
        self.contexts = contexts.accepted
        self.refused_contexts = contexts.refused
        self.peer_max_pdu_length = peer.max_pdu_length
        self.peer_implementation_class_uid = peer.implementation_class_uid
        self.peer_implementation_version_name = peer.implementation_version_name
        self.user_identity = peer.user_identity
        self.extended_negotiation = dict(peer.extended)
        self._connection = connection
        self._timeouts = timeouts
        self._inbox = Inbox(connection, contexts.accepted, timeouts)
        self._last_message_id = 0

    @classmethod
    def accept(cls, sock: socket.socket, settings: AcceptorSettings) -> Association:
        """Negotiate on an accepted connection; the socket belongs to the association from now on.

        Raises AssociationRejected (an A-ASSOCIATE-RJ was sent), AssociationAborted, ProtocolError,
        PeerTimeout, ConnectionLost; the socket is closed then.
        """
        connection = Connection(
            sock,
            is_requestor=False,
            max_pdu_length=settings.max_pdu_length,
            timeouts=settings.timeouts,
        )
        with _finished_on_error(connection):
            peer_address = _peer_address(sock)
            connection.machine.connection_indicated()
            request = connection.event(Deadline(settings.timeouts.artim))
            if not isinstance(request, AssociateRequest):
                connection.fail("expected an A-ASSOCIATE-RQ", AbortReason.UNEXPECTED_PDU)
            rejection = judge(request, settings, peer_address)
            if rejection is not None:
                answer = AssociateReject(rejection.result, rejection.source, rejection.reason)
                connection.machine.reject(answer)
                connection.flush()
                raise rejected(f"the association of {request.calling_ae_title} is rejected", answer)
            accept, contexts = make_accept(request, settings)
            connection.machine.accept(accept)
            connection.flush()
            return cls(connection, request, contexts, request.user, peer_address, settings.timeouts)

    @classmethod
    def request(cls, address: tuple[str, int], settings: RequestorSettings) -> Association:
        """Connect and negotiate. Raises as `accept`; AssociationRejected: the peer sent an
        A-ASSOCIATE-RJ.

        ValueError for settings without or with more than 128 contexts.
        """
        proposal = make_request(settings)
        connection = Connection(
            _connect(address, settings.timeouts.connect),
            is_requestor=True,
            max_pdu_length=settings.max_pdu_length,
            timeouts=settings.timeouts,
        )
        with _finished_on_error(connection):
            connection.machine.associate(proposal)
            connection.flush()
            answer = connection.event(Deadline(settings.timeouts.artim))
            if not isinstance(answer, AssociateAccept):
                connection.fail("expected an A-ASSOCIATE-AC", AbortReason.UNEXPECTED_PDU)
            contexts = read_accept(proposal, answer)
            return cls(connection, proposal, contexts, answer.user, address[0], settings.timeouts)

    @property
    def is_over(self) -> bool:
        """Whether it has been released, aborted or lost."""
        return self._connection.is_over

    def context_for(
        self, abstract_syntax: str, transfer_syntax: str = "", *, as_scp: bool = False
    ) -> PresentationContext:
        """The first accepted context of this SOP class (and syntax) on which we are SCU, or SCP.

        Raises NotAccepted.
        """
        for context in self.contexts.values():
            if (
                context.abstract_syntax == abstract_syntax
                and (not transfer_syntax or context.transfer_syntax == transfer_syntax)
                and (context.as_scp if as_scp else context.as_scu)
            ):
                return context
        wanted = f"{abstract_syntax} in {transfer_syntax}" if transfer_syntax else abstract_syntax
        raise NotAccepted(f"{self.called_ae_title} accepted no context for {wanted}")

    def next_message_id(self) -> int:
        """A fresh Message ID, 1 to 65535."""
        self._last_message_id = self._last_message_id % MAX_MESSAGE_ID + 1
        return self._last_message_id

    def receive(self) -> Message | None:
        """The next message that is no C-CANCEL-RQ; None: the association was released, or drained.

        What was not read of the last message is discarded; C-CANCEL-RQs are remembered for
        `cancelled`.
        """
        message = self._inbox.next_message()
        if message is None:
            self._reply_release()
        elif message.command.message_id is not None:
            self._inbox.cancelled.discard(message.command.message_id)
        return message

    def send(self, context_id: int, command: Command, data: Data = None) -> None:
        """Send a message; `data` (None: no dataset) goes out in fragments the peer can take, never
        copied whole.

        After an error of `data` itself the association is aborted, for half a message can't be
        taken back.
        """
        if context_id not in self.contexts:
            raise NotAccepted(f"presentation context {context_id} was not accepted")
        encoded = encode_command(command, has_data=data is not None)
        pdus = message_pdus(context_id, encoded, data, self.peer_max_pdu_length)
        try:
            self._connection.send_data(pdus)
        except BaseException:
            self._connection.abort(Abort())
            raise

    def cancelled(self, message_id: int) -> bool:
        """Whether the peer has cancelled this operation, or asked for a release; looks without
        waiting.

        Raises AssociationEnded's children when the association has ended meanwhile.
        """
        self._inbox.look()
        return self._inbox.is_release_pending or message_id in self._inbox.cancelled

    def wait_response(self, message_id: int) -> Message:
        """The next response to our request.

        C-CANCEL-RQs seen meanwhile are remembered, responses to anything else discarded, requests
        (a late N-EVENT-REPORT) answered with 0x0211, unrecognized operation: the peer may send them
        again elsewhere.
        """
        while True:
            message = self._inbox.next_message()
            if message is None:
                raise AssociationEnded("the peer released the association instead of answering")
            command = message.command
            if command.is_response and command.message_id_being_responded_to == message_id:
                return message
            self.refuse(message)

    def refuse(self, message: Message, status: int = UNRECOGNIZED_OPERATION) -> None:
        """Answer a request with `status` and discard its dataset; nothing for a response."""
        command = message.command
        for _ in message.fragments():
            pass
        if command.is_response:
            return
        answer = Command(
            command_field=command.command_field | RESPONSE,
            message_id_being_responded_to=command.message_id,
            affected_sop_class_uid=command.sop_class_uid,
            affected_sop_instance_uid=command.sop_instance_uid,
            event_type_id=command.event_type_id,
            status=status,
        )
        self.send(message.context.id, answer)

    def release(self) -> None:
        """Ask for an orderly release, wait for the answer and close.

        However the peer takes it, the association is over then: no error is raised for a peer that
        just closes or aborts. Does nothing but close when it is over already.
        """
        with contextlib.suppress(AssociationEnded):
            if self._inbox.is_release_pending:
                self._reply_release()
            elif not self.is_over:
                self._connection.machine.release()
                self._connection.flush()
                self._await_release_reply()
        self.close()

    def abort(self, source: int = 0, reason: int = 0) -> None:
        """Send an A-ABORT and close. Nothing but close when it is over already."""
        self._connection.abort(Abort(source, reason))
        self._connection.finish()

    def close(self) -> None:
        """End the association (A-ABORT when it is still open), wait (ARTIM) for the peer and close.
        Idempotent.
        """
        self.abort()

    def drain(self, grace: float = 0.0) -> None:
        """From any thread: serve on while messages keep coming, but end at the first `grace`
        seconds of silence.

        `receive` then sends an A-ABORT (service-user) and returns None. An abort and no
        A-RELEASE-RQ: an acceptor may ask for a release, but many requestors don't expect it, and a
        release says that all went well while the peer may just be sending its next request; after
        an abort it knows what was not answered.
        """
        self._inbox.drain_grace = grace
        self._connection.wake()

    def interrupt(self) -> None:
        """From any thread: cut the connection now; the owner sees ConnectionLost."""
        self._connection.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _reply_release(self) -> None:
        if self._inbox.is_release_pending and not self.is_over:
            self._connection.machine.reply_release()
            self._connection.flush()

    def _await_release_reply(self) -> None:
        """Until the A-RELEASE-RP is there; both may ask at once (PS3.8 7.2.2.7); data on its way is
        dropped.
        """
        artim = Deadline(self._timeouts.artim)
        while not self.is_over:
            self._connection.event(artim)
            if self._connection.machine.state in _LOCAL_COLLISION:
                self._connection.machine.reply_release()
                self._connection.flush()


def _connect(address: tuple[str, int], seconds: float) -> socket.socket:
    try:
        return socket.create_connection(address, timeout=seconds)
    except OSError as exc:
        raise ConnectionLost(f"cannot connect to {address[0]} port {address[1]}: {exc}") from exc


def _peer_address(sock: socket.socket) -> str:
    try:
        name = sock.getpeername()
    except OSError as exc:
        raise ConnectionLost(f"the peer has gone: {exc}") from exc
    return str(name[0]) if isinstance(name, tuple) else ""


@contextlib.contextmanager
def _finished_on_error(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.abort(Abort())
        connection.finish()
        raise
