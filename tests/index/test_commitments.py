"""Storage commitment requests: recorded with their job, held by one at a time, never forgotten."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.samples import new_uid
from vna.audit import AuditAction
from vna.errors import Unavailable
from vna.index.commitments import CommitmentIndex, Hold, listed
from vna.index.commitments_asked import AskedCommitmentIndex
from vna.index.database import Database
from vna.index.jobs import JobCount, JobQueue, NewJob
from vna.model.commitment import (
    REPORT_JOB,
    CommitmentReport,
    CommitmentRequest,
    CommitmentState,
    FailureReason,
    Reference,
)
from vna.model.identifiers import Origin

CT = "1.2.840.10008.5.1.4.1.1.2"
MINE = Hold("mine", 600.0)
OTHERS = Hold("other", 600.0)
OVER = Hold("gone", -1.0)


def references(count: int = 2) -> tuple[Reference, ...]:
    return tuple(Reference(CT, new_uid()) for _ in range(count))


def request(peer: str = "MODALITY", count: int = 2) -> CommitmentRequest:
    return CommitmentRequest(
        new_uid(), references(count), Origin("dimse", peer, "127.0.0.1", "abc")
    )


@pytest.fixture
def index(database: Database) -> CommitmentIndex:
    return CommitmentIndex(database, JobQueue(database))


def audited(database: Database) -> list[str]:
    with database.connection() as connection:
        rows = connection.execute("SELECT action FROM audit ORDER BY id").fetchall()
    return [action for (action,) in rows]


def recorded(index: CommitmentIndex, new: CommitmentRequest, hold: Hold = MINE) -> int:
    number = index.request(new, hold)
    assert number is not None
    return number


def test_a_request_is_recorded_with_its_job_and_audited(
    database: Database, index: CommitmentIndex
) -> None:
    new = request()
    number = recorded(index, new)
    commitment = index.take(number, MINE)
    assert commitment is not None
    assert (commitment.transaction_uid, commitment.references) == (
        new.transaction_uid,
        new.references,
    )
    assert (commitment.peer, commitment.state) == ("MODALITY", CommitmentState.CHECKING)
    assert commitment.origin == new.origin
    assert JobQueue(database).counts() == [JobCount(REPORT_JOB, "todo", 1)]
    assert audited(database) == [AuditAction.COMMITMENT_REQUESTED]


def test_nothing_is_recorded_when_the_job_is_not(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = JobQueue(database)
    index = CommitmentIndex(database, jobs)

    def fail(_connection: object, _job: NewJob) -> None:
        raise Unavailable("no job")

    monkeypatch.setattr(jobs, "defer_within", fail)
    with pytest.raises(Unavailable, match="no job"):
        index.request(request(), MINE)
    assert index.open() == []
    assert audited(database) == []


def test_one_holder_at_a_time(index: CommitmentIndex) -> None:
    number = recorded(index, request())
    assert index.take(number, OTHERS) is None
    assert (index.wait_time(number) or 0) > 500
    index.hand_over(number, MINE)
    assert index.take(number, OTHERS) is not None
    assert index.take(number, MINE) is None
    assert index.found(number, [0, 0], MINE) is False
    assert index.renew(["mine", "other"], 600.0) == {"other"}


def test_only_one_of_many_gets_it(index: CommitmentIndex) -> None:
    number = recorded(index, request(), OVER)
    holds = [Hold(f"holder {i}", 600.0) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda hold: index.take(number, hold), holds))
    assert sum(commitment is not None for commitment in taken) == 1


def test_what_the_dead_held_is_free_after_their_time(index: CommitmentIndex) -> None:
    number = recorded(index, request(), OVER)
    assert index.wait_time(number) == 0
    assert index.take(number, MINE) is not None


def test_the_same_request_again_while_somebody_is_at_it(
    database: Database, index: CommitmentIndex
) -> None:
    new = request()
    recorded(index, new)
    assert index.request(replace(new, references=new.references[::-1]), OTHERS) is None
    assert len(index.open()) == 1
    assert audited(database) == [AuditAction.COMMITMENT_REQUESTED]


def test_a_request_whose_commit_was_not_confirmed_can_be_repeated(index: CommitmentIndex) -> None:
    new = request()
    assert recorded(index, new) == recorded(index, new)


@pytest.mark.parametrize("ending", ["reported", "parked"])
def test_the_same_request_after_its_end_starts_afresh(index: CommitmentIndex, ending: str) -> None:
    new = request()
    number = recorded(index, new)
    commitment = index.take(number, MINE)
    assert commitment is not None
    index.found(number, [0, 0x0112], MINE)
    if ending == "reported":
        index.reported(commitment, MINE)
        assert index.wait_time(number) is None
    else:
        index.park(commitment, MINE, "nobody there")
    assert recorded(index, new, OTHERS) == number
    again = index.take(number, OTHERS)
    assert again is not None
    assert (again.state, again.reasons, again.attempts) == (CommitmentState.CHECKING, (), 0)


def test_other_references_under_a_transaction_in_use_are_a_duplicate(
    index: CommitmentIndex,
) -> None:
    new = request()
    recorded(index, new)
    other = replace(new, references=references(3))
    number = recorded(index, other, OTHERS)
    commitment = index.take(number, OTHERS)
    assert commitment is not None
    assert commitment.reasons == (FailureReason.DUPLICATE_TRANSACTION_UID,) * 3
    assert commitment.state is CommitmentState.REPORTING


def test_a_transaction_uid_is_its_peers_own_and_free_after_its_report(
    index: CommitmentIndex,
) -> None:
    new = request()
    number = recorded(index, new)
    elsewhere = CommitmentRequest(new.transaction_uid, references(), Origin("dimse", "OTHER"))
    theirs = index.take(recorded(index, elsewhere, OTHERS), OTHERS)
    assert theirs is not None
    assert theirs.reasons == ()
    commitment = index.take(number, MINE)
    assert commitment is not None
    index.reported(commitment, MINE)
    later = index.take(
        recorded(index, replace(new, references=references()), Hold("new", 60)), Hold("new", 60)
    )
    assert later is not None
    assert later.reasons == ()


def test_findings_are_kept_and_complete_ones_are_to_be_reported(index: CommitmentIndex) -> None:
    number = recorded(index, request(count=3))
    assert index.found(number, [0], MINE)
    index.hand_over(number, MINE)
    half = index.take(number, OTHERS)
    assert half is not None
    assert (half.reasons, half.state) == ((0,), CommitmentState.CHECKING)
    assert index.found(number, [0, 0x0110, 0x0112], OTHERS)
    whole = index.take(number, OTHERS)
    assert whole is not None
    assert (whole.state, whole.failures) == (CommitmentState.REPORTING, 2)


def test_a_failed_attempt_waits_for_its_time(index: CommitmentIndex) -> None:
    number = recorded(index, request())
    commitment = index.take(number, MINE)
    assert commitment is not None
    index.failed(commitment, MINE, "connection refused", 1000.0)
    assert index.take(number, OTHERS) is None
    assert 900 < (index.wait_time(number) or 0) <= 1000
    (line,) = index.open()
    assert (line.attempts, line.last_error) == (1, "connection refused")
    assert line.next_attempt_at is not None
    assert "connection refused" in listed(line)
    assert index.retry([number]) == [number]
    assert index.take(number, OTHERS) is not None


def test_who_has_lost_it_changes_nothing(database: Database, index: CommitmentIndex) -> None:
    number = recorded(index, request())
    commitment = index.take(number, MINE)
    assert commitment is not None
    index.hand_over(number, MINE)
    assert index.take(number, OTHERS) is not None
    index.failed(commitment, MINE, "late", 1000.0)
    index.park(commitment, MINE, "late")
    index.reported(commitment, MINE)
    index.hand_over(number, MINE)
    (line,) = index.open()
    assert (line.state, line.last_error) == (CommitmentState.CHECKING, "")
    assert audited(database) == [AuditAction.COMMITMENT_REQUESTED]


def test_parked_ones_are_listed_and_retried_by_a_person(
    database: Database, index: CommitmentIndex
) -> None:
    number = recorded(index, request())
    commitment = index.take(number, MINE)
    assert commitment is not None
    index.found(number, [0, 0], MINE)
    index.park(commitment, MINE, "nobody there")
    assert index.wait_time(number) is None
    assert index.take(number, OTHERS) is None
    (line,) = index.open()
    assert (line.state, line.last_error) == (CommitmentState.PARKED, "nobody there")
    assert index.retry([number]) == [number]
    again = index.take(number, OTHERS)
    assert again is not None
    assert (again.state, again.attempts) == (CommitmentState.CHECKING, 0)
    assert again.reasons == (), "what was whole when it was checked may be damaged by now"
    assert index.retry([number]) == []
    assert AuditAction.COMMITMENT_PARKED in audited(database)


def test_a_transaction_in_use_stays_one_when_it_is_retried(index: CommitmentIndex) -> None:
    first = request()
    recorded(index, first)
    number = recorded(index, replace(first, references=references(3)), OTHERS)
    commitment = index.take(number, OTHERS)
    assert commitment is not None
    index.park(commitment, OTHERS, "nobody there")
    assert index.retry([number]) == [number]
    again = index.take(number, OTHERS)
    assert again is not None
    assert again.state is CommitmentState.REPORTING
    assert set(again.reasons) == {FailureReason.DUPLICATE_TRANSACTION_UID}


def test_old_ones_are_forgotten_once_reported(database: Database, index: CommitmentIndex) -> None:
    reported, waiting = recorded(index, request()), recorded(index, request(), OTHERS)
    commitment = index.take(reported, MINE)
    assert commitment is not None
    index.reported(commitment, MINE)
    index.forget(1)
    with database.connection() as connection:
        kept = connection.execute("SELECT id FROM commitment ORDER BY id").fetchall()
        assert kept == [(reported,), (waiting,)]
    index.forget(0)
    with database.connection() as connection:
        assert connection.execute("SELECT id FROM commitment").fetchall() == [(waiting,)]


def test_ten_thousand_references(index: CommitmentIndex) -> None:
    new = request(count=10_000)
    number = recorded(index, new)
    index.found(number, [0] * 10_000, MINE)
    commitment = index.take(number, MINE)
    assert commitment is not None
    assert commitment.references == new.references


def test_what_we_asked_is_answered_once(database: Database) -> None:
    asked = AskedCommitmentIndex(database)
    first, second, third = references(3)
    asked.ask("1.2.3", "PEER", [first, second, third])
    report = CommitmentReport("1.2.3", (first,), ((second, 0x0112),))
    assert asked.report(replace(report, transaction_uid="1.2.4")) is None
    answered = asked.report(report)
    assert answered is not None
    assert answered.reasons == (0, 0x0112, FailureReason.PROCESSING_FAILURE)
    assert not answered.is_committed
    assert set(answered.failed) == {second.sop_instance_uid, third.sop_instance_uid}
    all_well = CommitmentReport("1.2.3", (first, second, third), ())
    assert asked.report(all_well) == answered


def test_what_a_peer_refused_is_forgotten_unless_it_was_reported(database: Database) -> None:
    asked = AskedCommitmentIndex(database)
    (one,) = references(1)
    for uid in ("1.2.3", "1.2.4"):
        asked.ask(uid, "PEER", [one])
    asked.report(CommitmentReport("1.2.4", (one,), ()))
    asked.withdraw("1.2.3")
    asked.withdraw("1.2.4")
    assert asked.find("1.2.3") is None
    found = asked.find("1.2.4")
    assert found is not None
    assert found.is_committed
