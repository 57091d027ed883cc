"""The client side of the services: C-ECHO, C-STORE, C-FIND, C-GET and C-MOVE (PS3.7 9.1)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from vna.dimse.association import Association
from vna.dimse.command import Command, CommandField
from vna.dimse.errors import AssociationEnded
from vna.dimse.fragments import Data
from vna.dimse.message import Message
from vna.dimse.negotiation import PresentationContext

VERIFICATION_SOP_CLASS = "1.2.840.10008.1.1"
MEDIUM_PRIORITY = 0
PENDING = frozenset({0xFF00, 0xFF01})
MAX_IDENTIFIER_LENGTH = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Instance:
    """What a C-STORE carries: the UIDs of the command, and who started the C-MOVE behind it, if
    any.
    """

    sop_class_uid: str
    sop_instance_uid: str
    move_originator_ae_title: str = ""
    move_originator_message_id: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with its dataset, encoded in `transfer_syntax`; b"" when it has none."""

    command: Command
    data: bytes
    transfer_syntax: str

    @property
    def is_pending(self) -> bool:
        return self.command.status in PENDING


def echo(association: Association) -> Command:
    """C-ECHO (9.1.5). Raises NotAccepted, AssociationEnded."""
    context = association.context_for(VERIFICATION_SOP_CLASS)
    command = Command(
        CommandField.C_ECHO_RQ,
        message_id=association.next_message_id(),
        affected_sop_class_uid=VERIFICATION_SOP_CLASS,
    )
    return request(association, context.id, command)


def store(
    association: Association,
    context: PresentationContext,
    instance: Instance,
    data: Data,
) -> Command:
    """C-STORE (9.1.1): `data` is the dataset in the context's transfer syntax, without preamble and
    meta.

    Returns the response; its status is for the caller to judge. Raises AssociationEnded.
    """
    command = _store_request(association, instance)
    return request(association, context.id, command, data)


def request(
    association: Association, context_id: int, command: Command, data: Data = None
) -> Command:
    """The one response to a request (C-STORE, N-ACTION, N-EVENT-REPORT …); from any thread.

    Its dataset, if it has one, is discarded. Raises AssociationEnded.
    """
    answers: list[Command | None] = []
    association.invoke(context_id, command, data, answers.append)
    association.await_responses(lambda: bool(answers))
    answer = answers[0]
    if answer is None:
        raise AssociationEnded("the association ended before the response came")
    return answer


class StorePipeline:
    """C-STOREs over one association, as many outstanding at a time as the peer has agreed to.

    One thread uses it. What was negotiated may be 1: each instance is answered then before the next
    is sent.
    """

    def __init__(self, association: Association) -> None:
        self._association = association
        self._width = max(1, association.max_invoked)
        self._outstanding = 0
        self._is_lost = False
        self._lock = threading.Lock()

    @property
    def outstanding(self) -> int:
        """How many instances have been sent and not been answered."""
        return self._outstanding

    def store(
        self,
        context: PresentationContext,
        instance: Instance,
        data: Data,
        on_status: Callable[[Command | None], None],
    ) -> None:
        """Send an instance as soon as there is room; `data` as in `store` above.

        `on_status` is called once: with the response, or with None when the association ended
        without one; from `store`, `finish`, or the thread that receives, for this or an earlier
        instance at any time. It is not called for an instance that could not be sent. Raises
        AssociationEnded, and what `data` raises (the association is aborted then).
        """
        association = self._association
        association.await_responses(lambda: self._outstanding < self._width)
        command = _store_request(association, instance)
        with self._lock:
            self._outstanding += 1
        try:
            association.invoke(context.id, command, data, partial(self._answered, on_status))
        except BaseException:
            with self._lock:
                self._outstanding -= 1
            raise
        if self._width > 1:  # else there is nothing to be seen yet
            with contextlib.suppress(
                AssociationEnded
            ):  # `on_status` has told; the next call raises
                association.take_responses()

    def finish(self) -> None:
        """Until every instance that was sent has been answered. Raises AssociationEnded."""
        self._association.await_responses(lambda: not self._outstanding)
        if self._is_lost:
            raise AssociationEnded("the association ended before every instance was answered")

    def _answered(
        self, on_status: Callable[[Command | None], None], answer: Command | None
    ) -> None:
        with self._lock:
            self._outstanding -= 1
            self._is_lost |= answer is None
        on_status(answer)


def _store_request(association: Association, instance: Instance) -> Command:
    return Command(
        CommandField.C_STORE_RQ,
        message_id=association.next_message_id(),
        priority=MEDIUM_PRIORITY,
        affected_sop_class_uid=instance.sop_class_uid,
        affected_sop_instance_uid=instance.sop_instance_uid,
        move_originator_application_entity_title=instance.move_originator_ae_title,
        move_originator_message_id=instance.move_originator_message_id,
    )


