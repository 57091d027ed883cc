"""Storage Commitment Push Model: requests of peers, and reports on ours (PS3.4 annex J)."""

from __future__ import annotations

import logging

from vna.dicom.commitment import read_request
from vna.dimse.commitment_scu import (
    PUSH_MODEL_INSTANCE,
    REQUEST_COMMITMENT,
    in_turn,
    judge_report,
)
from vna.errors import VnaError
from vna.model.commitment import CommitmentReport, CommitmentRequest
from vna.scp.commitment_reports import SameAssociation
from vna.scp.exchange import Exchange
from vna.scp.policy import STORAGE_COMMITMENT
from vna.scp.status import (
    NO_SUCH_ACTION,
    NO_SUCH_OBJECT_INSTANCE,
    NO_SUCH_SOP_CLASS,
    SUCCESS,
    Status,
)
from vna.services.commitment import Claim

log = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 4 * 2**20
"""Some 25 000 references; a peer that has more asks several times."""


def answer(exchange: Exchange) -> Status:
    """N-ACTION (J.3.2): recorded durably, answered, then checked and reported without the peer waiting.

    Raises MissingArgument, InvalidArgument, DataTooLarge, Unavailable.
    """
    refusal = _refusal(exchange)
    if refusal is not None:
        for _ in exchange.message.fragments():
            pass
        exchange.respond(refusal)
        return refusal
    data = exchange.message.read_data(MAX_REQUEST_BYTES)
    with in_turn(len(data)):
        claim = _record(exchange, data)
    status = Status(SUCCESS)
    try:
        exchange.respond(status)
    except VnaError:
        _leave_to_job(exchange, claim)
        raise
    if claim is not None:
        context = exchange.message.context
        SameAssociation(exchange.door, exchange.association, context).start(claim)
    return status


def _record(exchange: Exchange, data: bytes) -> Claim | None:
    """Keep the request durably. Raises MissingArgument, InvalidArgument, Unavailable."""
    transaction_uid, references = read_request(data, exchange.transfer_syntax_uid)
    request = CommitmentRequest(transaction_uid, references, exchange.origin)
    claim = exchange.door.commitments.request(request)
    log.info(
        "storage commitment requested",
        extra={
            "association": exchange.association.id,
            "peer": exchange.origin.peer,
            "transaction_uid": transaction_uid,
            "references": len(references),
        },
    )
    return claim


def answer_event(exchange: Exchange) -> Status:
    """N-EVENT-REPORT (J.3.3) on what we asked a peer for: kept, then answered. Raises Unavailable."""

    def keep(report: CommitmentReport) -> bool:
        return exchange.door.asked.reported(report, exchange.origin.peer)

    status = Status(judge_report(exchange.message, keep))
    for _ in exchange.message.fragments():
        pass
    exchange.respond(status)
    return status


def _refusal(exchange: Exchange) -> Status | None:
    command = exchange.command
    if command.sop_class_uid not in {"", STORAGE_COMMITMENT}:
        return Status(NO_SUCH_SOP_CLASS, "only the Storage Commitment Push Model is served here")
    if command.sop_instance_uid != PUSH_MODEL_INSTANCE:
        return Status(NO_SUCH_OBJECT_INSTANCE, f"the only instance is {PUSH_MODEL_INSTANCE}")
    if command.action_type_id != REQUEST_COMMITMENT:
        return Status(NO_SUCH_ACTION, "the only action type is 1, request storage commitment")
    return None


def _leave_to_job(exchange: Exchange, claim: Claim | None) -> None:
    if claim is not None:
        exchange.door.commitments.hand_over(claim)
