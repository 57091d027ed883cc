"""The messages of one association, each answered by its service (PS3.7 8)."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from vna import metrics
from vna.dimse.association import Association
from vna.dimse.command import CommandField
from vna.dimse.errors import AssociationEnded
from vna.dimse.message import Message
from vna.dimse.negotiation import PresentationContext
from vna.errors import Unavailable, VnaError
from vna.scp import commitment, query, retrieve, storage, verification
from vna.scp.crew import Crew
from vna.scp.exchange import Door, Exchange, origin_of
from vna.scp.identifier import MAX_IDENTIFIER_BYTES
from vna.scp.policy import Service, is_announced_storage, service_of
from vna.scp.status import (
    PROCESSING_FAILURE,
    SOP_CLASS_NOT_SUPPORTED,
    UNRECOGNIZED_OPERATION,
    Status,
    failure,
    is_failure,
    remedy,
)

log = logging.getLogger(__name__)

T = TypeVar("T")
Answer = Callable[[Exchange], Status]


@dataclass(frozen=True, slots=True)
class Operation:
    """What is asked of a service, and who answers.

    `takes_long`: it overlaps with what the peer asks next, where that was negotiated; its request
    has an identifier (MAX_IDENTIFIER_BYTES).
    """

    request: CommandField
    answer: Answer
    takes_long: bool = False


OPERATIONS: dict[Service, Operation] = {
    Service.VERIFICATION: Operation(CommandField.C_ECHO_RQ, verification.answer),
    Service.STORAGE: Operation(CommandField.C_STORE_RQ, storage.answer),
    Service.FIND: Operation(CommandField.C_FIND_RQ, query.answer, takes_long=True),
    Service.MOVE: Operation(CommandField.C_MOVE_RQ, retrieve.answer_move, takes_long=True),
    Service.GET: Operation(CommandField.C_GET_RQ, retrieve.answer_get, takes_long=True),
    Service.COMMITMENT: Operation(CommandField.N_ACTION_RQ, commitment.answer),
}
EVENTS: dict[Service, Operation] = {
    Service.COMMITMENT: Operation(CommandField.N_EVENT_REPORT_RQ, commitment.answer_event),
}
"""What the SCP of a class may ask of us, its SCU."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A request that is being answered, and since when."""

    exchange: Exchange
    service: Service
    operation: Operation
    started: float = field(default_factory=time.perf_counter)

    def with_dataset(self, data: bytes) -> _Attempt:
        """The same, needing nothing more of what the peer sends: its dataset is `data`."""
        message = self.exchange.message
        pieces = iter((memoryview(data),) if data else ())
        whole = Message(
            message.context, message.command, message.has_data, lambda: next(pieces, None)
        )
        return replace(self, exchange=replace(self.exchange, message=whole))


def service_on(association: Association, context: PresentationContext) -> Service | None:
    """The service behind an accepted context, as `ArchivePolicy.choose` saw it."""
    uid = context.abstract_syntax
    service = service_of(uid)
    if service is None and is_announced_storage(uid, association.common_extended.get(uid)):
        return Service.STORAGE
    return service


def _operation(service: Service | None, message: Message) -> Operation | None:
    """What `message` may ask for on its context. Events are taken in whichever role was negotiated: many SCPs
    report without role selection.
    """
    event = EVENTS.get(service) if service is not None else None
    if event is not None and message.command.command_field == event.request:
        return event
    return OPERATIONS.get(service) if service is not None and message.context.as_scp else None


def serve(association: Association, door: Door, counts: Counter[str]) -> None:
    """Answer until the association is released, adding to `counts` the requests of each service.

    Where the peer has negotiated it, operations overlap (PS3.7 D.3.3.3). All have ended when this
    returns. Raises AssociationEnded.
    """
    session = _Session(association, door, counts)
    try:
        while (message := association.receive()) is not None:
            session.take(message)
    finally:
        session.end()


