"""What became of the instances of a store request: status and response dataset (PS3.18 10.5.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus

from dicomweb.urls import instance_path, study_path
from vna.errors import (
    InvalidInstance,
    MismatchedInstance,
    OutOfSpace,
    Unavailable,
    Unsupported,
    VnaError,
)
from vna.model.instances import Outcome
from vna.model.query import JsonElement
from vna.services.store import StoreOutcome

PROCESSING_FAILURE = 0x0110
OUT_OF_RESOURCES = 0xA700
DATASET_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
UNSUPPORTED_TRANSFER_SYNTAX = 0xC122
WARNING_DATASET = 0xB007

_MAX_COMMENT = 64  # LO, PS3.5 6.2

# PS3.18 table I.2-2. The first row whose class fits decides: children stand before parents.
_REASONS: tuple[tuple[type[VnaError], int], ...] = (
    (Unavailable, OUT_OF_RESOURCES),
    (MismatchedInstance, DATASET_MISMATCH),
    (InvalidInstance, CANNOT_UNDERSTAND),
    (Unsupported, UNSUPPORTED_TRANSFER_SYNTAX),
)

Dataset = dict[str, JsonElement]


@dataclass(frozen=True, slots=True)
class Failure:
    """An instance that is not kept; the UIDs are "" where the part does not tell them."""

    error: VnaError
    reason: int
    sop_class_uid: str = ""
    sop_instance_uid: str = ""


@dataclass(slots=True)
class StowReport:
    """Grows as parts are received."""

    stored: list[StoreOutcome] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not self.stored and not self.failed

    @property
    def is_transient_failure(self) -> bool:
        """Whether nothing was stored for reasons that may pass."""
        return not self.stored and any(item.error.transient for item in self.failed)

    def status(self) -> HTTPStatus:
        """200 all stored; 202 some not, or with warnings; 409 none, 503 or 507 none for now."""
        if not self.stored:
            return self._failure_status()
        if self.failed or any(_warning(outcome) for outcome in self.stored):
            return HTTPStatus.ACCEPTED
        return HTTPStatus.OK

    def dataset(self, studies_url: str) -> Dataset:
        """The Store Instances response (PS3.18 table 10.5.3-1) in the DICOM JSON model."""
        dataset: Dataset = {}
        studies = {outcome.uids.study_instance_uid for outcome in self.stored}
        if len(studies) == 1:
            dataset["00081190"] = _element("UR", studies_url + study_path(*studies))
        named = [failure for failure in self.failed if failure.sop_instance_uid]
        others = [failure for failure in self.failed if not failure.sop_instance_uid]
        for tag, items in (
            ("00081198", [_failed_item(failure) for failure in named]),
            ("00081199", [_stored_item(outcome, studies_url) for outcome in self.stored]),
            ("0008119A", [_reason_item(failure) for failure in others]),
        ):
            if items:
                dataset[tag] = {"vr": "SQ", "Value": items}
        return dataset

    def _failure_status(self) -> HTTPStatus:
        if any(isinstance(failure.error, OutOfSpace) for failure in self.failed):
            return HTTPStatus.INSUFFICIENT_STORAGE
        if self.is_transient_failure:
            return HTTPStatus.SERVICE_UNAVAILABLE
        return HTTPStatus.CONFLICT


def failure_reason(error: VnaError) -> int:
    """The Failure Reason (0008,1197) of `error`."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return PROCESSING_FAILURE


def _warning(outcome: StoreOutcome) -> str:
    """Why a kept instance deserves a warning, "" when it does not."""
    if outcome.outcome is Outcome.CONFLICT:
        return "other content is known under this UID; both are kept and listed"
    return outcome.warnings[0] if outcome.warnings else ""


def _stored_item(outcome: StoreOutcome, studies_url: str) -> Dataset:
    item = {
        "00081150": _element("UI", outcome.sop_class_uid),
        "00081155": _element("UI", outcome.uids.sop_instance_uid),
        "00081190": _element("UR", studies_url + instance_path(outcome.uids)),
    }
    warning = _warning(outcome)
    if warning:
        item["00081196"] = _element("US", WARNING_DATASET)
        item["00000902"] = _element("LO", comment(warning))
    return item


def _failed_item(failure: Failure) -> Dataset:
    return {
        "00081150": _element("UI", failure.sop_class_uid),
        "00081155": _element("UI", failure.sop_instance_uid),
        **_reason_item(failure),
    }


def _reason_item(failure: Failure) -> Dataset:
    """The reason as a code, and in words: Error Comment (0000,0902) of PS3.7."""
    return {
        "00081197": _element("US", failure.reason),
        "00000902": _element("LO", comment(str(failure.error))),
    }


def _element(vr: str, value: str | int) -> JsonElement:
    return {"vr": vr, "Value": [value]} if value != "" else {"vr": vr}


def comment(text: str) -> str:
    """`text` as a value of LO: printable ASCII without backslash, 64 characters at most."""
    plain = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in " ".join(text.split()))
    return plain if len(plain) <= _MAX_COMMENT else plain[: _MAX_COMMENT - 3] + "..."
