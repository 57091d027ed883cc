"""C-MOVE and C-GET: the request, its sub-operations, the final response (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from vna.dicom.encode import encode_dataset
from vna.errors import VnaError
from vna.scp.exchange import Exchange
from vna.scp.feed import Feed
from vna.scp.getter import Getter
from vna.scp.mover import Mover
from vna.scp.policy import IMPLICIT_LITTLE
from vna.scp.retrieve_request import read_request
from vna.scp.sender import Retrieval
from vna.scp.status import (
    CANCEL,
    MOVE_DESTINATION_UNKNOWN,
    SUBOPERATIONS_WARNING,
    SUCCESS,
    UNABLE_TO_PERFORM_SUBOPERATIONS,
    Status,
)
from vna.scp.suboperations import Tally

log = logging.getLogger(__name__)

_MAX_EXPLICIT_VALUE = 0xFFFE  # UI has a 16-bit length in explicit VR, PS3.5 7.1.2


def answer_get(exchange: Exchange) -> Status:
    """Send over the same association (PS3.4 C.4.3, Y.4.2, Z.4.1).

    Raises InvalidQuery, Unavailable before anything is sent.
    """
    request = read_request(exchange)
    retrieval = Retrieval(exchange, Tally(len(request.chosen)), request.rendition)
    feed = Feed(request.chosen.ids, exchange.door.retrieve.load, retrieval.tally.lose)
    return _perform(retrieval, Getter(retrieval, feed).send)


def answer_move(exchange: Exchange) -> Status:
    """Send to a configured destination (PS3.4 C.4.2, Y.4.1).

    Raises InvalidQuery, Unavailable before anything is sent.
    """
    request = read_request(exchange)
    name = exchange.command.move_destination.strip()
    destination = exchange.door.config.destinations.get(name)
    if destination is None:
        status = Status(MOVE_DESTINATION_UNKNOWN, f"move destination {name} is not configured")
        exchange.respond(status)
        return status
    retrieval = Retrieval(exchange, Tally(len(request.chosen)), request.rendition)
    mover = Mover(retrieval, name, destination.associations)
    return _perform(retrieval, lambda: mover.send(request.chosen))


def _perform(retrieval: Retrieval, send: Callable[[], bool]) -> Status:
    """Send, respond, and leave a trace of what was delivered, also when the peer went away."""
    is_cancelled = True
    try:
        is_cancelled = send()
        if not is_cancelled:
            _record(retrieval)
        return _respond(retrieval, is_cancelled=is_cancelled)
    finally:
        if is_cancelled:
            _record(retrieval)


def _respond(retrieval: Retrieval, *, is_cancelled: bool) -> Status:
    """The final response, its counters and Failed SOP Instance UID List (PS3.4 C.4.2.1.5)."""
    exchange, tally = retrieval.exchange, retrieval.tally
    status = Status(CANCEL, "cancelled by the peer") if is_cancelled else final_status(tally)
    data = failed_list(tally.failed_uids, exchange.transfer_syntax_uid)
    counters = tally.counters(with_remaining=is_cancelled)
    exchange.respond(status, data, counters)
    return status


def final_status(tally: Tally) -> Status:
    """The status of a retrieval that ran to its end (PS3.4 tables C.4-2 and C.4-3)."""
    if not tally.failed and not tally.warning:
        return Status(SUCCESS)
    sent = tally.completed + tally.warning
    comment = f"{tally.failed} of {tally.failed + sent} could not be sent"
    if not sent:
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
        exchange.door.retrieve.record_delivered(delivered, exchange.origin)
    except VnaError as exc:
        log.warning(
            "retrieval not audited: %s", exc, extra={"association": exchange.association.id}
        )
