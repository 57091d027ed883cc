"""Who and what: UIDs, levels of the information model, and where an object came from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")
_KEPT_UID = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_NEVER_IN_UID = frozenset('/\\*?"<>|')
MAX_KEPT_UID_LENGTH = 128


class Level(StrEnum):
    """Query/Retrieve Level (0008,0052), PS3.4 C.6."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


LEVELS = tuple(Level)


def is_valid_uid(text: str) -> bool:
    """Whether `text` follows the UID construction rules of PS3.5 9.1."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def is_keepable_uid(text: str) -> bool:
    """Whether `text` can identify an object although it may break PS3.5 9.1.

    Printable ASCII, 128 characters at most, no path, wildcard or value separators, no '..'.
    """
    return (
        len(text) <= MAX_KEPT_UID_LENGTH
        and _KEPT_UID.fullmatch(text) is not None
        and not _NEVER_IN_UID.intersection(text)
        and ".." not in text
    )


@dataclass(frozen=True, slots=True)
class InstanceUids:
    """The three UIDs that place an instance."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Through which door an object came, and from whom.

    `door` is "dimse", "web" or "import"; `peer` the calling AE title, web user or path; `address` the
    peer's network address or ""; `correlation_id` names the association, request or run in logs; `user` is whom
    the peer has proved to act for, beyond its own name.
    """

    door: str
    peer: str = ""
    address: str = ""
    correlation_id: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which instances are wanted: every non-empty tuple narrows, the UIDs inside one tuple are alternatives.

    A selection that narrows nothing selects nothing: an empty key never means the whole archive.
    """

    patient_ids: tuple[str, ...] = ()
    study_instance_uids: tuple[str, ...] = ()
    series_instance_uids: tuple[str, ...] = ()
    sop_instance_uids: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (
            self.patient_ids
            or self.study_instance_uids
            or self.series_instance_uids
            or self.sop_instance_uids
        )
