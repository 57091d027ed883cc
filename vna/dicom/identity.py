"""Under which UIDs an object is kept: its own, announced ones, or derived ones, and what was wrong
with them.
"""

from __future__ import annotations

from dataclasses import dataclass

from blake3 import blake3

from vna.errors import InvalidInstance
from vna.model.identifiers import InstanceUids, is_keepable_uid, is_valid_uid


@dataclass(frozen=True, slots=True)
class Known:
    """What stands beside the dataset: file meta information or C-STORE command; "" for nothing."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The UIDs of an instance and the warnings about them."""

    uids: InstanceUids
    sop_class_uid: str
    warnings: tuple[str, ...]


def identify(own: InstanceUids, sop_class_uid: str, known: Known) -> Identity:
    """The identity of an object whose dataset holds these UIDs ("" for missing).

    Raises InvalidInstance without a SOP Instance UID, and for a UID that can't identify an object.
    """
    warnings: list[str] = []
    instance = _or_known("SOP Instance UID", own.sop_instance_uid, known.sop_instance_uid, warnings)
    if not instance:
        raise InvalidInstance("the object has no SOP Instance UID (0008,0018)")
    sop_class = _or_known("SOP Class UID", sop_class_uid, known.sop_class_uid, warnings)
    if not sop_class:
        warnings.append("no SOP Class UID")
    study = own.study_instance_uid
    if not study:
        study = derived_uid("study", instance)
        warnings.append(f"no Study Instance UID: derived {study}")
    series = own.series_instance_uid
    if not series:
        series = derived_uid("series", study, sop_class)
        warnings.append(f"no Series Instance UID: derived {series}")
    uids = InstanceUids(study, series, instance)
    for name, uid in (
        ("SOP Instance UID", instance),
        ("Study Instance UID", study),
        ("Series Instance UID", series),
        ("SOP Class UID", sop_class),
    ):
        if not is_valid_uid(uid) and uid:
            warnings.append(_check(name, uid))
    return Identity(uids, sop_class, tuple(warnings))


def derived_uid(*parts: str) -> str:
    """A UID that follows from `parts` alone: 2.25 and 128 bits of their BLAKE3 (PS3.5 B.2)."""
    digest = blake3("\0".join(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def _or_known(name: str, uid: str, known: str, warnings: list[str]) -> str:
    if not uid and known:
        warnings.append(f"no {name} in the dataset: taken from what announced it")
        return known
    if known and uid != known:
        warnings.append(f"{name} of the file meta information is {known[:80]!r}, not the dataset's")
    return uid


def _check(name: str, uid: str) -> str:
    if not is_keepable_uid(uid):
        raise InvalidInstance(f"{name} {uid[:80]!r} can't identify an object")
    return f"{name} {uid!r} is not valid (PS3.5 9.1)"
