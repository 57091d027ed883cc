"""Storage Commitment Push Model as an SCU: ask a peer for responsibility, and hear its report (PS3.4 J)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from vna.dicom.commitment import (
    FAILURES_EXIST,
    SUCCESSFUL,
    InvalidArgument,
    MissingArgument,
    read_report,
    request_dataset,
)
from vna.dimse.association import Association
from vna.dimse.command import Command, CommandField
from vna.dimse.errors import AssociationEnded, ConnectionLost, DataTooLarge, PeerTimeout
from vna.dimse.message import Message
from vna.model.commitment import CommitmentReport, Reference

STORAGE_COMMITMENT_PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST_COMMITMENT = 1
MAX_REPORT_LENGTH = 16 * 2**20
LARGE = 2**17
"""Bytes. Decoded, requests and reports take twenty times their length in memory: longer ones take turns."""

SUCCESS = 0x0000
_NO_SUCH_OBJECT_INSTANCE = 0x0112
_NO_SUCH_EVENT_TYPE = 0x0113
_NO_SUCH_ARGUMENT = 0x0114
_INVALID_ARGUMENT_VALUE = 0x0115
_UNRECOGNIZED_OPERATION = 0x0211
_RESOURCE_LIMITATION = 0x0213

TURN = threading.RLock()

OnReport = Callable[[CommitmentReport], bool]
"""Keeps a report durably, since its sender will not repeat it; False: the transaction is none of ours."""


def request_commitment(
    association: Association,
    transaction_uid: str,
    references: Sequence[Reference],
    on_report: OnReport,
) -> int:
    """N-ACTION (PS3.4 J.3.2): the status of the answer; 0 means that a report will come, some time, somewhere.

    A report that comes before the answer is taken. One thread uses the association. Raises NotAccepted,
    AssociationEnded.
    """
    context = association.context_for(STORAGE_COMMITMENT_PUSH_MODEL)
    message_id = association.next_message_id()
    command = Command(
        CommandField.N_ACTION_RQ,
        message_id=message_id,
        requested_sop_class_uid=STORAGE_COMMITMENT_PUSH_MODEL,
        requested_sop_instance_uid=PUSH_MODEL_INSTANCE,
        action_type_id=REQUEST_COMMITMENT,
    )
    data = request_dataset(transaction_uid, references, context.transfer_syntax)
    association.send(context.id, command, data)
    while (message := association.receive()) is not None:
        answer = message.command
        if answer.is_response and answer.message_id_being_responded_to == message_id:
            return answer.status if answer.status is not None else SUCCESS
        take_report(association, message, on_report)
    raise AssociationEnded("the peer released the association instead of answering")


def await_report(association: Association, transaction_uid: str, on_report: OnReport) -> bool:
    """Whether the report on a transaction came on this association, while the peer keeps it open.

    Waits as long as the association's idle time-out says, which ends the association. Most peers report later, on
    an association of their own: where the archive listens, its door takes that report.
    """
    seen: list[str] = []

    def note(report: CommitmentReport) -> bool:
        is_ours = on_report(report)
        seen.append(report.transaction_uid)
        return is_ours

    try:
        while transaction_uid not in seen:
            message = association.receive()
            if message is None:
                return False
            take_report(association, message, note)
    except (ConnectionLost, PeerTimeout):
        return transaction_uid in seen
    return True


def take_report(association: Association, message: Message, on_report: OnReport) -> int:
    """Answer an N-EVENT-REPORT (PS3.4 J.3.3), once `on_report` has kept it; returns the status of the answer.

    Other requests are refused, responses to nothing discarded. Raises AssociationEnded, and what `on_report` raises,
    before anything is answered.
    """
    if message.command.command_field != CommandField.N_EVENT_REPORT_RQ:
        association.refuse(message)
        return _UNRECOGNIZED_OPERATION
    status = judge_report(message, on_report)
    association.refuse(message, status)
    return status


def judge_report(message: Message, on_report: OnReport) -> int:
    """The status that the report in `message` deserves, once `on_report` has kept it. Raises what that raises."""
    if message.command.sop_instance_uid not in {"", PUSH_MODEL_INSTANCE}:
        return _NO_SUCH_OBJECT_INSTANCE
    if message.command.event_type_id not in {SUCCESSFUL, FAILURES_EXIST}:
        return _NO_SUCH_EVENT_TYPE
    try:
        data = message.read_data(MAX_REPORT_LENGTH)
        with in_turn(len(data)):
            report = read_report(data, message.context.transfer_syntax)
            return SUCCESS if on_report(report) else _NO_SUCH_OBJECT_INSTANCE
    except DataTooLarge:
        return _RESOURCE_LIMITATION
    except MissingArgument:
        return _NO_SUCH_ARGUMENT
    except InvalidArgument:
        return _INVALID_ARGUMENT_VALUE


def in_turn(length: int) -> AbstractContextManager[object]:
    """For decoding and keeping a request or report of so many bytes: one large one at a time in a process."""
    return TURN if length > LARGE else nullcontext()
