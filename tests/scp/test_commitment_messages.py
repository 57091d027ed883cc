"""Storage commitment at the door: requests that are wrong, and reports on what we asked for (PS3.4 J)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests import samples
from tests.scp.commitment_peer import COMMITMENT, CT
from tests.scp.site import Site, associate
from tests.scp.test_commitment import ECHO
from vna.dicom.commitment import report_dataset, request_dataset
from vna.dimse.association import Association
from vna.dimse.command import Command, CommandField
from vna.dimse.commitment_scu import PUSH_MODEL_INSTANCE, STORAGE_COMMITMENT_PUSH_MODEL, TURN
from vna.dimse.negotiation import RoleSelection
from vna.dimse.scu import echo, request
from vna.errors import Unavailable
from vna.model.commitment import CommitmentRequest, Reference
from vna.services.commitment import Claim


def action(uid: str, references: list[Reference]) -> bytes:
    return request_dataset(uid, references, samples.EXPLICIT)


ONE = [Reference(CT, "1.2.3")]
GOOD = Command(
    CommandField.N_ACTION_RQ,
    requested_sop_class_uid=STORAGE_COMMITMENT_PUSH_MODEL,
    requested_sop_instance_uid=PUSH_MODEL_INSTANCE,
    action_type_id=1,
)


@pytest.mark.parametrize(
    ("command", "data", "status"),
    [
        (GOOD, action("1.2.3", ONE), 0x0000),
        (replace(GOOD, requested_sop_instance_uid="1.2.3"), action("1.2.3", ONE), 0x0112),
        (replace(GOOD, requested_sop_class_uid=CT), action("1.2.3", ONE), 0x0118),
        (replace(GOOD, action_type_id=2), action("1.2.3", ONE), 0x0123),
        (replace(GOOD, action_type_id=None), action("1.2.3", ONE), 0x0123),
        (GOOD, None, 0x0114),
        (GOOD, b"", 0x0114),
        (GOOD, samples.dataset({"TransactionUID": "1.2.3"}), 0x0114),
        (GOOD, action("", ONE), 0x0114),
        (GOOD, action("1.2.3", []), 0x0114),
        (GOOD, action("../x", ONE), 0x0115),
        (GOOD, action("1.2.3", [Reference(CT, "")]), 0x0115),
        (GOOD, action("1.2.3", [Reference("", "1.2.3")]), 0x0115),
        (GOOD, action("1.2.3", ONE)[:-3], 0x0115),
        (GOOD, b"\xff" * 64, 0x0115),
        (replace(GOOD, command_field=CommandField.N_SET_RQ), action("1.2.3", ONE), 0x0211),
    ],
)
def test_what_is_asked_wrongly_is_answered_rightly(
    site: Site, command: Command, data: bytes | None, status: int
) -> None:
    with associate(site, COMMITMENT, ECHO) as association:
        command = replace(command, message_id=association.next_message_id())
        context = association.context_for(STORAGE_COMMITMENT_PUSH_MODEL)
        assert ask_raw(association, context.id, command, data) == status
        assert echo(association).status == 0


def ask_raw(
    association: Association, context_id: int, command: Command, data: bytes | None
) -> int | None:
    """The status of the answer; a report that comes before it is refused."""
    return request(association, context_id, command, data).status


def test_a_request_that_is_too_long_is_refused_and_the_association_lives(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vna.scp.commitment.MAX_REQUEST_BYTES", 1000)
    many = [Reference(CT, samples.new_uid()) for _ in range(100)]
    with associate(site, COMMITMENT, ECHO) as association:
        context = association.context_for(STORAGE_COMMITMENT_PUSH_MODEL)
        command = replace(GOOD, message_id=association.next_message_id())
        assert ask_raw(association, context.id, command, action("1.2.3", many)) == 0x0213
        assert echo(association).status == 0
    assert site.door.commitments.open() == []


@pytest.mark.parametrize(("count", "is_in_turn"), [(1, False), (2000, True)])
def test_large_requests_are_decoded_and_kept_one_at_a_time(
    site: Site, monkeypatch: pytest.MonkeyPatch, count: int, is_in_turn: bool
) -> None:
    could_another: list[bool] = []
    keep = site.door.commitments.request

    def look(new: CommitmentRequest) -> Claim | None:
        with ThreadPoolExecutor(1) as other:
            could_another.append(other.submit(_take_a_turn).result())
        return keep(new)

    monkeypatch.setattr(site.door.commitments, "request", look)
    references = [Reference(CT, samples.new_uid()) for _ in range(count)]
    with associate(site, COMMITMENT) as association:
        context = association.context_for(STORAGE_COMMITMENT_PUSH_MODEL)
        command = replace(GOOD, message_id=association.next_message_id())
        data = action(samples.new_uid(), references)
        assert ask_raw(association, context.id, command, data) == 0
    assert could_another == [not is_in_turn]
    assert _take_a_turn()


def _take_a_turn() -> bool:
    """Whether nobody else is at a large request now."""
    is_free = TURN.acquire(blocking=False)
    if is_free:
        TURN.release()
    return is_free


def test_without_the_index_the_request_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("the database does not answer")

    monkeypatch.setattr(site.door.commitments, "request", away)
    with associate(site, COMMITMENT) as association:
        context = association.context_for(STORAGE_COMMITMENT_PUSH_MODEL)
        command = replace(GOOD, message_id=association.next_message_id())
        assert ask_raw(association, context.id, command, action("1.2.3", ONE)) == 0x0213


@contextmanager
def reporting(site: Site) -> Iterator[Association]:
    """An association on which the peer is SCP and reports."""
    roles = [RoleSelection(STORAGE_COMMITMENT_PUSH_MODEL, scu=False, scp=True)]
    with associate(site, COMMITMENT, roles=roles) as association:
        yield association


def report_to(
    association: Association, uid: str, findings: list[tuple[Reference, int]], **changes: object
) -> int | None:
    context = next(iter(association.contexts.values()))
    event_type_id, data = report_dataset(uid, findings, "PEER", context.transfer_syntax)
    command = Command(
        CommandField.N_EVENT_REPORT_RQ,
        message_id=association.next_message_id(),
        affected_sop_class_uid=STORAGE_COMMITMENT_PUSH_MODEL,
        affected_sop_instance_uid=PUSH_MODEL_INSTANCE,
        event_type_id=event_type_id,
    )
    return request(association, context.id, replace(command, **changes), data).status  # type: ignore[arg-type]


def test_a_report_on_what_we_asked_is_kept(site: Site) -> None:
    first, second = (Reference(CT, samples.new_uid()) for _ in range(2))
    uid = site.door.asked.begin("ELSEWHERE", [first, second])
    with reporting(site) as association:
        (context,) = association.contexts.values()
        assert (context.as_scu, context.as_scp) == (False, True)
        assert report_to(association, uid, [(first, 0), (second, 0x0110)]) == 0
    asked = site.door.asked.find(uid)
    assert asked is not None
    assert asked.failed == {second.sop_instance_uid: 0x0110}


def test_a_report_without_role_selection_is_kept(site: Site) -> None:
    reference = Reference(CT, samples.new_uid())
    uid = site.door.asked.begin("ELSEWHERE", [reference])
    with associate(site, COMMITMENT) as association:
        assert report_to(association, uid, [(reference, 0)]) == 0
    asked = site.door.asked.find(uid)
    assert asked is not None
    assert asked.is_committed


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 0x0112),
        ({"affected_sop_instance_uid": "1.2.3"}, 0x0112),
        ({"event_type_id": 3}, 0x0113),
        ({"command_field": CommandField.N_GET_RQ}, 0x0122),
    ],
)
def test_a_report_on_nothing_of_ours_is_refused(
    site: Site, changes: dict[str, object], status: int
) -> None:
    with reporting(site) as association:
        findings = [(Reference(CT, "1.2.3"), 0)]
        assert report_to(association, samples.new_uid(), findings, **changes) == status


def test_who_reports_can_not_ask(site: Site) -> None:
    with reporting(site) as association:
        (context,) = association.contexts.values()
        command = replace(GOOD, message_id=association.next_message_id())
        assert ask_raw(association, context.id, command, action("1.2.3", ONE)) == 0x0122
    assert site.door.commitments.open() == []
