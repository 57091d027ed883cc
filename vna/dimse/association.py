"""An association over a socket: open it, receive and send messages, end it (PS3.8 7, PS3.7 6)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Self
from uuid import uuid4

from vna.dimse import opening
from vna.dimse.command import Command, encode_command
from vna.dimse.errors import AssociationEnded, NotAccepted
from vna.dimse.fragments import Buffer, Data, alike_messages, message_pdus
from vna.dimse.handshake import agreed_extended, agreed_window
from vna.dimse.inbox import Inbox, never
from vna.dimse.message import Message
from vna.dimse.negotiation import PresentationContext
from vna.dimse.opening import Link, Opened
from vna.dimse.outstanding import OnResponse, Outstanding
from vna.dimse.pdu import Abort
from vna.dimse.settings import AcceptorSettings, RequestorSettings, Timeouts
from vna.dimse.states import State
from vna.dimse.transport import Clock, Deadline, Unit

UNRECOGNIZED_OPERATION = 0x0211
_LOCAL_COLLISION = (State.COLLISION_REQUESTOR_LOCAL, State.COLLISION_ACCEPTOR_LOCAL)


class Association:
    """One association. One thread receives and ends it; the others may `send`, `invoke`, wait for
    responses, `drain` and `interrupt`.

    `id` is a short hex text for logs; `contexts` the accepted presentation contexts by id,
    `refused_contexts` the result of each refused one; `peer_max_pdu_length` 0 is "no limit".
    `extended`: what was agreed for a SOP class by extended negotiation (PS3.7 D.3.3.5), the
    acceptor's answer; `common_extended`: what the requestor said of it (D.3.3.6). `max_invoked` and
    `max_performed`: how many operations we may have outstanding, and how many the peer may
    (D.3.3.3). `user`: for the acceptor's owner to set, once it has verified the user identity.
    Every error it raises is a child of DimseError; after an AssociationEnded only `close` is left
    to call. As a context manager it closes at the end.
    """

    def __init__(self, opened: Opened, timeouts: Timeouts) -> None:
        """For `accept` and `request` below."""
        request, answer, connection = opened.request, opened.answer, opened.connection
        self.id = uuid4().hex[:12]
        self.calling_ae_title = request.calling_ae_title
        self.called_ae_title = request.called_ae_title
        self.peer_address = opened.peer_address
        self.is_requestor = connection.machine.is_requestor
        self.contexts = opened.contexts.accepted
        self.refused_contexts = opened.contexts.refused
        peer = answer.user if self.is_requestor else request.user
        self.peer_max_pdu_length = peer.max_pdu_length
        self.peer_implementation_class_uid = peer.implementation_class_uid
        self.peer_implementation_version_name = peer.implementation_version_name
        self.user_identity = request.user.user_identity
        self.user = ""
        self.identity_response = answer.user.identity_response
        self.extended: Mapping[str, bytes] = agreed_extended(request.user, answer.user)
        self.common_extended = {item.sop_class_uid: item for item in request.user.common_extended}
        window = agreed_window(request.user, answer.user)
        self.max_invoked, self.max_performed = window if self.is_requestor else window[::-1]
        self._connection = connection
        self._timeouts = timeouts
        self._outstanding = Outstanding()
        self._inbox = Inbox(connection, self.contexts, timeouts, self._outstanding.answered)
        self._receiver: int | None = None
        self._settle: Callable[[], None] | None = None

    @classmethod
    def accept(
        cls, link: Link, settings: AcceptorSettings, clock: Clock | None = None
    ) -> Association:
        """Negotiate on an accepted connection, which belongs to the association from now on.

        `clock`: how long the request may still take; ARTIM when it has not begun to run yet.
        Raises AssociationRejected (an A-ASSOCIATE-RJ was sent), AssociationAborted, ProtocolError,
        PeerTimeout, ConnectionLost; the connection is closed then.
        """
        return cls(opening.accept(link, settings, clock), settings.timeouts)

    @classmethod
    def request(cls, address: tuple[str, int], settings: RequestorSettings) -> Association:
        """Connect and negotiate. Raises as `accept`; AssociationRejected: the peer sent an
        A-ASSOCIATE-RJ.

        ValueError for settings without or with more than 128 contexts.
        """
        return cls(opening.request(address, settings), settings.timeouts)

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
        return self._outstanding.next_message_id()

    @property
    def outstanding(self) -> int:
        """How many requests that were sent by `invoke` wait for their response."""
        return len(self._outstanding)

    def receive_here_only(self) -> None:
        """From now on the calling thread alone receives; others that wait for a response leave it to
        that.
        """
        self._receiver = threading.get_ident()

    def overlap(self, is_busy: Callable[[], bool], settle: Callable[[], None]) -> None:
        """As `receive_here_only`, for operations of the peer that run in other threads.

        `is_busy` tells whether any is under way: then the peer may be silent, and a drain waits;
        call `became_idle` when it changes. `settle` waits for all of them, before a release is
        answered.
        """
        self.receive_here_only()
        self._inbox.is_busy = is_busy
        self._settle = settle

    def receive(self) -> Message | None:
        """The next message that is no C-CANCEL-RQ; None: the association was released, or drained.

        What was not read of the last message is discarded; C-CANCEL-RQs are remembered for
        `cancelled`, responses handed to who invoked.
        """
        message = self._next_message()
        if message is None:
            if self._settle is not None:
                self._settle()
            self._reply_release()
        elif message.command.message_id is not None and not message.command.is_response:
            self._inbox.cancelled.discard(message.command.message_id)
        return message

    def send(self, context_id: int, command: Command, data: Data = None) -> None:
        """Send a message; `data` (None: no dataset) goes out in fragments the peer can take, never
        copied whole. From any thread: messages follow each other whole.

        After an error of `data` itself the association is aborted, for half a message can't be
        taken back.
        """
        self._check_accepted(context_id)
        encoded = encode_command(command, has_data=data is not None)
        self._send(message_pdus(context_id, encoded, data, self.peer_max_pdu_length))

    def send_alike(
        self,
        context_id: int,
        command: Command,
        datasets: Sequence[Buffer],
        last: Command | None = None,
    ) -> None:
        """Send a message with `command` for each of `datasets` (of even length), then `last` without
        a dataset: as many `send`s, but few system calls.
        """
        self._check_accepted(context_id)
        size = self.peer_max_pdu_length
        pdus: Iterable[Unit] = ()
        if datasets:
            encoded = encode_command(command, has_data=True)
            pdus = alike_messages(context_id, encoded, datasets, size)
        if last is not None:
            encoded = encode_command(last, has_data=False)
            pdus = chain(pdus, message_pdus(context_id, encoded, None, size))
        self._send(pdus)

    def invoke(
        self, context_id: int, command: Command, data: Data, on_response: OnResponse
    ) -> None:
        """Send a request that has exactly one response, and go on; from any thread.

        `on_response` is called once, in the thread that receives, and must neither raise nor wait:
        with the response command (its dataset is discarded), or with None when the association ends
        without one. It is not called when `invoke` raises: as `send`, and ValueError for a message
        id that has a request outstanding.
        """
        message_id = command.message_id or 0
        self._outstanding.add(message_id, on_response)
        try:
            self.send(context_id, command, data)
        except BaseException:
            if self._outstanding.withdraw(message_id):
                raise

    def await_responses(self, is_done: Callable[[], bool]) -> None:
        """Until `is_done`, which responses to what was invoked must bring about; from any thread.

        The thread that receives takes them in meanwhile, as `wait_response` does. Raises
        AssociationEnded.
        """
        if not self._receives_here:
            self._outstanding.wait(is_done)
            return
        while not is_done():
            message = self._next_message(is_done)
            if message is not None:
                self.refuse(message)
            elif not is_done():
                raise AssociationEnded("the peer released the association instead of answering")

    def await_progress(self, is_done: Callable[[], bool], seconds: float) -> bool:
        """As `await_responses`, but only until something has arrived, and `seconds` at most; whether
        `is_done`. Raises AssociationEnded.
        """
        if not self._receives_here:
            return self._outstanding.wait_within(is_done, seconds)
        self._look(receive=False)
        if not is_done() and not self._inbox.has_request:
            self._connection.fill_or_wake(seconds)
            self._look(receive=False)
        if not is_done() and self._inbox.has_request:
            message = self._next_message()
            if message is not None:
                self.refuse(message)
        return is_done()

    def take_responses(self) -> None:
        """Hand on the responses that have arrived, without waiting. Raises AssociationEnded."""
        if self._receives_here:
            self._look()

    def cancelled(self, message_id: int, *, look: bool = True) -> bool:
        """Whether the peer has cancelled this operation, or asked for a release; looks without
        waiting. From any thread.

        Without `look` only what has been noticed already counts. Raises AssociationEnded's children
        when the association has ended meanwhile.
        """
        if look and self._receives_here:
            self._look()
        elif self.is_over:
            raise AssociationEnded("the association is over")
        return self._inbox.is_release_pending or message_id in self._inbox.cancelled

    def wait_response(self, message_id: int) -> Message:
        """The next response to our request, for the thread that receives.

        C-CANCEL-RQs seen meanwhile are remembered, responses to anything else discarded, requests
        (a late N-EVENT-REPORT) answered with 0x0211, unrecognized operation: the peer may send them
        again elsewhere.
        """
        while True:
            message = self._next_message()
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
        self.send(message.context.id, command.response(status))

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
        self._outstanding.close()
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

    def became_idle(self) -> None:
        """From any thread: no operation is under way any more, and `is_busy` says so (`overlap`)."""
        if self._inbox.drain_grace is not None:
            self._connection.wake()

    def interrupt(self) -> None:
        """From any thread: cut the connection now; the owner sees ConnectionLost."""
        self._connection.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def _receives_here(self) -> bool:
        return self._receiver is None or self._receiver == threading.get_ident()

    def _check_accepted(self, context_id: int) -> None:
        if context_id not in self.contexts:
            raise NotAccepted(f"presentation context {context_id} was not accepted")

    def _send(self, pdus: Iterable[Unit]) -> None:
        try:
            self._connection.send_data(pdus)
        except BaseException:
            self._connection.abort(Abort())
            self._connection.wake()  # the thread that receives
            raise

    def _next_message(self, is_enough: Callable[[], bool] = never) -> Message | None:
        """As `Inbox.next_message`; the end of reception is the end of all waiting."""
        try:
            message = self._inbox.next_message(is_enough)
        except BaseException:
            self._outstanding.close()
            raise
        if message is None and not is_enough():
            self._outstanding.close()
        return message

    def _look(self, *, receive: bool = True) -> None:
        try:
            self._inbox.look(receive=receive)
        except BaseException:
            self._outstanding.close()
            raise
        if self._inbox.is_release_pending:
            self._outstanding.close()

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
