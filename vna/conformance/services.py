"""Status codes, events and failure reasons of the statement, from the tables of the services."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vna.conformance.table import Table, code, table
from vna.dicom.commitment import FAILURES_EXIST, SUCCESSFUL
from vna.model.commitment import FailureReason
from vna.scp.lane import is_transient
from vna.scp.policy import Service
from vna.scp.status import is_success, is_warning
from vna.scp.status_meanings import EVENT_MEANINGS, MEANINGS, OF_ANY_SERVICE, Meanings, kind_of

FAILURE_REASONS: dict[FailureReason, str] = {
    FailureReason.PROCESSING_FAILURE: "its bytes can't be read, or are not those that were stored",
    FailureReason.NO_SUCH_OBJECT_INSTANCE: "not kept here",
    FailureReason.CLASS_INSTANCE_CONFLICT: "kept, but with another SOP Class UID",
    FailureReason.DUPLICATE_TRANSACTION_UID: "the peer used the Transaction UID for other references",
}
"""What the archive reports of an instance (Failure Reason (0008,1197), PS3.3 C.14.1.1)."""


def status_table(service: Service) -> Table:
    """What the archive answers to requests of `service`."""
    return _statuses({**MEANINGS[service], **_generic(service)})


def _generic(service: Service) -> Meanings:
    return {
        status: text for status, text in OF_ANY_SERVICE.items() if status not in MEANINGS[service]
    }


def event_status_table() -> Table:
    """What the archive answers to an N-EVENT-REPORT."""
    return _statuses(EVENT_MEANINGS)


def _statuses(meanings: Meanings) -> Table:
    order = ("success", "pending", "warning", "cancel", "failure")
    found = sorted(meanings.items(), key=lambda item: (order.index(kind_of(item[0])), item[0]))
    return table(
        "status | type | meaning", ((code(key), kind_of(key), text) for key, text in found)
    )


def suboperation_table() -> Table:
    """What becomes of a sub-operation by the status of the receiver, for all 65 536 of them."""
    effects: list[tuple[str, Callable[[int], bool]]] = [
        ("completed", is_success),
        ("completed with a warning", is_warning),
        ("C-MOVE: tried again, then failed; C-GET: failed", is_transient),
    ]
    rows = [(_ranges(filter(test, range(0x10000))), effect) for effect, test in effects]
    return table("response of the receiver | effect", [*rows, ("any other", "failed")])


def _ranges(numbers: Iterable[int]) -> str:
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(code(a) if a == b else f"{code(a)}–{code(b)}" for a, b in spans)


def event_table() -> Table:
    """The events of storage commitment (PS3.4 J.3.3.1)."""
    rows = (
        (SUCCESSFUL, "all instances are committed"),
        (
            FAILURES_EXIST,
            "some are not; Failed SOP Sequence (0008,1198) names them and the reasons",
        ),
    )
    return table("event type | meaning", ((str(number), text) for number, text in rows))


def failure_reason_table() -> Table:
    """The failure reasons of reports."""
    rows = ((code(reason), text) for reason, text in FAILURE_REASONS.items())
    return table("failure reason | meaning", rows)
