"""A peer that asks the archive for storage commitment and takes its reports, there or on a port of its own."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests import samples
from tests.scp.site import LOOPBACK, Site
from vna.config import DestinationConfig
from vna.dimse.association import Association
from vna.dimse.command import Command
from vna.dimse.commitment_scu import (
    STORAGE_COMMITMENT_PUSH_MODEL,
    await_report,
    request_commitment,
    take_report,
)
from vna.dimse.errors import DimseError
from vna.dimse.negotiation import (
    Acceptance,
    ContextResult,
    Proposal,
    UserIdentity,
)
from vna.dimse.settings import AcceptorSettings
from vna.model.commitment import CommitmentReport, Reference
from vna.model.identifiers import Origin

COMMITMENT = (STORAGE_COMMITMENT_PUSH_MODEL, (samples.EXPLICIT, samples.IMPLICIT))
CT = samples.CT_IMAGE
WAIT = 120.0


def keep(site: Site, count: int = 1, rows: int = 16) -> list[Reference]:
    """Store CT images; what they are referred to by."""
    references = [Reference(CT, samples.new_uid()) for _ in range(count)]
    for reference in references:
        keep_file(
            site,
            samples.ct(sop_instance_uid=reference.sop_instance_uid, rows=rows, columns=rows),
        )
    return references


def keep_file(site: Site, file: bytes) -> None:
    """Store a Part 10 file."""
    with site.door.store.spool.open() as writer:
        writer.write(file)
        with writer.finish() as spooled:
            site.door.store.store(spooled, Origin("import"))


def outcome(report: CommitmentReport) -> dict[str, int]:
    """SOP Instance UID -> Failure Reason, 0 for what is committed."""
    found = {reference.sop_instance_uid: 0 for reference in report.committed}
    return found | {reference.sop_instance_uid: reason for reference, reason in report.failed}


@dataclass
class Peer:
    """Keeps the reports that it gets; `answer` is the status for a report, None to abort instead."""

    reports: queue.Queue[CommitmentReport] = field(default_factory=queue.Queue)
    commands: list[Command] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    answer: Callable[[], int | None] = lambda: 0
    allow_scp: bool = True

    def take(self, report: CommitmentReport) -> bool:
        """Keep a report."""
        self.reports.put(report)
        return True

    def ask(
        self, association: Association, references: list[Reference], transaction_uid: str = ""
    ) -> str:
        """Ask for commitment; the Transaction UID."""
        uid = transaction_uid or samples.new_uid()
        assert request_commitment(association, uid, references, self.take) == 0
        return uid

    def hear(self, association: Association, transaction_uid: str) -> CommitmentReport:
        """The report on a transaction, on the same association."""
        assert await_report(association, transaction_uid, self.take) or not self.reports.empty()
        return self.next_report()

    def next_report(self) -> CommitmentReport:
        """The next report that comes."""
        return self.reports.get(timeout=WAIT)

    def choose(self, proposal: Proposal) -> Acceptance | ContextResult:
        """Part of the policy: everything, in the first syntax."""
        self.proposals.append(proposal)
        return Acceptance(proposal.transfer_syntaxes[0], allow_scp=self.allow_scp)

    def answer_extended(self, sop_class_uid: str, information: bytes) -> bytes | None:
        """Part of the policy: no extended negotiation."""
        return None

    def answer_identity(self, identity: UserIdentity) -> bytes:
        """Part of the policy: no identities."""
        return b""

    @contextmanager
    def listen(self, site: Site, name: str = "TESTS") -> Iterator[Peer]:
        """Be reachable for `site` under `name` until the end of the block."""
        with socket.create_server((LOOPBACK, 0)) as listening:
            threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
            site.destinations[name] = DestinationConfig(LOOPBACK, listening.getsockname()[1])
            yield self
            listening.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with Association.accept(sock, AcceptorSettings("PEER", self)) as association:
                while (message := association.receive()) is not None:
                    self.commands.append(message.command)
                    status = self.answer()
                    if status is None:
                        association.abort()
                        return
                    if status:
                        association.refuse(message, status)
                    else:
                        take_report(association, message, self.take)
        except DimseError:
            return
