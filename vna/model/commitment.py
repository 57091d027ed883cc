"""Storage commitment as both sides know it: transactions, references and findings (PS3.4 J)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from vna.model.identifiers import Origin

REPORT_JOB = "commitment.report"
PAYLOAD_ID = "commitment_id"
"""The job that checks and reports what nobody does at once, and the name of the request's id in its payload."""


class FailureReason(IntEnum):
    """Failure Reason (0008,1197) of a referenced instance, PS3.3 C.14.1.1; KEPT where there is none."""

    KEPT = 0
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    REFERENCED_SOP_CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION_UID = 0x0131
    RESOURCE_LIMITATION = 0x0213


class CommitmentState(StrEnum):
    """Where a request that came to us stands."""

    CHECKING = "checking"
    REPORTING = "reporting"
    PARKED = "parked"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class Reference:
    """An item of the Referenced SOP Sequence (0008,1199)."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """What a peer asks to be committed; each reference is named once. The peer is `origin.peer`."""

    transaction_uid: str
    references: tuple[Reference, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Commitment:
    """A recorded request.

    `reasons`: the findings so far, in the order of `references`, complete once there are as many. `attempts`: how
    often reporting (or checking) has failed.
    """

    commitment_id: int
    transaction_uid: str
    peer: str
    state: CommitmentState
    references: tuple[Reference, ...]
    reasons: tuple[int, ...]
    attempts: int
    requested_at: datetime
    origin: Origin

    @property
    def failures(self) -> int:
        """How many references can't be committed, as far as they were checked."""
        return sum(reason != FailureReason.KEPT for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class CommitmentLine:
    """A request as a person sees it in a list; `last_error` says why the last attempt failed."""

    commitment_id: int
    transaction_uid: str
    peer: str
    state: CommitmentState
    reference_count: int
    failures: int
    attempts: int
    requested_at: datetime
    next_attempt_at: datetime | None
    last_error: str


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What an SCP reported of a transaction: the references it commits to, and those it does not, with the reason."""

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...]


@dataclass(frozen=True, slots=True)
class AskedCommitment:
    """A transaction that we asked `peer` for.

    `reasons`: what was reported, in the order of `references` (a FailureReason each, perhaps one that the standard
    does not know); None: nothing yet.
    """

    transaction_uid: str
    peer: str
    asked_at: datetime
    references: tuple[Reference, ...]
    reported_at: datetime | None
    reasons: tuple[int, ...] | None

    @property
    def is_committed(self) -> bool:
        """Whether the peer has taken responsibility for all of them: only then may our copies go."""
        return self.reasons is not None and not any(self.reasons)

    @property
    def failed(self) -> dict[str, int]:
        """SOP Instance UID -> Failure Reason of what the peer does not commit to, once it has reported."""
        pairs = zip(self.references, self.reasons or (), strict=False)
        return {reference.sop_instance_uid: reason for reference, reason in pairs if reason}


def unknown_peer(peer: str) -> str:
    """Why a report is parked whose peer has no address, and what to do about it."""
    return f"no address is known for AE title {peer}: add [dimse.destinations.{peer}]"
