"""Storage commitment that we asked of peers: which transactions there are, and what was reported of them."""

from __future__ import annotations

from collections.abc import Sequence

from vna.index.database import Database
from vna.index.sql import load
from vna.model.commitment import AskedCommitment, CommitmentReport, FailureReason, Reference


class AskedCommitmentIndex:
    """Shared by all threads and processes; everything raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, transaction_uid: str, peer: str, references: Sequence[Reference]) -> None:
        """Remember a transaction before its request leaves, since the report may come before the answer."""
        values = {
            "uid": transaction_uid,
            "peer": peer,
            "classes": [reference.sop_class_uid for reference in references],
            "instances": [reference.sop_instance_uid for reference in references],
        }
        self._database.attempt(lambda c: c.execute(load("queries/asked_insert"), values))

    def withdraw(self, transaction_uid: str) -> None:
        """Forget a transaction that the peer refused."""
        self._database.attempt(lambda c: c.execute(load("queries/asked_delete"), [transaction_uid]))

    def find(self, transaction_uid: str) -> AskedCommitment | None:
        """A transaction of ours; None: it is none."""
        row = self._database.attempt(
            lambda c: c.execute(load("queries/asked_find"), [transaction_uid]).fetchone()
        )
        if row is None:
            return None
        uid, peer, asked_at, reported_at, classes, instances, reasons = row
        references = tuple(map(Reference, classes, instances))
        found = None if reasons is None else tuple(reasons)
        return AskedCommitment(uid, peer, asked_at, references, reported_at, found)

    def report(self, report: CommitmentReport) -> AskedCommitment | None:
        """Keep what was reported, the first time; None when the transaction is none of ours.

        A reference that the report does not name is not committed to, whatever its event type says.
        """
        asked = self.find(report.transaction_uid)
        if asked is None or asked.reasons is not None:
            return asked
        failed = {reference.sop_instance_uid: reason for reference, reason in report.failed}
        kept = {reference.sop_instance_uid for reference in report.committed}
        reasons = [_reason(item.sop_instance_uid, failed, kept) for item in asked.references]
        values = {"uid": report.transaction_uid, "reasons": reasons}
        self._database.attempt(lambda c: c.execute(load("queries/asked_report"), values))
        return self.find(report.transaction_uid)


def _reason(uid: str, failed: dict[str, int], kept: set[str]) -> int:
    if uid in failed:
        return failed[uid]
    return int(FailureReason.KEPT if uid in kept else FailureReason.PROCESSING_FAILURE)
