"""Storage commitment as an SCU: what we asked of peers and what they said, for whoever forwards or migrates."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import uuid4

from vna.index.commitments_asked import AskedCommitmentIndex
from vna.model.commitment import AskedCommitment, CommitmentReport, Reference

log = logging.getLogger(__name__)


class AskedCommitmentService:
    """Transactions of ours; a report may come to any process, on any association. Everything raises Unavailable."""

    def __init__(self, index: AskedCommitmentIndex) -> None:
        self._index = index

    def begin(self, peer: str, references: Sequence[Reference]) -> str:
        """The Transaction UID of a new transaction, remembered durably before its request is sent to `peer`."""
        transaction_uid = f"2.25.{uuid4().int}"
        self._index.ask(transaction_uid, peer, references)
        return transaction_uid

    def withdraw(self, transaction_uid: str) -> None:
        """The peer refused the request: no report will come."""
        self._index.withdraw(transaction_uid)

    def find(self, transaction_uid: str) -> AskedCommitment | None:
        """What became of a transaction; None: it is none of ours."""
        return self._index.find(transaction_uid)

    def reported(self, report: CommitmentReport, peer: str) -> bool:
        """Keep a report that `peer` sent; False when the transaction is none of ours.

        Whoever knows the Transaction UID may report on it: archives of several nodes report under other AE titles
        than the one that was asked, and a title proves nothing.
        """
        asked = self._index.report(report)
        if asked is None:
            return False
        log.info(
            "storage commitment was reported to us",
            extra={
                "transaction_uid": report.transaction_uid,
                "asked": asked.peer,
                "peer": peer,
                "references": len(asked.references),
                "failed": len(asked.failed),
            },
        )
        return True