def find(association: Association, sop_class_uid: str, identifier: bytes) -> Iterator[Answer]:
    """C-FIND (9.1.2): each response, the final one last. `identifier` in the context's transfer
    syntax.

    Closing the iterator early cancels the operation and waits for its end.
    Raises NotAccepted, AssociationEnded, DataTooLarge.
    """
    context = association.context_for(sop_class_uid)
    command = _query(association, CommandField.C_FIND_RQ, sop_class_uid)
    association.send(context.id, command, identifier)
    return _Operation(association, context, command).answers()


def move(
    association: Association,
    sop_class_uid: str,
    identifier: bytes,
    destination: str,
    message_id: int | None = None,
) -> Iterator[Answer]:
    """C-MOVE (9.1.4) to the AE title `destination`: each response, the last is final. As `find`.

    `message_id`: one by which the receiver tells apart what comes; None: the association's next.
    """
    context = association.context_for(sop_class_uid)
    command = _query(association, CommandField.C_MOVE_RQ, sop_class_uid, destination, message_id)
    association.send(context.id, command, identifier)
    return _Operation(association, context, command).answers()


def get(
    association: Association,
    sop_class_uid: str,
    identifier: bytes,
    on_store: Callable[[Message], int],
    message_id: int | None = None,
) -> Iterator[Answer]:
    """C-GET (9.1.3): each response, the final one last; C-STORE sub-operations go to `on_store`.

    `on_store` reads the message's dataset and returns the status of the C-STORE response. Storage
    classes need a context with the SCP role (RoleSelection). Otherwise as `find`; `message_id`:
    one by which it can be cancelled.
    """
    context = association.context_for(sop_class_uid)
    command = _query(association, CommandField.C_GET_RQ, sop_class_uid, message_id=message_id)
    association.send(context.id, command, identifier)
    return _Operation(association, context, command, on_store).answers()


def cancel(association: Association, context_id: int, message_id: int) -> None:
    """C-CANCEL (9.3.2.3) of an operation; its final response still comes."""
    command = Command(CommandField.C_CANCEL_RQ, message_id_being_responded_to=message_id)
    association.send(context_id, command)


def _query(
    association: Association,
    field: CommandField,
    sop_class_uid: str,
    destination: str = "",
    message_id: int | None = None,
) -> Command:
    return Command(
        field,
        message_id=association.next_message_id() if message_id is None else message_id,
        priority=MEDIUM_PRIORITY,
        affected_sop_class_uid=sop_class_uid,
        move_destination=destination,
    )


@dataclass(frozen=True, slots=True)
class _Operation:
    """A C-FIND, C-MOVE or C-GET that is under way."""

    association: Association
    context: PresentationContext
    request: Command
    on_store: Callable[[Message], int] | None = None

    def answers(self) -> Iterator[Answer]:
        is_pending = True
        try:
            while is_pending:
                answer = self._next_answer()
                is_pending = answer.is_pending
                yield answer
        except GeneratorExit:
            if is_pending and not self.association.is_over:
                self._cancel()
            raise

    def _cancel(self) -> None:
        cancel(self.association, self.context.id, self.request.message_id or 0)
        while self._next_answer().is_pending:
            pass

    def _next_answer(self) -> Answer:
        while True:
            message = self._next_message()
            command = message.command
            is_ours = command.message_id_being_responded_to == self.request.message_id
            if command.is_response and is_ours:
                data = message.read_data(MAX_IDENTIFIER_LENGTH)
                return Answer(command, data, message.context.transfer_syntax)
            if command.command_field == CommandField.C_STORE_RQ and self.on_store is not None:
                self._answer_store(message, self.on_store(message))
            else:
                self.association.refuse(message)

    def _next_message(self) -> Message:
        """The next response; while sub-operations are expected, the next message of any kind."""
        if self.on_store is None:
            return self.association.wait_response(self.request.message_id or 0)
        message = self.association.receive()
        if message is None:
            raise AssociationEnded("the peer released the association instead of answering")
        return message

    def _answer_store(self, message: Message, status: int) -> None:
        command = message.command
        answer = Command(
            CommandField.C_STORE_RSP,
            message_id_being_responded_to=command.message_id,
            affected_sop_class_uid=command.affected_sop_class_uid,
            affected_sop_instance_uid=command.affected_sop_instance_uid,
            status=status,
        )
        for _ in message.fragments():
            pass
        self.association.send(message.context.id, answer)
