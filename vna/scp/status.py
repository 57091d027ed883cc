"""From an error to a DIMSE status and its Error Comment (PS3.7 C, PS3.4 B.2.3, C.4.1–3)."""

from __future__ import annotations

from dataclasses import dataclass

from vna.dicom.commitment import InvalidArgument, MissingArgument
from vna.dicom.frame_keys import (
    ExtractionFailed,
    InvalidFrameKeys,
    NoSuchFrames,
    NotExtractable,
    NotTimeBased,
)
from vna.dimse.errors import DataTooLarge
from vna.errors import (
    Corrupt,
    DecoderFailed,
    InvalidInstance,
    InvalidQuery,
    MismatchedInstance,
    NotFound,
    OutOfSpace,
    Unavailable,
    Unsupported,
    VnaError,
)
from vna.scp.policy import Service

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
DUPLICATE_INVOCATION = 0x0210
UNRECOGNIZED_OPERATION = 0x0211
SOP_CLASS_NOT_SUPPORTED = 0x0122
INVALID_OBJECT_INSTANCE = 0x0117
NO_SUCH_OBJECT_INSTANCE = 0x0112
NO_SUCH_EVENT_TYPE = 0x0113
NO_SUCH_ARGUMENT = 0x0114
INVALID_ARGUMENT_VALUE = 0x0115
NO_SUCH_SOP_CLASS = 0x0118
NO_SUCH_ACTION = 0x0123
RESOURCE_LIMITATION = 0x0213
PENDING = 0xFF00
PENDING_UNSUPPORTED_KEYS = 0xFF01
CANCEL = 0xFE00
COERCION = 0xB000
SOP_CLASS_MISMATCH = 0xB007
SUBOPERATIONS_WARNING = 0xB000
UNABLE_TO_PERFORM_SUBOPERATIONS = 0xA702
MOVE_DESTINATION_UNKNOWN = 0xA801
IDENTIFIER_MISMATCH = 0xA900
UNABLE_TO_PROCESS = 0xC000

MAX_COMMENT = 64  # LO, PS3.5 6.2


@dataclass(frozen=True, slots=True)
class Status:
    """A status code and the Error Comment (0000,0902) that explains it; "" for none."""

    code: int
    comment: str = ""


class UndecodableIdentifier(InvalidQuery):
    """The identifier of a request is not a DICOM dataset of the context's transfer syntax."""


# The first row whose class fits decides, so children stand before their parents.
_TABLES: dict[Service, tuple[tuple[type[Exception], int], ...]] = {
    Service.STORAGE: (
        (OutOfSpace, 0xA700),
        (Unavailable, 0xA700),
        (MismatchedInstance, 0xA900),
        (InvalidInstance, 0xC000),
        (VnaError, PROCESSING_FAILURE),
    ),
    Service.FIND: (
        (UndecodableIdentifier, UNABLE_TO_PROCESS),
        (InvalidQuery, IDENTIFIER_MISMATCH),
        (Unavailable, 0xA700),
        (VnaError, UNABLE_TO_PROCESS),
    ),
    Service.MOVE: (
        (UndecodableIdentifier, UNABLE_TO_PROCESS),
        (InvalidQuery, IDENTIFIER_MISMATCH),
        (Unavailable, 0xA701),
        (NoSuchFrames, 0xAA00),
        (NotExtractable, 0xAA01),
        (ExtractionFailed, 0xAA02),
        (NotTimeBased, 0xAA03),
        (InvalidFrameKeys, 0xAA04),
        (VnaError, UNABLE_TO_PROCESS),
    ),
}
_TABLES[Service.COMMITMENT] = (
    (MissingArgument, NO_SUCH_ARGUMENT),
    (InvalidArgument, INVALID_ARGUMENT_VALUE),
    (DataTooLarge, RESOURCE_LIMITATION),
    (Unavailable, RESOURCE_LIMITATION),
    (VnaError, PROCESSING_FAILURE),
)
_TABLES[Service.GET] = _TABLES[Service.MOVE]
_TABLES[Service.VERIFICATION] = ((VnaError, PROCESSING_FAILURE),)

_REMEDIES: tuple[tuple[type[VnaError], str], ...] = (
    (OutOfSpace, "free or add room on the storage and database file systems; the sender may retry"),
    (
        Unavailable,
        "check that the database and the storage answer (see /readyz); the sender may retry",
    ),
    (MismatchedInstance, "the sender labels its objects wrongly; have it corrected there"),
    (InvalidInstance, "the object is damaged or no DICOM instance; have it sent again or repaired"),
    (InvalidQuery, "the request is not conformant; correct it at the peer"),
    (MissingArgument, "the request is not conformant; correct it at the peer"),
    (InvalidArgument, "the request is not conformant; correct it at the peer"),
    (DataTooLarge, "the peer must ask for less at a time"),
    (
        Corrupt,
        "restore the named object from a copy, or have it sent again: it takes the lost one's place",
    ),
    (
        DecoderFailed,
        "the object may be damaged or hostile; a peer that takes its stored syntax can have it",
    ),
    (Unsupported, "the peer must accept the stored transfer syntax"),
    (NotFound, "the object went away meanwhile; query again"),
)


def failure(service: Service, error: Exception) -> Status:
    """The failure status for `error`; anything that is not a VnaError is a processing failure."""
    for kind, code in _TABLES[service]:
        if isinstance(error, kind):
            return Status(code, comment(str(error)))
    return Status(PROCESSING_FAILURE, "internal error, see the archive's log")


def failures_of(service: Service) -> tuple[tuple[type[Exception], int], ...]:
    """The errors of `service` and the status of each; the first that fits decides."""
    return _TABLES[service]


def remedy(error: Exception) -> str:
    """What an operator can do about `error`, for the log."""
    for kind, text in _REMEDIES:
        if isinstance(error, kind):
            return text
    return "this is a fault of the archive; please report it with the log line"


def comment(text: str) -> str:
    """`text` as an Error Comment: LO of 64 printable ASCII characters without backslash."""
    plain = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in " ".join(text.split()))
    return plain if len(plain) <= MAX_COMMENT else plain[: MAX_COMMENT - 3] + "..."


def is_warning(code: int) -> bool:
    """Whether a C-STORE response status means stored with a warning (PS3.7 C.4)."""
    return code in {0x0001, 0x0107, 0x0116} or code >> 12 == 0xB


def is_success(code: int) -> bool:
    """Whether a status means plain success."""
    return code == SUCCESS


def is_failure(code: int) -> bool:
    """Whether a final status is neither success nor warning nor cancel (PS3.7 C)."""
    return not (is_success(code) or is_warning(code) or code == CANCEL)
