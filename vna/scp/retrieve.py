"""C-MOVE and C-GET: the request, its sub-operations, the final response (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

import logging

from vna.dicom.encode import encode_dataset
from vna.errors import VnaError
from vna.model.instances import StoredInstance
from vna.scp.exchange import Exchange
from vna.scp.identifier import MAX_IDENTIFIER_BYTES, read_identifier, to_selection
from vna.scp.mover import Mover
from vna.scp.policy import IMPLICIT_LITTLE, model_of
from vna.scp.sender import Retrieval, Sender
from vna.scp.status import (
    CANCEL,
    MOVE_DESTINATION_UNKNOWN,
    SUBOPERATIONS_WARNING,
    SUCCESS,
    UNABLE_TO_PERFORM_SUBOPERATIONS,
    Status,
)
from vna.scp.suboperations import PENDING_INTERVAL, Heartbeat, Tally

log = logging.getLogger(__name__)

_MAX_EXPLICIT_VALUE = 0xFFFE  # UI has a 16-bit length in explicit VR, PS3.5 7.1.2


def answer_get(exchange: Exchange) -> Status:
    """Send over the same association (PS3.4 C.4.3).

    Raises InvalidQuery, Unavailable before anything is sent.
    """
    instances = _select(exchange)
    retrieval = Retrieval(exchange, Tally(len(instances)))
    return _finish(retrieval, is_cancelled=_send_back(retrieval, instances))


def answer_move(exchange: Exchange) -> Status:
    """Send to a configured destination (PS3.4 C.4.2).

    Raises InvalidQuery, Unavailable before anything is sent.
    """
    instances = _select(exchange)
    name = exchange.command.move_destination.strip()
    destination = exchange.door.config.destinations.get(name)
    if destination is None:
        status = Status(MOVE_DESTINATION_UNKNOWN, f"move destination {name} is not configured")
        exchange.respond(status)
        return status
    retrieval = Retrieval(exchange, Tally(len(instances)))
    is_cancelled = Mover(retrieval, name, destination).send(instances)
    return _finish(retrieval, is_cancelled=is_cancelled)


def _select(exchange: Exchange) -> list[StoredInstance]:
    data = exchange.message.read_data(MAX_IDENTIFIER_BYTES)
    model = model_of(exchange.message.context.abstract_syntax)
    identifier = read_identifier(data, exchange.transfer_syntax_uid, model)
    return exchange.door.retrieve.select(to_selection(identifier))


def _send_back(retrieval: Retrieval, instances: list[StoredInstance]) -> bool:
    """Whether the peer cancelled. Pending responses go out between instances only (PS3.7 6.3)."""
    exchange = retrieval.exchange
    heartbeat = Heartbeat(retrieval.pending, PENDING_INTERVAL)
    sender = Sender(retrieval, exchange.association, lambda: None)
    for instance in instances:
        if exchange.cancelled():
            return True
        heartbeat()
        sender.deliver(instance)
    return False


def _finish(retrieval: Retrieval, *, is_cancelled: bool) -> Status:
    """The final response, its counters and Failed SOP Instance UID List (PS3.4 C.4.2.1.5)."""
    exchange, tally = retrieval.exchange, retrieval.tally
    _record(retrieval)
    status = Status(CANCEL, "cancelled by the peer") if is_cancelled else final_status(tally)
    data = failed_list(tally.failed_uids, exchange.transfer_syntax_uid)
    counters = tally.counters(with_remaining=is_cancelled)
    exchange.respond(status, data, counters)
    return status


def final_status(tally: Tally) -> Status:
    """The status of a retrieval that ran to its end (PS3.4 tables C.4-2 and C.4-3)."""
    if not tally.failed and not tally.warning:
        return Status(SUCCESS)
    comment = f"{tally.failed} of {tally.failed + len(tally.delivered)} could not be sent"
    if not tally.delivered:
        return Status(UNABLE_TO_PERFORM_SUBOPERATIONS, comment)
    return Status(SUBOPERATIONS_WARNING, comment)


def failed_list(uids: list[str], transfer_syntax_uid: str) -> bytes | None:
    """The Failed SOP Instance UID List (0008,0058) as an identifier, None when there is none.

    As many as its length field allows: about 1 000 in explicit VR.
    """
    if not uids:
        return None
    kept = len(uids)
    if transfer_syntax_uid != IMPLICIT_LITTLE:
        while len("\\".join(uids[:kept])) > _MAX_EXPLICIT_VALUE:
            kept = kept * 9 // 10
    element: dict[str, object] = {"vr": "UI", "Value": uids[:kept]}
    return encode_dataset({"00080058": element}, transfer_syntax_uid, "")


def _record(retrieval: Retrieval) -> None:
    """What was delivered can't be taken back: an audit that fails is reported, not answered."""
    exchange, delivered = retrieval.exchange, retrieval.tally.delivered
    if not delivered:
        return
    try:
        exchange.door.retrieve.record_retrieved(delivered, exchange.origin)
    except VnaError as exc:
        log.warning(
            "retrieval not audited: %s", exc, extra={"association": exchange.association.id}
        )
