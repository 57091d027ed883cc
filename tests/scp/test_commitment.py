"""Storage commitment at the door: every answer of an SCP, on this association or on another one (PS3.4 J)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests import samples
from tests.scp.commitment_peer import COMMITMENT, CT, WAIT, Peer, keep, keep_file, outcome
from tests.scp.site import Site, associate
from tests.scp.test_damage import damage
from vna.dimse.command import CommandField
from vna.dimse.commitment_scu import PUSH_MODEL_INSTANCE, STORAGE_COMMITMENT_PUSH_MODEL
from vna.dimse.negotiation import RoleSelection
from vna.dimse.scu import echo
from vna.errors import RetryLater, Unavailable
from vna.index.database import Database
from vna.index.job_worker import JobWorker, WorkerSettings
from vna.model.commitment import (
    PAYLOAD_ID,
    REPORT_JOB,
    CommitmentLine,
    CommitmentState,
    FailureReason,
    Reference,
)
from vna.scp.commitment_reports import report_job
from vna.scp.policy import VERIFICATION
from vna.services.commitment import THREADS

ECHO = (VERIFICATION, (samples.IMPLICIT,))


@contextmanager
def working(site: Site, database: Database) -> Iterator[None]:
    """A worker of the site's jobs."""
    stopping = threading.Event()
    handler = report_job(site.door, stopping.is_set)
    worker = JobWorker(database, {REPORT_JOB: handler}, WorkerSettings(stalled_after=3.0))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        worker.stop()
        thread.join(WAIT)
        assert not thread.is_alive()


def do_job(site: Site, line: CommitmentLine) -> None:
    """Run the job of a request once, as a worker would."""
    report_job(site.door, lambda: False)({PAYLOAD_ID: line.commitment_id})


def only_line(site: Site) -> CommitmentLine:
    (line,) = site.door.commitments.open()
    return line


def settle(site: Site) -> None:
    """Wait until nothing is seen to aside any more: all threads are free at the same time."""
    barrier = threading.Barrier(THREADS + 1)

    def meet() -> None:
        barrier.wait(WAIT)

    for _ in range(THREADS):
        assert site.door.commitments.aside(meet)
    meet()


def test_all_well_on_the_same_association(site: Site) -> None:
    peer, references = Peer(), keep(site, 3)
    with associate(site, COMMITMENT) as association:
        uid = peer.ask(association, references)
        report = peer.hear(association, uid)
    assert report.transaction_uid == uid
    assert outcome(report) == {reference.sop_instance_uid: 0 for reference in references}
    settle(site)
    assert site.door.commitments.open() == []


def test_each_failure_has_its_reason(site: Site) -> None:
    good, damaged, of_another_class = keep(site, 3)
    damage(site, damaged.sop_instance_uid)
    wrong_class = Reference(samples.SECONDARY_CAPTURE, of_another_class.sop_instance_uid)
    missing = Reference(CT, samples.new_uid())
    peer = Peer()
    with associate(site, COMMITMENT) as association:
        uid = peer.ask(association, [good, damaged, wrong_class, missing])
        report = peer.hear(association, uid)
    assert outcome(report) == {
        good.sop_instance_uid: 0,
        damaged.sop_instance_uid: FailureReason.PROCESSING_FAILURE,
        wrong_class.sop_instance_uid: FailureReason.CLASS_INSTANCE_CONFLICT,
        missing.sop_instance_uid: FailureReason.NO_SUCH_OBJECT_INSTANCE,
    }


def test_a_lost_object_is_not_committed_to(site: Site) -> None:
    (reference,) = keep(site)
    (instance,) = site.stored(reference.sop_instance_uid)
    site.backend.delete(instance.location.key)
    peer = Peer()
    with associate(site, COMMITMENT) as association:
        report = peer.hear(association, peer.ask(association, [reference]))
    assert outcome(report)[reference.sop_instance_uid] == FailureReason.PROCESSING_FAILURE


def test_every_version_under_a_uid_must_be_whole(site: Site, database: Database) -> None:
    (reference,) = keep(site)
    other = samples.ct(sop_instance_uid=reference.sop_instance_uid, rows=8, columns=8)
    keep_file(site, other)
    peer = Peer()
    with associate(site, COMMITMENT) as association:
        report = peer.hear(association, peer.ask(association, [reference]))
        assert outcome(report) == {reference.sop_instance_uid: 0}
        with database.connection() as connection:
            row = connection.execute("SELECT key FROM location WHERE conflict IS NOT NULL")
            (key,) = row.fetchone() or ("",)
        site.backend.delete(key)
        report = peer.hear(association, peer.ask(association, [reference]))
    assert outcome(report)[reference.sop_instance_uid] == FailureReason.PROCESSING_FAILURE


