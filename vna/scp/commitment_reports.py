"""N-EVENT-REPORTs of storage commitment: on the association of the request, or on one of our own (PS3.4 J.3.3)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from vna.dicom.commitment import report_dataset
from vna.dimse.association import Association
from vna.dimse.command import Command, CommandField
from vna.dimse.commitment_scu import PUSH_MODEL_INSTANCE
from vna.dimse.errors import AssociationEnded, DimseError, NotAccepted
from vna.dimse.negotiation import PresentationContext, RoleSelection
from vna.dimse.scu import request
from vna.errors import RetryLater, Unavailable, VnaError
from vna.model.commitment import PAYLOAD_ID, Commitment, unknown_peer
from vna.scp.destinations import open_association
from vna.scp.exchange import Door
from vna.scp.policy import IDENTIFIER_SYNTAXES, STORAGE_COMMITMENT
from vna.scp.status import SUCCESS
from vna.services.commitment import Claim

log = logging.getLogger(__name__)

SHORTEST_WAIT = 1.0


class NotDelivered(DimseError):
    """The peer did not confirm a report."""


class SameAssociation:
    """Checks and reports while the association of the request is open, beside its thread; else leaves it to the job."""

    def __init__(self, door: Door, association: Association, context: PresentationContext) -> None:
        self._door = door
        self._association = association
        self._context = context

    def start(self, claim: Claim) -> None:
        """See to the request in a thread; returns at once."""
        if not self._door.commitments.aside(lambda: self._see_to(claim)):
            self._door.commitments.hand_over(claim)

    def _see_to(self, claim: Claim) -> None:
        commitments = self._door.commitments
        with commitments.working_on(claim):
            try:
                if not self._report(claim):
                    commitments.hand_over(claim)
            except Unavailable as exc:
                log.warning("storage commitment is left to the worker: %s", exc)

    def _report(self, claim: Claim) -> bool:
        commitments = self._door.commitments
        try:
            checked = commitments.check(claim, lambda: self._association.is_over)
            if checked is None or not commitments.may_report(checked):
                return False
            self._send(checked.commitment)
        except VnaError as exc:
            log.info("storage commitment is left to the worker: %s", exc)
            return False
        commitments.reported(checked)
        return True

    def _send(self, commitment: Commitment) -> None:
        """Returns once the peer has confirmed. Raises NotDelivered, AssociationEnded."""
        answers: list[Command | None] = []
        has_come = threading.Event()

        def take(answer: Command | None) -> None:
            answers.append(answer)
            has_come.set()

        command, data = report_message(self._door, self._association, self._context, commitment)
        self._association.invoke(self._context.id, command, data, take)
        if not has_come.wait(self._door.config.message_timeout):
            raise NotDelivered(f"{commitment.peer} did not answer its report")
        _judge(commitment, answers[0])


def report_job(
    door: Door, should_stop: Callable[[], bool]
) -> Callable[[Mapping[str, object]], None]:
    """The handler of the job that checks and reports what no association is open for."""

    def run(payload: Mapping[str, object]) -> None:
        commitment_id = int(str(payload[PAYLOAD_ID]))
        claim = door.commitments.claim(commitment_id)
        if claim is not None:
            with door.commitments.working_on(claim):
                _see_to(door, claim, should_stop)
        seconds = door.commitments.wait_time(commitment_id)
        if seconds is not None:
            raise RetryLater(max(SHORTEST_WAIT, seconds))

    return run


def report_message(
    door: Door, association: Association, context: PresentationContext, commitment: Commitment
) -> tuple[Command, bytes]:
    """The command and the dataset of a report (PS3.4 J.3.3)."""
    findings = list(zip(commitment.references, commitment.reasons, strict=True))
    event_type_id, data = report_dataset(
        commitment.transaction_uid, findings, door.ae_title, context.transfer_syntax
    )
    command = Command(
        CommandField.N_EVENT_REPORT_RQ,
        message_id=association.next_message_id(),
        affected_sop_class_uid=STORAGE_COMMITMENT,
        affected_sop_instance_uid=PUSH_MODEL_INSTANCE,
        event_type_id=event_type_id,
    )
    return command, data


def _see_to(door: Door, claim: Claim, should_stop: Callable[[], bool]) -> None:
    commitments = door.commitments
    try:
        checked = commitments.check(claim, should_stop)
    except Unavailable as exc:
        commitments.failed(claim, str(exc))
        return
    if checked is None:
        commitments.hand_over(claim)
        return
    peer = checked.commitment.peer
    if peer not in door.config.destinations:
        commitments.park(checked, unknown_peer(peer))
        return
    try:
        _report_anew(door, checked)
    except DimseError as exc:
        commitments.failed(checked, f"{peer}: {exc}")


def _report_anew(door: Door, claim: Claim) -> None:
    """On an association of our own, on which we are SCP of the class (PS3.7 D.3.3.4). Raises DimseError."""
    commitment = claim.commitment
    contexts = [(STORAGE_COMMITMENT, IDENTIFIER_SYNTAXES)]
    roles = [RoleSelection(STORAGE_COMMITMENT, scu=False, scp=True)]
    with open_association(door, commitment.peer, contexts, roles=roles) as association:
        context = _context_of(association)
        if not door.commitments.may_report(claim):
            raise NotDelivered("another process has taken the report over")
        command, data = report_message(door, association, context, commitment)
        with _patience(door, association):
            answer = request(association, context.id, command, data)
        _judge(commitment, answer)
        door.commitments.reported(claim)
        association.release()


@contextmanager
def _patience(door: Door, association: Association) -> Iterator[None]:
    """Cut the association when the peer takes longer over its answer than `dimse.message_timeout`."""
    timer = threading.Timer(door.config.message_timeout, association.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _context_of(association: Association) -> PresentationContext:
    """Where we are SCP; a peer that took the class and granted no role mostly takes reports as well."""
    contexts = [c for c in association.contexts.values() if c.abstract_syntax == STORAGE_COMMITMENT]
    if not contexts:
        raise NotAccepted("it accepts no storage commitment from us")
    return next((context for context in contexts if context.as_scp), contexts[0])


def _judge(commitment: Commitment, answer: Command | None) -> None:
    if answer is None:
        raise AssociationEnded("the association ended before the report was confirmed")
    if answer.status != SUCCESS:
        raise NotDelivered(f"{commitment.peer} answered its report with 0x{answer.status or 0:04X}")