class _Session:
    def __init__(self, association: Association, door: Door, counts: Counter[str]) -> None:
        self._counts = counts
        self._counting = threading.Lock()
        self._association = association
        self._door = door
        self._origin = origin_of(association)
        self._crew: Crew | None = None
        association.receive_here_only()
        if association.max_performed > 1:
            name = f"dicom-{association.peer_address}-{association.id}"
            crew = Crew(association.max_performed, name, association.became_idle)
            association.overlap(lambda: crew.is_busy, crew.wait)
            self._crew = crew

    def take(self, message: Message) -> None:
        """Answer one message, or see to it; a response to nothing ends the association."""
        if message.command.is_response:
            log.warning(
                "response without a request; association aborted",
                extra={"association": self._association.id},
            )
            self._association.abort()
            raise AssociationEnded("the peer sent a response to no request")
        exchange = Exchange(self._door, self._association, message, self._origin)
        service = service_on(self._association, message.context)
        operation = _operation(service, message)
        if service is None or operation is None:
            self._refuse(
                exchange, Status(SOP_CLASS_NOT_SUPPORTED, "this side is no SCP of it here")
            )
        elif message.command.command_field != operation.request:
            comment = f"{service} takes {operation.request.name.replace('_', '-')} only"
            self._refuse(exchange, Status(UNRECOGNIZED_OPERATION, comment))
        else:
            attempt = _Attempt(exchange, service, operation)
            if self._crew is None:
                self._finish(attempt, partial(operation.answer, exchange))
            else:
                self._overlap(attempt, self._crew)

    def end(self) -> None:
        """Let what is under way come to its end, without the peer if that has gone."""
        if self._crew is None:
            return
        if self._crew.is_busy:
            if not self._association.is_over:  # an error of ours
                self._association.interrupt()
            self._association.close()
        self._crew.close()

    def _overlap(self, attempt: _Attempt, crew: Crew) -> None:
        """Answer at once what is quick; of other requests read all now, and let what it takes to
        answer them run beside the next ones. What refers to instances finds those sent before it.
        """
        if attempt.service is Service.STORAGE:
            self._overlap_store(attempt, crew)
        elif attempt.operation.takes_long:
            self._overlap_long(attempt, crew)
        else:
            if attempt.service is not Service.VERIFICATION:
                crew.wait_for_stores()
            self._finish(attempt, partial(attempt.operation.answer, attempt.exchange))

    def _overlap_store(self, attempt: _Attempt, crew: Crew) -> None:
        received = self._try(attempt, partial(storage.receive, attempt.exchange))
        if isinstance(received, Status):
            self._count(attempt, received)
            return
        aside = attempt.with_dataset(b"")
        rest = partial(storage.keep, aside.exchange, received)
        uid = attempt.exchange.command.affected_sop_instance_uid
        crew.store(uid, partial(self._finish_aside, aside, rest))

    def _overlap_long(self, attempt: _Attempt, crew: Crew) -> None:
        operation, message = attempt.operation, attempt.exchange.message
        data = self._try(attempt, partial(message.read_data, MAX_IDENTIFIER_BYTES))
        if isinstance(data, Status):
            self._count(attempt, data)
            return
        aside = attempt.with_dataset(data)
        rest = partial(operation.answer, aside.exchange)
        if not crew.operate(partial(self._finish_aside, aside, rest)):
            self._finish(aside, _refuse_more)

    def _finish_aside(self, attempt: _Attempt, rest: Callable[[], Status]) -> None:
        """As `_finish`, in a thread of the crew; how an association ends is told where it is read."""
        with contextlib.suppress(AssociationEnded):
            self._finish(attempt, rest)

    def _finish(self, attempt: _Attempt, rest: Callable[[], Status]) -> None:
        self._count(attempt, self._try(attempt, rest))

    def _try(self, attempt: _Attempt, step: Callable[[], T]) -> T | Status:
        """What `step` returns; the status that was sent where it failed."""
        try:
            return step()
        except AssociationEnded:
            raise
        except VnaError as exc:
            status = failure(attempt.service, exc)
            self._fail(attempt, status, exc)
        except Exception as exc:
            log.exception("unexpected error", extra={"association": self._association.id})
            status = Status(PROCESSING_FAILURE, "internal error, see the archive's log")
            self._fail(attempt, status, exc)
        return status

    def _count(self, attempt: _Attempt, status: Status) -> None:
        service = attempt.service.value
        metrics.DIMSE_SECONDS.labels(service).observe(time.perf_counter() - attempt.started)
        with self._counting:
            self._counts[service] += 1
            if is_failure(status.code):
                self._counts[f"{service}_failed"] += 1

    def _fail(self, attempt: _Attempt, status: Status, exc: Exception) -> None:
        log.warning(
            "request failed: %s; %s",
            exc,
            remedy(exc),
            extra={
                "association": self._association.id,
                "peer": self._association.calling_ae_title,
                "service": attempt.service.value,
                "status": f"0x{status.code:04X}",
                "sop_instance_uid": attempt.exchange.command.affected_sop_instance_uid,
            },
        )
        self._refuse(attempt.exchange, status)

    def _refuse(self, exchange: Exchange, status: Status) -> None:
        storage.discard(exchange)
        exchange.respond(status)


def _refuse_more() -> Status:
    raise Unavailable("more operations at once than were negotiated")