def test_a_reference_that_is_named_twice_is_reported_once(site: Site) -> None:
    (reference,) = keep(site)
    peer = Peer()
    with associate(site, COMMITMENT) as association:
        report = peer.hear(association, peer.ask(association, [reference, reference]))
    assert report.committed == (reference,)


def test_the_same_request_again_is_reported_again(site: Site) -> None:
    references, peer = keep(site, 2), Peer()
    with associate(site, COMMITMENT) as association:
        uid = peer.ask(association, references)
        first = peer.hear(association, uid)
        settle(site)
        peer.ask(association, references, uid)
        assert peer.hear(association, uid) == first


def test_another_request_under_a_transaction_in_use_fails_as_a_duplicate(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, peer = threading.Event(), Peer()
    references = keep(site, 2)
    hold_checks(site, monkeypatch, go_on)
    with associate(site, COMMITMENT) as association:
        uid = peer.ask(association, references[:1])
        peer.ask(association, references[1:], uid)
        report = peer.hear(association, uid)
        assert outcome(report) == {
            references[1].sop_instance_uid: FailureReason.DUPLICATE_TRANSACTION_UID
        }
        go_on.set()
        assert outcome(peer.hear(association, uid)) == {references[0].sop_instance_uid: 0}


def hold_checks(site: Site, monkeypatch: pytest.MonkeyPatch, go_on: threading.Event) -> None:
    """Let checks wait in the storage."""
    actual = site.backend.open

    def slow(*args: object, **options: object) -> object:
        assert go_on.wait(WAIT)
        return actual(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(site.backend, "open", slow)


def test_the_association_answers_while_objects_are_checked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, peer = threading.Event(), Peer()
    references = keep(site, 2)
    hold_checks(site, monkeypatch, go_on)
    with associate(site, COMMITMENT, ECHO) as association:
        uid = peer.ask(association, references)
        for _ in range(5):
            assert echo(association).status == 0
        assert peer.reports.empty()
        go_on.set()
        assert len(outcome(peer.hear(association, uid))) == 2


def test_ten_thousand_references(site: Site) -> None:
    kept = keep(site, 20, rows=4)
    unknown = [Reference(CT, samples.new_uid()) for _ in range(9_980)]
    peer = Peer()
    with associate(site, COMMITMENT) as association:
        report = peer.hear(association, peer.ask(association, [*kept, *unknown]))
    assert set(report.committed) == set(kept)
    assert len(report.failed) == 9_980


def test_the_event_carries_what_the_standard_wants(site: Site) -> None:
    (reference,) = keep(site)
    peer = Peer()
    with peer.listen(site):
        uid = ask_and_leave(site, peer, [reference])
        line_up(site)
        report = peer.next_report()
    (command,) = peer.commands
    assert report.transaction_uid == uid
    assert command.command_field == CommandField.N_EVENT_REPORT_RQ
    assert command.affected_sop_class_uid == STORAGE_COMMITMENT_PUSH_MODEL
    assert command.affected_sop_instance_uid == PUSH_MODEL_INSTANCE
    assert command.event_type_id == 1
    (proposal,) = peer.proposals
    assert proposal.role == RoleSelection(STORAGE_COMMITMENT_PUSH_MODEL, scu=False, scp=True)


def line_up(site: Site) -> None:
    """Do the jobs of all open requests that are free."""
    settle(site)
    for line in site.door.commitments.open():
        do_job(site, line)


def ask_and_leave(site: Site, peer: Peer, references: list[Reference]) -> str:
    """Ask for commitment and end the association before a report can be sent."""
    hold = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        hold_checks(site, patch, hold)
        with associate(site, COMMITMENT) as association:
            uid = peer.ask(association, references)
        hold.set()
        settle(site)
    return uid


def test_after_the_association_the_worker_reports_on_a_new_one(
    site: Site, database: Database
) -> None:
    references, peer = keep(site, 2), Peer()
    with peer.listen(site), working(site, database):
        uid = ask_and_leave(site, peer, references)
        report = peer.next_report()
    assert report.transaction_uid == uid
    assert outcome(report) == {reference.sop_instance_uid: 0 for reference in references}
    assert site.door.commitments.open() == []


def test_a_peer_that_says_nothing_of_roles_gets_its_report(site: Site) -> None:
    references, peer = keep(site, 1), Peer(allow_scp=False)
    with peer.listen(site):
        ask_and_leave(site, peer, references)
        line_up(site)
        assert len(peer.next_report().committed) == 1
    assert site.door.commitments.open() == []


def refusing(*statuses: int | None) -> Callable[[], int | None]:
    answers = iter(statuses)
    return lambda: next(answers, 0)


@pytest.mark.parametrize("status", [0x0110, None])
def test_a_report_that_is_not_taken_is_sent_again_later(site: Site, status: int | None) -> None:
    peer = Peer(answer=refusing(status))
    references = keep(site, 1)
    with peer.listen(site):
        ask_and_leave(site, peer, references)
        with pytest.raises(RetryLater) as later:
            do_job(site, only_line(site))
        assert later.value.seconds > 10
        line = only_line(site)
        assert (line.state, line.attempts) == (CommitmentState.REPORTING, 1)
        assert "TESTS" in line.last_error
        site.door.commitments.retry([line.commitment_id])
        do_job(site, line)
        peer.next_report()
    assert len(peer.commands) == 2
    assert site.door.commitments.open() == []


def test_a_peer_that_does_not_answer_its_report_is_cut_off(site: Site) -> None:
    go_on = threading.Event()

    def hang() -> int:
        assert go_on.wait(WAIT)
        return 0

    peer, references = Peer(answer=hang), keep(site, 1)
    impatient = replace(site.door, config=replace(site.door.config, message_timeout=0.2))
    with peer.listen(site):
        ask_and_leave(site, peer, references)
        with pytest.raises(RetryLater):
            do_job(replace(site, door=impatient), only_line(site))
        go_on.set()
    assert "TESTS" in only_line(site).last_error


def test_a_job_that_is_told_to_stop_leaves_the_rest_to_the_next(site: Site) -> None:
    references, peer = keep(site, 3), Peer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site.door.commitments, "aside", lambda _: False)
        with associate(site, COMMITMENT) as association:
            peer.ask(association, references)
    with pytest.raises(RetryLater) as again:
        report_job(site.door, lambda: True)({PAYLOAD_ID: only_line(site).commitment_id})
    assert again.value.seconds <= 1
    with peer.listen(site):
        do_job(site, only_line(site))
        assert len(peer.next_report().committed) == 3


def test_nothing_is_reported_twice(site: Site) -> None:
    references, peer = keep(site, 1), Peer()
    with peer.listen(site):
        ask_and_leave(site, peer, references)
        line = only_line(site)
        do_job(site, line)
        do_job(site, line)
        peer.next_report()
    assert len(peer.commands) == 1


def test_a_peer_that_nobody_listens_for_is_tried_later(site: Site) -> None:
    references, peer = keep(site, 1), Peer()
    with peer.listen(site):
        ask_and_leave(site, peer, references)
    with pytest.raises(RetryLater):
        do_job(site, only_line(site))
    assert "cannot connect" in only_line(site).last_error


def test_a_peer_without_an_address_is_parked_with_the_remedy(site: Site) -> None:
    references, peer = keep(site, 1), Peer()
    ask_and_leave(site, peer, references)
    do_job(site, only_line(site))
    line = only_line(site)
    assert line.state is CommitmentState.PARKED
    assert "[dimse.destinations.TESTS]" in line.last_error
    with peer.listen(site):
        site.door.commitments.retry([line.commitment_id])
        do_job(site, line)
        peer.next_report()


def test_a_storage_that_is_away_fails_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    references, peer = keep(site, 1), Peer()

    def away(*_: object) -> bool:
        raise Unavailable("the storage does not answer")

    with peer.listen(site):
        with monkeypatch.context() as patch:
            patch.setattr(site.door.commitments._objects, "is_intact", away)
            with associate(site, COMMITMENT) as association:
                peer.ask(association, references)
                settle(site)
            with pytest.raises(RetryLater):
                do_job(site, only_line(site))
        line = only_line(site)
        assert (line.state, line.failures) == (CommitmentState.CHECKING, 0)
        site.door.commitments.retry([line.commitment_id])
        do_job(site, line)
        assert len(peer.next_report().committed) == 1
