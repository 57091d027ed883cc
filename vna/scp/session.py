"""The messages of one association, each answered by its service (PS3.7 8)."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from vna import metrics
from vna.dimse.association import Association
from vna.dimse.command import CommandField
from vna.dimse.errors import AssociationEnded
from vna.dimse.message import Message
from vna.errors import VnaError
from vna.scp import query, retrieve, storage, verification
from vna.scp.exchange import Door, Exchange, origin_of
from vna.scp.policy import Service, service_of
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

Answer = Callable[[Exchange], Status]


@dataclass(frozen=True, slots=True)
class Operation:
    """What is asked of a service, and who answers."""

    request: CommandField
    answer: Answer


OPERATIONS: dict[Service, Operation] = {
    Service.VERIFICATION: Operation(CommandField.C_ECHO_RQ, verification.answer),
    Service.STORAGE: Operation(CommandField.C_STORE_RQ, storage.answer),
    Service.FIND: Operation(CommandField.C_FIND_RQ, query.answer),
    Service.MOVE: Operation(CommandField.C_MOVE_RQ, retrieve.answer_move),
    Service.GET: Operation(CommandField.C_GET_RQ, retrieve.answer_get),
}


def serve(association: Association, door: Door, counts: Counter[str]) -> None:
    """Answer until the association is released, adding to `counts` the requests of each service.

    Raises AssociationEnded.
    """
    session = _Session(association, door, counts)
    while (message := association.receive()) is not None:
        session.take(message)


class _Session:
    def __init__(self, association: Association, door: Door, counts: Counter[str]) -> None:
        self._counts = counts
        self._association = association
        self._door = door
        self._origin = origin_of(association)

    def take(self, message: Message) -> None:
        """Answer one message; a response to nothing ends the association."""
        if message.command.is_response:
            log.warning(
                "response without a request; association aborted",
                extra={"association": self._association.id},
            )
            self._association.abort()
            raise AssociationEnded("the peer sent a response to no request")
        exchange = Exchange(self._door, self._association, message, self._origin)
        service = service_of(message.context.abstract_syntax)
        operation = OPERATIONS.get(service) if service is not None else None
        if service is None or operation is None or not message.context.as_scp:
            self._refuse(
                exchange, Status(SOP_CLASS_NOT_SUPPORTED, "this side is no SCP of it here")
            )
        elif message.command.command_field != operation.request:
            comment = f"{service} takes {operation.request.name.replace('_', '-')} only"
            self._refuse(exchange, Status(UNRECOGNIZED_OPERATION, comment))
        else:
            self._answer(exchange, service, operation.answer)

    def _answer(self, exchange: Exchange, service: Service, answer: Answer) -> None:
        started = time.perf_counter()
        try:
            status = answer(exchange)
        except AssociationEnded:
            raise
        except VnaError as exc:
            status = failure(service, exc)
            self._fail(exchange, service, status, exc)
        except Exception as exc:
            log.exception("unexpected error", extra={"association": self._association.id})
            status = Status(PROCESSING_FAILURE, "internal error, see the archive's log")
            self._fail(exchange, service, status, exc)
        metrics.DIMSE_SECONDS.labels(service.value).observe(time.perf_counter() - started)
        self._counts[service.value] += 1
        if is_failure(status.code):
            self._counts[f"{service.value}_failed"] += 1

    def _fail(self, exchange: Exchange, service: Service, status: Status, exc: Exception) -> None:
        log.warning(
            "request failed: %s; %s",
            exc,
            remedy(exc),
            extra={
                "association": self._association.id,
                "peer": self._association.calling_ae_title,
                "service": service.value,
                "status": f"0x{status.code:04X}",
                "sop_instance_uid": exchange.command.affected_sop_instance_uid,
            },
        )
        self._refuse(exchange, status)

    def _refuse(self, exchange: Exchange, status: Status) -> None:
        storage.discard(exchange)
        exchange.respond(status)
