"""Storage commitment requests in Postgres: recorded with their job, held by whoever works on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from blake3 import blake3

from vna.audit import AuditAction, AuditEvent
from vna.index.audit import record_within
from vna.index.database import Connection, Database
from vna.index.jobs import JobQueue, NewJob
from vna.index.sql import load
from vna.model.commitment import (
    PAYLOAD_ID,
    REPORT_JOB,
    Commitment,
    CommitmentLine,
    CommitmentRequest,
    CommitmentState,
    Reference,
)
from vna.model.identifiers import Origin


@dataclass(frozen=True, slots=True)
class Hold:
    """A claim to work on a request: for so many seconds nobody else does. `holder` is unique to each claim."""

    holder: str
    seconds: float


class CommitmentIndex:
    """What peers asked us to commit to. Shared by all threads; everything raises Unavailable."""

    def __init__(self, database: Database, jobs: JobQueue) -> None:
        self._database = database
        self._jobs = jobs

    def request(self, new: CommitmentRequest, hold: Hold) -> int | None:
        """Record `new`, its audit row and its job in one transaction, held by `hold`; returns its id.

        The same request again starts afresh, unless somebody works on it: then its report is on its way and None
        is returned. Other references under a transaction UID in use (of the same peer) are recorded with the
        finding DUPLICATE_TRANSACTION_UID, ready to be reported.
        """
        values = {
            "peer": new.origin.peer,
            "uid": new.transaction_uid,
            "digest": digest_of(new.references),
            "address": new.origin.address,
            "correlation_id": new.origin.correlation_id,
            "classes": [reference.sop_class_uid for reference in new.references],
            "instances": [reference.sop_instance_uid for reference in new.references],
            "holder": hold.holder,
            "seconds": hold.seconds,
        }

        def record(connection: Connection) -> int | None:
            with connection.transaction():
                row = connection.execute(load("queries/commitment_request"), values).fetchone()
                if row is None:
                    return None
                self._jobs.defer_within(connection, job_of(row[0], hold.seconds))
                record_within(connection, _requested(new))
                return int(row[0])

        return self._database.attempt(record)

    def take(self, commitment_id: int, hold: Hold) -> Commitment | None:
        """The request, held from now on; None when another holder has it, it is not due, parked or done."""
        values = {"id": commitment_id, "holder": hold.holder, "seconds": hold.seconds}
        row = self._database.attempt(
            lambda c: c.execute(load("queries/commitment_take"), values).fetchone()
        )
        return None if row is None else _commitment(row)

    def wait_time(self, commitment_id: int) -> float | None:
        """Seconds until the request can be taken; None when there is nothing left to do."""
        row = self._database.attempt(
            lambda c: c.execute(load("queries/commitment_wait"), [commitment_id]).fetchone()
        )
        return None if row is None else float(row[0])

    def renew(self, holders: Sequence[str], seconds: float) -> set[str]:
        """Prolong these claims; returns those that still hold."""
        values = {"holders": list(holders), "seconds": seconds}
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/commitment_renew"), values).fetchall()
        )
        return {holder for (holder,) in rows}

    def found(self, commitment_id: int, reasons: Sequence[int], hold: Hold) -> bool:
        """Keep the findings so far; False when it is no longer ours."""
        values = {"id": commitment_id, "holder": hold.holder, "reasons": list(reasons)}
        row = self._database.attempt(
            lambda c: c.execute(load("queries/commitment_found"), values).fetchone()
        )
        return row is not None

    def reported(self, commitment: Commitment, hold: Hold) -> None:
        """The peer has confirmed the report: nothing is left to do. Audited in the same transaction."""
        values = {"id": commitment.commitment_id, "holder": hold.holder}

        def finish(connection: Connection) -> None:
            with connection.transaction():
                row = connection.execute(load("queries/commitment_reported"), values).fetchone()
                if row is not None:
                    record_within(connection, _outcome(commitment))

        self._database.attempt(finish)

    def failed(self, commitment: Commitment, hold: Hold, error: str, pause: float) -> None:
        """Checking or reporting failed: let go, not to be taken for `pause` seconds."""
        values = {
            "id": commitment.commitment_id,
            "holder": hold.holder,
            "error": error,
            "pause": pause,
        }
        self._database.attempt(lambda c: c.execute(load("queries/commitment_failed"), values))

    def park(self, commitment: Commitment, hold: Hold, error: str) -> None:
        """Give up until a person says otherwise. Audited in the same transaction."""
        values = {"id": commitment.commitment_id, "holder": hold.holder, "error": error}

        def give_up(connection: Connection) -> None:
            with connection.transaction():
                row = connection.execute(load("queries/commitment_park"), values).fetchone()
                if row is not None:
                    record_within(connection, _parked(commitment, error))

        self._database.attempt(give_up)

    def hand_over(self, commitment_id: int, hold: Hold) -> None:
        """Let go without having finished; the job takes it up at once."""
        values = {"id": commitment_id, "holder": hold.holder}

        def let_go(connection: Connection) -> None:
            with connection.transaction():
                row = connection.execute(load("queries/commitment_release"), values).fetchone()
                if row is not None:
                    self._jobs.defer_within(connection, job_of(commitment_id))

        self._database.attempt(let_go)

    def open(self) -> list[CommitmentLine]:
        """Everything that is not reported yet, the oldest first."""
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/commitment_open")).fetchall()
        )
        return [_line(row) for row in rows]

    def retry(self, commitment_ids: Sequence[int]) -> list[int]:
        """Try these again now, parked or waiting; returns those that somebody does not work on already."""

        def rearm(connection: Connection) -> list[int]:
            with connection.transaction():
                rows = connection.execute(
                    load("queries/commitment_retry"), [list(commitment_ids)]
                ).fetchall()
                for (number,) in rows:
                    self._jobs.defer_within(connection, job_of(number))
                return [number for (number,) in rows]

        return self._database.attempt(rearm)

    def forget(self, days: int) -> None:
        """Remove what was reported longer ago; it stays in the audit trail."""
        self._database.attempt(lambda c: c.execute(load("queries/commitment_forget"), [days, days]))


def listed(line: CommitmentLine) -> str:
    """A request as a line of text."""
    refused = f", {line.failures} not committed" if line.failures else ""
    next_at = line.next_attempt_at
    next_text = f"; again at {next_at:%Y-%m-%d %H:%M:%S %Z}" if next_at is not None else ""
    return (
        f"{line.state:9} {line.peer:16} {line.transaction_uid}: {line.reference_count} references{refused}, "
        f"asked {line.requested_at:%Y-%m-%d %H:%M:%S %Z}, {line.attempts} attempts{next_text}"
        + (f"; {line.last_error}" if line.last_error else "")
    )


def job_of(commitment_id: int, delay: float = 0.0) -> NewJob:
    """The job that sees to a request."""
    return NewJob(REPORT_JOB, {PAYLOAD_ID: commitment_id}, delay)


def digest_of(references: Sequence[Reference]) -> bytes:
    """What tells requests under one transaction UID apart, whatever the order of their references."""
    names = sorted(f"{item.sop_class_uid}/{item.sop_instance_uid}\n" for item in references)
    return blake3("".join(names).encode()).digest()


def _commitment(row: tuple[Any, ...]) -> Commitment:
    number, uid, peer, state, classes, instances, reasons, *rest = row
    attempts, requested_at, address, correlation_id = rest
    return Commitment(
        commitment_id=number,
        transaction_uid=uid,
        peer=peer,
        state=CommitmentState(state),
        references=tuple(map(Reference, classes, instances)),
        reasons=tuple(reasons),
        attempts=attempts,
        requested_at=requested_at,
        origin=Origin("dimse", peer, address, correlation_id),
    )


def _line(row: tuple[Any, ...]) -> CommitmentLine:
    number, uid, peer, state, *rest = row
    return CommitmentLine(number, uid, peer, CommitmentState(state), *rest)


def _requested(new: CommitmentRequest) -> AuditEvent:
    detail: dict[str, str | int] = {
        "transaction_uid": new.transaction_uid,
        "references": len(new.references),
    }
    return AuditEvent(AuditAction.COMMITMENT_REQUESTED, new.origin, detail=detail)


def _outcome(commitment: Commitment) -> AuditEvent:
    detail: dict[str, str | int] = {
        "transaction_uid": commitment.transaction_uid,
        "references": len(commitment.references),
        "failed": commitment.failures,
    }
    return AuditEvent(AuditAction.COMMITMENT_REPORTED, commitment.origin, detail=detail)


def _parked(commitment: Commitment, error: str) -> AuditEvent:
    detail: dict[str, str | int] = {
        "transaction_uid": commitment.transaction_uid,
        "reason": error,
    }
    return AuditEvent(AuditAction.COMMITMENT_PARKED, commitment.origin, detail=detail)
