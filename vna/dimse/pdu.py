"""Protocol data units as values (PS3.8 9.3), and the bytes of those that have a fixed form."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from vna.dimse.errors import DimseError
from vna.dimse.negotiation import CommonExtended, RoleSelection, UserIdentity

APPLICATION_CONTEXT_NAME = "1.2.840.10008.3.1.1.1"
PROTOCOL_VERSION = 1
PDU_HEADER_LENGTH = 6
PDV_HEADER_LENGTH = 6


class PduType(IntEnum):
    """PDU types, PS3.8 9.3.1."""

    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


class AbortSource(IntEnum):
    """Source of an A-ABORT, PS3.8 table 9-26."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Reason of a provider's A-ABORT, PS3.8 table 9-26."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class InvalidPdu(DimseError):
    """Bytes that are no PDU, or a PDU that breaks the rules; `reason` is for the A-ABORT."""

    def __init__(self, message: str, reason: AbortReason = AbortReason.INVALID_PARAMETER) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """Presentation context item of an A-ASSOCIATE-RQ, PS3.8 9.3.2.2."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnsweredContext:
    """Presentation context item of an A-ASSOCIATE-AC, PS3.8 9.3.3.2; the syntax counts only for
    result 0.
    """

    id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class UserInformation:
    """User information item, PS3.8 9.3.2.3 and PS3.7 D.3.3; `max_pdu_length` 0 is "no limit"."""

    max_pdu_length: int = 0
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    asynchronous_operations: tuple[int, int] | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[tuple[str, bytes], ...] = ()
    common_extended: tuple[CommonExtended, ...] = ()
    user_identity: UserIdentity | None = None
    identity_response: bytes | None = None


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ, PS3.8 9.3.2."""

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[ProposedContext, ...]
    user: UserInformation
    application_context_name: str = APPLICATION_CONTEXT_NAME
    protocol_version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """A-ASSOCIATE-AC, PS3.8 9.3.3; the AE titles are the request's, returned unchanged."""

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[AnsweredContext, ...]
    user: UserInformation
    application_context_name: str = APPLICATION_CONTEXT_NAME
    protocol_version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ, PS3.8 9.3.4."""

    result: int
    source: int
    reason: int

    def encode(self) -> bytes:
        return _FIXED.pack(PduType.ASSOCIATE_RJ, 4, 0, self.result, self.source, self.reason)


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of a presentation data value, PS3.8 9.3.5.1 and E.2.

    A PDV may come in several pieces, as its bytes arrive; `is_last` is set on the last piece of the
    message's last fragment only. `data` is a view of the receiver's buffer, valid until the next
    piece is asked for.
    """

    context_id: int
    is_command: bool
    is_last: bool
    data: memoryview


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ, PS3.8 9.3.6."""

    def encode(self) -> bytes:
        return _FIXED.pack(PduType.RELEASE_RQ, 4, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class ReleaseReply:
    """A-RELEASE-RP, PS3.8 9.3.7."""

    def encode(self) -> bytes:
        return _FIXED.pack(PduType.RELEASE_RP, 4, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT, PS3.8 9.3.8; the reason is significant only from the provider (source 2)."""

    source: int = AbortSource.SERVICE_USER
    reason: int = AbortReason.NOT_SPECIFIED

    def encode(self) -> bytes:
        return _FIXED.pack(PduType.ABORT, 4, 0, 0, self.source, self.reason)


Pdu = (
    AssociateRequest
    | AssociateAccept
    | AssociateReject
    | Fragment
    | ReleaseRequest
    | ReleaseReply
    | Abort
)
_FIXED = struct.Struct(">BxIBBBB")
