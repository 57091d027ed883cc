"""What each status that the archive answers with tells the peer, by service (PS3.7 C, PS3.4)."""

from __future__ import annotations

from vna.scp.policy import Service
from vna.scp.status import (
    CANCEL,
    COERCION,
    IDENTIFIER_MISMATCH,
    INVALID_ARGUMENT_VALUE,
    INVALID_OBJECT_INSTANCE,
    MOVE_DESTINATION_UNKNOWN,
    NO_SUCH_ACTION,
    NO_SUCH_ARGUMENT,
    NO_SUCH_EVENT_TYPE,
    NO_SUCH_OBJECT_INSTANCE,
    NO_SUCH_SOP_CLASS,
    PENDING,
    PENDING_UNSUPPORTED_KEYS,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    SOP_CLASS_MISMATCH,
    SOP_CLASS_NOT_SUPPORTED,
    SUBOPERATIONS_WARNING,
    SUCCESS,
    UNABLE_TO_PERFORM_SUBOPERATIONS,
    UNABLE_TO_PROCESS,
    UNRECOGNIZED_OPERATION,
)

Meanings = dict[int, str]

OF_ANY_SERVICE: Meanings = {
    PROCESSING_FAILURE: "processing failure, told in the archive's log",
    SOP_CLASS_NOT_SUPPORTED: "the archive has not the role of an SCP on this presentation context",
    UNRECOGNIZED_OPERATION: "the service of the SOP class has no such operation",
}

_IDENTIFIERS: Meanings = {
    IDENTIFIER_MISMATCH: "the identifier does not fit the SOP class: its level is missing or unknown, a unique "
    "key is missing or a value malformed; Error Comment names the attribute",
    UNABLE_TO_PROCESS: "the identifier is too long, can't be decoded or can't be processed",
    CANCEL: "cancelled by a C-CANCEL",
}

_RETRIEVE: Meanings = {
    SUCCESS: "every sub-operation completed; also when nothing was selected",
    PENDING: "sub-operations go on; with the counters",
    SUBOPERATIONS_WARNING: "some sub-operations failed or completed with a warning",
    **_IDENTIFIERS,
    CANCEL: "cancelled by a C-CANCEL; with the counters and what remains",
    0xA701: "the matches can't be counted: database or storage is away; or more operations at once than were "
    "negotiated",
    UNABLE_TO_PERFORM_SUBOPERATIONS: "no sub-operation could be completed",
    0xAA00: "none of the frames requested is in the instance (Composite Instance Root)",
    0xAA01: "no valid instance can be made of frames of this SOP class (Composite Instance Root)",
    0xAA02: "the frames can't be taken out of this instance (Composite Instance Root)",
    0xAA03: "frames requested by time of an instance that is not time-based (Composite Instance Root)",
    0xAA04: "the frame keys of the request are invalid (Composite Instance Root)",
}

_ARGUMENTS: Meanings = {
    NO_SUCH_OBJECT_INSTANCE: "not the well-known SOP Instance of the Push Model",
    NO_SUCH_ARGUMENT: "an attribute is missing that the message can't do without",
    INVALID_ARGUMENT_VALUE: "the dataset can't be decoded, or a value in it is invalid",
}

MEANINGS: dict[Service, Meanings] = {
    Service.VERIFICATION: {SUCCESS: "always"},
    Service.STORAGE: {
        SUCCESS: "stored, durable and indexed; or known already with the same dataset",
        COERCION: "stored; the SOP Instance UID was known with another dataset: both are kept, the first stays the "
        "one that is found",
        SOP_CLASS_MISMATCH: "stored; SOP Class UID of command and dataset differ",
        0xA700: "out of resources: storage or database is full or away; nothing was kept, send it again later",
        0xA900: "the SOP Instance UID of the dataset is not that of the command; nothing was kept",
        0xC000: "no dataset, or none in which an instance can be identified; nothing was kept",
        INVALID_OBJECT_INSTANCE: "the Affected SOP Instance UID can't be kept as a UID: empty, too long, with path "
        "separators or wildcards",
    },
    Service.FIND: {
        SUCCESS: "all matches were sent",
        PENDING: "a match",
        PENDING_UNSUPPORTED_KEYS: "a match; some keys are not supported for matching or return",
        **_IDENTIFIERS,
        0xA700: "out of resources: the database is away; or more operations at once than were negotiated",
    },
    Service.MOVE: {
        **_RETRIEVE,
        MOVE_DESTINATION_UNKNOWN: "the Move Destination is not configured",
    },
    Service.GET: _RETRIEVE,
    Service.COMMITMENT: {
        SUCCESS: "the request is recorded durably; a report will come",
        **_ARGUMENTS,
        NO_SUCH_SOP_CLASS: "not the SOP class of the Push Model",
        NO_SUCH_ACTION: "not action type 1",
        RESOURCE_LIMITATION: "the request is too long, or the database is away",
    },
}
"""Of requests to the archive, besides OF_ANY_SERVICE."""

EVENT_MEANINGS: Meanings = {
    SUCCESS: "the report is kept",
    **_ARGUMENTS,
    NO_SUCH_OBJECT_INSTANCE: "not the well-known SOP Instance, or a Transaction UID that the archive did not use",
    NO_SUCH_EVENT_TYPE: "neither event type 1 nor 2",
    RESOURCE_LIMITATION: "the report is too long",
}
"""Of N-EVENT-REPORTs to the archive as SCU of storage commitment (PS3.4 J.3.3)."""


def kind_of(status: int) -> str:
    """The type of a status (PS3.7 C): success, pending, cancel, warning, failure."""
    if status in {SUCCESS, CANCEL}:
        return "success" if status == SUCCESS else "cancel"
    if status in {PENDING, PENDING_UNSUPPORTED_KEYS}:
        return "pending"
    return "warning" if status >> 12 == 0xB else "failure"
