"""What came to the archive and what left it, as a feed for others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from vna.model.identifiers import InstanceUids


class ChangeAction(StrEnum):
    """What happened to an instance."""

    STORED = "stored"
    DELETED = "deleted"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class Change:
    """One instance that came or went. Numbers have no gaps, and no later change gets a lower one."""

    number: int
    at: datetime
    action: ChangeAction
    uids: InstanceUids


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Some changes in their order; `oldest` and `newest` are the numbers of all that are kept, 0 when none are."""

    changes: tuple[Change, ...]
    oldest: int
    newest: int
