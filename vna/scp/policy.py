"""Which abstract and transfer syntaxes the door accepts (PS3.7 D.3.3, PS3.8 9.3.3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache

from pydicom.uid import UID
from pynetdicom.service_class import (
    NonPatientObjectStorageServiceClass,
    ServiceClass,
    StorageServiceClass,
)
from pynetdicom.sop_class import uid_to_service_class

from vna.dimse.negotiation import (
    Acceptance,
    CommonExtended,
    ContextResult,
    Proposal,
    UserIdentity,
)
from vna.model.identifiers import LEVELS, Level, is_valid_uid
from vna.scp.extended import NEGOTIATED, answer_find, answer_retrieve

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
STORAGE_SERVICE_CLASS = "1.2.840.10008.4.2"
UNCOMPRESSED = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG})
IDENTIFIER_SYNTAXES = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)

_STANDARD_ROOT = "1.2.840.10008."
_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
_NEVER_STORED = frozenset({"1.2.840.10008.1.3.10"})  # DICOMDIR is media, not an instance


class Service(StrEnum):
    """What a presentation context is for."""

    VERIFICATION = "verification"
    STORAGE = "storage"
    FIND = "find"
    MOVE = "move"
    GET = "get"
    COMMITMENT = "commitment"


class Model(StrEnum):
    """Query/Retrieve information models (PS3.4 C.3); retired Patient/Study Only is not served."""

    PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1"
    STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2"
    COMPOSITE_ROOT = "1.2.840.10008.5.1.4.1.2.4"
    WITHOUT_BULK_DATA = "1.2.840.10008.5.1.4.1.2.5"

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels of the model, from the top (PS3.4 C.6.1.1, C.6.2.1, Z.3.1).

        Below the one of COMPOSITE_ROOT there are frames (Y.3.1), which are no level of the archive's.
        """
        return _LEVELS[self]

    @property
    def is_hierarchical(self) -> bool:
        """Whether requests may be relational (PS3.4 C.5; not Y.4.1.2.2)."""
        return self in {Model.PATIENT_ROOT, Model.STUDY_ROOT}


_LEVELS = {
    Model.PATIENT_ROOT: LEVELS,
    Model.STUDY_ROOT: LEVELS[1:],
    Model.COMPOSITE_ROOT: LEVELS[3:],
    Model.WITHOUT_BULK_DATA: LEVELS[3:],
}
_NUMBERS = {Service.FIND: 1, Service.MOVE: 2, Service.GET: 3}
_MODEL_SERVICES = {
    Model.PATIENT_ROOT: tuple(_NUMBERS),
    Model.STUDY_ROOT: tuple(_NUMBERS),
    Model.COMPOSITE_ROOT: (Service.MOVE, Service.GET),
    Model.WITHOUT_BULK_DATA: (Service.GET,),
}
_QUERY_RETRIEVE = {
    f"{model}.{_NUMBERS[service]}": (service, model)
    for model, services in _MODEL_SERVICES.items()
    for service in services
}


def model_of(abstract_syntax: str) -> Model:
    """The information model of a served FIND, MOVE or GET class (KeyError for another UID)."""
    return _QUERY_RETRIEVE[abstract_syntax][1]


@lru_cache(maxsize=4096)
def service_of(abstract_syntax: str) -> Service | None:
    """The service behind `abstract_syntax`; None when the archive does not serve it."""
    if abstract_syntax == VERIFICATION:
        return Service.VERIFICATION
    if abstract_syntax == STORAGE_COMMITMENT:
        return Service.COMMITMENT
    if abstract_syntax in _QUERY_RETRIEVE:
        return _QUERY_RETRIEVE[abstract_syntax][0]
    return Service.STORAGE if is_storage_class(abstract_syntax) else None


def is_storage_class(uid: str) -> bool:
    """Whether instances of `uid` are kept: standard, retired, future, private storage classes."""
    if not is_valid_uid(uid) or uid in _NEVER_STORED:
        return False
    if not uid.startswith(_STANDARD_ROOT):
        return True
    known = UID(uid)
    if known.type not in {"", "SOP Class"}:
        return False
    service = uid_to_service_class(uid)
    if service in {StorageServiceClass, NonPatientObjectStorageServiceClass}:
        return True
    if known.type and known.name:
        return _names_storage(known.name)
    return uid.startswith(_STORAGE_ROOT) and service is ServiceClass


