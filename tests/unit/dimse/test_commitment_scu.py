"""Asking for storage commitment: reports before the answer, after it, never, and odd ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.dimse import values
from tests.unit.dimse.peers import BOTH, PATIENT, Server, serving
from tests.unit.dimse.policies import TablePolicy
from vna.dicom.commitment import read_request, report_dataset
from vna.dimse.association import Association
from vna.dimse.command import RESPONSE, Command, CommandField
from vna.dimse.commitment_scu import (
    PUSH_MODEL_INSTANCE,
    STORAGE_COMMITMENT_PUSH_MODEL,
    await_report,
    request_commitment,
)
from vna.dimse.errors import AssociationEnded
from vna.dimse.message import Message
from vna.dimse.scu import request
from vna.dimse.settings import AcceptorSettings, RequestorSettings
from vna.model.commitment import CommitmentReport, Reference

REFERENCE = Reference(values.CT_STORAGE, "1.2.3.4")
POLICY = TablePolicy({STORAGE_COMMITMENT_PUSH_MODEL: BOTH})
ACCEPTOR = AcceptorSettings("PEER", POLICY, timeouts=PATIENT)
REQUESTOR = RequestorSettings(
    "VNA", "PEER", ((STORAGE_COMMITMENT_PUSH_MODEL, BOTH),), timeouts=PATIENT
)
Reports = list[CommitmentReport]


def answer(association: Association, message: Message, status: int = 0) -> None:
    asked = message.command
    response = Command(
        asked.command_field | RESPONSE,
        message_id_being_responded_to=asked.message_id,
        affected_sop_class_uid=asked.requested_sop_class_uid,
        affected_sop_instance_uid=asked.requested_sop_instance_uid,
        status=status,
    )
    association.send(message.context.id, response)


def asked(association: Association) -> tuple[Message, str]:
    """The N-ACTION that comes, and its Transaction UID."""
    message = association.receive()
    assert message is not None
    syntax = message.context.transfer_syntax
    uid, references = read_request(message.read_data(2**20), syntax)
    assert references == (REFERENCE,)
    assert message.command.requested_sop_instance_uid == PUSH_MODEL_INSTANCE
    return message, uid


def report(association: Association, uid: str, **changes: object) -> Command:
    """Send a report; the answer to it."""
    (context,) = association.contexts.values()
    event_type_id, data = report_dataset(uid, [(REFERENCE, 0)], "PEER", context.transfer_syntax)
    command = Command(
        CommandField.N_EVENT_REPORT_RQ,
        message_id=association.next_message_id(),
        affected_sop_class_uid=STORAGE_COMMITMENT_PUSH_MODEL,
        affected_sop_instance_uid=PUSH_MODEL_INSTANCE,
        event_type_id=event_type_id,
    )
    changed = replace(command, **changes)  # type: ignore[arg-type]
    return request(association, context.id, changed, data)


def report_first(association: Association) -> int | None:
    message, uid = asked(association)
    status = report(association, uid).status
    answer(association, message)
    association.receive()
    return status


def report_later(association: Association) -> int | None:
    message, uid = asked(association)
    answer(association, message)
    status = report(association, uid).status
    association.receive()
    return status


def ask(server: Server[int | None], reports: Reports, settings: RequestorSettings) -> bool:
    def keep(found: CommitmentReport) -> bool:
        reports.append(found)
        return True

    with Association.request(server.address, settings) as association:
        assert request_commitment(association, "1.2.9", [REFERENCE], keep) == 0
        has_come = bool(reports) or await_report(association, "1.2.9", keep)
        association.release()
    return has_come


@pytest.mark.parametrize("handle", [report_first, report_later])
def test_a_report_on_the_association_is_taken(handle: Callable[[Association], int | None]) -> None:
    reports: Reports = []
    with serving(handle, ACCEPTOR) as server:
        assert ask(server, reports, REQUESTOR)
    assert server.result.result() == 0
    (found,) = reports
    assert (found.transaction_uid, found.committed) == ("1.2.9", (REFERENCE,))


def test_a_peer_that_reports_elsewhere_is_not_waited_for_longer_than_wanted() -> None:
    def silent(association: Association) -> int | None:
        answer(association, asked(association)[0])
        with pytest.raises(AssociationEnded):
            association.receive()
        return None

    impatient = replace(REQUESTOR, timeouts=replace(PATIENT, idle=0.2))
    with serving(silent, ACCEPTOR) as server:
        assert not ask(server, [], impatient)
    server.result.result()


def test_a_peer_that_releases_reports_elsewhere() -> None:
    def leaving(association: Association) -> int | None:
        answer(association, asked(association)[0])
        association.release()
        return None

    with serving(leaving, ACCEPTOR) as server:
        assert not ask(server, [], REQUESTOR)
    server.result.result()


def test_a_refusal_is_told() -> None:
    def refusing(association: Association) -> None:
        answer(association, asked(association)[0], 0x0122)
        association.receive()

    with (
        serving(refusing, ACCEPTOR) as server,
        Association.request(server.address, REQUESTOR) as association,
    ):
        status = request_commitment(association, "1.2.9", [REFERENCE], lambda _: True)
        assert status == 0x0122
        association.release()


@pytest.mark.parametrize(
    ("changes", "is_ours", "status"),
    [
        ({}, True, 0x0000),
        ({}, False, 0x0112),
        ({"affected_sop_instance_uid": "1.2.3"}, True, 0x0112),
        ({"event_type_id": 7}, True, 0x0113),
        ({"command_field": CommandField.N_GET_RQ}, True, 0x0211),
    ],
)
def test_odd_reports_are_answered_properly(
    changes: dict[str, object], is_ours: bool, status: int
) -> None:
    def odd(association: Association) -> int | None:
        message, uid = asked(association)
        found = report(association, uid, **changes).status
        answer(association, message)
        association.receive()
        return found

    with (
        serving(odd, ACCEPTOR) as server,
        Association.request(server.address, REQUESTOR) as association,
    ):
        assert request_commitment(association, "1.2.9", [REFERENCE], lambda _: is_ours) == 0
        association.release()
    assert server.result.result() == status
