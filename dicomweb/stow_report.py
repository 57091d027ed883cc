"""What became of the instances of a store request: status and response dataset (PS3.18 10.5.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

import orjson

from dicomweb.pieces import Pieces
from dicomweb.urls import instance_path, study_path
from vna.dicom.native_xml import xml_chunks
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
from vna.spool import Spool

PROCESSING_FAILURE = 0x0110
OUT_OF_RESOURCES = 0xA700
DATASET_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
UNSUPPORTED_TRANSFER_SYNTAX = 0xC122
WARNING_DATASET = 0xB007

_MAX_COMMENT = 64  # LO, PS3.5 6.2
_RETRIEVE_URL, _FAILED, _STORED, _OTHERS = "00081190", "00081198", "00081199", "0008119A"

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


class StowReport:
    """Grows as parts are received; its items are serialised at once, and many of them lie in the spool. Close it."""

    def __init__(self, spool: Spool, studies_url: str) -> None:
        self._url = studies_url
        self._sequences = {tag: Pieces(spool) for tag in (_FAILED, _STORED, _OTHERS)}
        self._study: str | None = None
        self._has_several_studies = False
        self._has_warning = self._has_transient = self._is_out_of_space = False
        self.last_error: VnaError | None = None

    @property
    def stored(self) -> int:
        """How many instances are kept."""
        return self._sequences[_STORED].count

    @property
    def failed(self) -> int:
        """How many are not."""
        return self._sequences[_FAILED].count + self._sequences[_OTHERS].count

    @property
    def is_empty(self) -> bool:
        return not self.stored and not self.failed

    @property
    def is_long(self) -> bool:
        """Whether it is more than memory should hold: it has to be streamed."""
        return any(pieces.is_spooled for pieces in self._sequences.values())

    @property
    def is_transient_failure(self) -> bool:
        """Whether nothing was stored for reasons that may pass."""
        return not self.stored and self._has_transient

    def add(self, result: StoreOutcome | Failure) -> None:
        """What became of one instance."""
        if isinstance(result, Failure):
            self._add_failure(result)
            return
        warning = _warning(result)
        if result.outcome is not Outcome.CONFLICT:
            study = result.uids.study_instance_uid
            self._has_several_studies |= self._study not in {None, study}
            self._study = study
        self._has_warning |= bool(warning)
        self._sequences[_STORED].add(orjson.dumps(_stored_item(result, warning, self._url)))

    def status(self) -> HTTPStatus:
        """200 all stored; 202 some not, or with warnings; 409 none, 503 or 507 none for now."""
        if not self.stored:
            return self._failure_status()
        if self.failed or self._has_warning:
            return HTTPStatus.ACCEPTED
        return HTTPStatus.OK

    def json_chunks(self) -> Iterator[bytes]:
        """The Store Instances response (PS3.18 table 10.5.3-1) in the DICOM JSON model."""
        opening = b"{"
        for tag, element in self._attributes().items():
            yield opening + b'"%s":%s' % (tag.encode(), orjson.dumps(element))
            opening = b","
        for tag, pieces in self._sequences.items():
            if pieces.count:
                yield opening + b'"%s":{"vr":"SQ","Value":' % tag.encode()
                yield from _array(pieces)
                yield b"}"
                opening = b","
        yield b"{}" if opening == b"{" else b"}"

    def xml_chunks(self) -> Iterator[bytes]:
        """The same as a document of the Native DICOM Model."""
        sequences = {
            tag: map(orjson.loads, pieces)
            for tag, pieces in self._sequences.items()
            if pieces.count
        }
        return xml_chunks(self._attributes(), sequences)

    def close(self) -> None:
        """Let go of the spool."""
        for pieces in self._sequences.values():
            pieces.close()

    def _add_failure(self, failure: Failure) -> None:
        self.last_error = failure.error
        self._has_transient |= failure.error.transient
        self._is_out_of_space |= isinstance(failure.error, OutOfSpace)
        is_named = bool(failure.sop_instance_uid)
        item = _failed_item(failure) if is_named else _reason_item(failure)
        self._sequences[_FAILED if is_named else _OTHERS].add(orjson.dumps(item))

    def _attributes(self) -> Dataset:
        if self._study is None or self._has_several_studies:
            return {}
        return {_RETRIEVE_URL: _element("UR", self._url + study_path(self._study))}

    def _failure_status(self) -> HTTPStatus:
        if self._is_out_of_space:
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


def _array(pieces: Pieces) -> Iterator[bytes]:
    opening = b"["
    for item in pieces:
        yield opening + item
        opening = b","
    yield b"]"


def _warning(outcome: StoreOutcome) -> str:
    """Why a kept instance deserves a warning, "" when it does not."""
    if outcome.outcome is Outcome.CONFLICT:
        return "other content is known under this UID; both are kept and listed"
    return outcome.warnings[0] if outcome.warnings else ""


def _stored_item(outcome: StoreOutcome, warning: str, studies_url: str) -> Dataset:
    """Without a Retrieve URL where another version stands under the UIDs, maybe in another study."""
    is_retrievable = outcome.outcome is not Outcome.CONFLICT
    url = studies_url + instance_path(outcome.uids) if is_retrievable else ""
    item = {
        "00081150": _element("UI", outcome.sop_class_uid),
        "00081155": _element("UI", outcome.uids.sop_instance_uid),
        "00081190": _element("UR", url),
    }
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