def is_announced_storage(uid: str, common: CommonExtended | None) -> bool:
    """Whether the peer says of a SOP class that nobody else knows that it is one of storage.

    PS3.7 D.3.3.6: by its service class, or by a related general SOP class.
    """
    if common is None or not is_valid_uid(uid) or UID(uid).type or uid in _NEVER_STORED:
        return False
    return common.service_class_uid == STORAGE_SERVICE_CLASS or any(
        general.startswith(_STANDARD_ROOT) and is_storage_class(general)
        for general in common.related_general_sop_class_uids
    )


def _names_storage(name: str) -> bool:
    """Whether a SOP class is named for storage itself, not for a service about it."""
    words = set(name.split())
    return "Storage" in words and not words & {"Commitment", "Management"}


@lru_cache(maxsize=1024)
def is_transfer_syntax(uid: str) -> bool:
    """Whether `uid` can be a transfer syntax: valid, and used by the standard for nothing else."""
    if not is_valid_uid(uid):
        return False
    return UID(uid).type in {"", "Transfer Syntax"}


def choose_transfer_syntax(
    service: Service, proposed: Sequence[str], *, peer_only_receives: bool = False
) -> str | None:
    """The syntax to accept for a context, None when there is none.

    An instance is taken in the first syntax the peer names, Explicit VR Little Endian being
    preferred among uncompressed ones. Identifiers, and contexts in which the peer only receives
    (C-GET), take an uncompressed one if there is any: whatever is stored can then be delivered.
    """
    uncompressed = [uid for uid in proposed if uid in UNCOMPRESSED]
    preferred = EXPLICIT_LITTLE if EXPLICIT_LITTLE in uncompressed else None
    if service is not Service.STORAGE:
        return next((uid for uid in IDENTIFIER_SYNTAXES if uid in uncompressed), None)
    first = next((uid for uid in proposed if is_transfer_syntax(uid)), None)
    if peer_only_receives and uncompressed:
        return preferred or next((u for u in uncompressed if u != EXPLICIT_BIG), first)
    if first in UNCOMPRESSED:
        return preferred or first
    return first


class ArchivePolicy:
    """The archive's answer to proposed presentation contexts; stateless, shared by all threads.

    `fuzzy_matching` is the configuration's: what is answered to who proposes it.
    """

    def __init__(self, fuzzy_matching: str = NEGOTIATED) -> None:
        self._fuzzy_matching = fuzzy_matching

    def choose(self, proposal: Proposal) -> Acceptance | ContextResult:
        """Accept what a service stands behind; peers may be SCP of storage classes, for C-GET, and of storage
        commitment, to report on what we asked for.
        """
        service = service_of(proposal.abstract_syntax)
        if is_announced_storage(proposal.abstract_syntax, proposal.common):
            service = Service.STORAGE
        if service is None:
            return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
        role = proposal.role
        if role is not None and not role.scu and not (role.scp and service in _REVERSIBLE):
            return ContextResult.USER_REJECTION
        receives = role is not None and role.scp and not role.scu
        syntax = choose_transfer_syntax(
            service, proposal.transfer_syntaxes, peer_only_receives=receives
        )
        if syntax is None:
            return ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
        return Acceptance(syntax, allow_scp=service in _REVERSIBLE)

    def answer_extended(self, sop_class_uid: str, information: bytes) -> bytes | None:
        """PS3.4 B.3.1 and C.5: storage is full and keeps every bit; queries and retrieval as
        `vna.scp.extended` has it.
        """
        service = service_of(sop_class_uid)
        if service is Service.STORAGE:
            return _STORAGE_SUPPORT
        if service is Service.FIND:
            return answer_find(information, self._fuzzy_matching)
        if service not in _RETRIEVE:
            return None
        if not model_of(sop_class_uid).is_hierarchical:
            return bytes(len(information)) or None
        return answer_retrieve(information)

    def answer_identity(self, identity: UserIdentity) -> bytes:
        """Identities are not checked; an empty response says that one was received."""
        return b""


_REVERSIBLE = frozenset({Service.STORAGE, Service.COMMITMENT})
_RETRIEVE = frozenset({Service.MOVE, Service.GET})
_STORAGE_SUPPORT = bytes((2, 0, 3, 0, 0, 0))  # level 2 (full), signatures level 3, no coercion
