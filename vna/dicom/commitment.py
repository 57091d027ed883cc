"""The datasets of storage commitment: Action Information and Event Information (PS3.4 J.3.2, J.3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from vna.dicom.elements import Scanner
from vna.dicom.encode import encode_dataset
from vna.dicom.encoding import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from vna.dicom.json import dataset_json
from vna.errors import VnaError
from vna.model.commitment import CommitmentReport, FailureReason, Reference
from vna.model.identifiers import is_keepable_uid
from vna.model.query import JsonElement

SUCCESSFUL = 1
FAILURES_EXIST = 2
"""Event Type IDs, PS3.4 J.3.3.1."""

_IMPLICIT_SYNTAX = "1.2.840.10008.1.2"
_RETRIEVE_AE_TITLE = "00080054"
_REFERENCED_SOP_CLASS_UID = "00081150"
_REFERENCED_SOP_INSTANCE_UID = "00081155"
_TRANSACTION_UID = "00081195"
_FAILURE_REASON = "00081197"
_FAILED_SOP_SEQUENCE = "00081198"
_REFERENCED_SOP_SEQUENCE = "00081199"

_Keys = dict[str, JsonElement]


class MissingArgument(VnaError):
    """An attribute that the action or event can't do without is not there."""


class InvalidArgument(VnaError):
    """The dataset, or a value in it, is not what the action or event takes."""


def request_dataset(
    transaction_uid: str, references: Sequence[Reference], transfer_syntax_uid: str
) -> bytes:
    """The Action Information of a request (PS3.4 J.3.2.1.1)."""
    attributes = {
        _TRANSACTION_UID: _element("UI", transaction_uid),
        _REFERENCED_SOP_SEQUENCE: _element("SQ", *map(_item, references)),
    }
    return encode_dataset(attributes, transfer_syntax_uid)


def read_request(data: bytes, transfer_syntax_uid: str) -> tuple[str, tuple[Reference, ...]]:
    """The Transaction UID and the references of a request, each once. Raises MissingArgument, InvalidArgument."""
    keys = _decode(data, transfer_syntax_uid)
    uid = _transaction_uid(keys)
    items = _items(keys, _REFERENCED_SOP_SEQUENCE)
    if not items:
        raise MissingArgument("Referenced SOP Sequence (0008,1199) is missing or empty")
    return uid, tuple(dict.fromkeys(_reference(item) for item in items))


def report_dataset(
    transaction_uid: str,
    findings: Sequence[tuple[Reference, int]],
    retrieve_ae_title: str,
    transfer_syntax_uid: str,
) -> tuple[int, bytes]:
    """Event Type ID and Event Information (PS3.4 J.3.3.1.1) that tell each reference's FailureReason."""
    kept = [reference for reference, reason in findings if reason == FailureReason.KEPT]
    failed = [finding for finding in findings if finding[1] != FailureReason.KEPT]
    attributes = {_TRANSACTION_UID: _element("UI", transaction_uid)}
    if kept:
        attributes[_RETRIEVE_AE_TITLE] = _element("AE", retrieve_ae_title)
        attributes[_REFERENCED_SOP_SEQUENCE] = _element("SQ", *map(_item, kept))
    if failed:
        attributes[_FAILED_SOP_SEQUENCE] = _element(
            "SQ",
            *({**_item(item), _FAILURE_REASON: _element("US", int(why))} for item, why in failed),
        )
    event_type_id = FAILURES_EXIST if failed else SUCCESSFUL
    return event_type_id, encode_dataset(attributes, transfer_syntax_uid)


def read_report(data: bytes, transfer_syntax_uid: str) -> CommitmentReport:
    """What a report says; references in both sequences count as failed. Raises MissingArgument, InvalidArgument."""
    keys = _decode(data, transfer_syntax_uid)
    uid = _transaction_uid(keys)
    failed = tuple(
        (_reference(item), _failure_reason(item)) for item in _items(keys, _FAILED_SOP_SEQUENCE)
    )
    named = {reference for reference, _ in failed}
    committed = tuple(
        reference
        for reference in map(_reference, _items(keys, _REFERENCED_SOP_SEQUENCE))
        if reference not in named
    )
    if not (committed or failed):
        raise MissingArgument("neither Referenced (0008,1199) nor Failed SOP Sequence (0008,1198)")
    return CommitmentReport(uid, committed, failed)


def _decode(data: bytes, transfer_syntax_uid: str) -> _Keys:
    if not data:
        raise MissingArgument("the message has no dataset")
    try:
        keys = dataset_json(data, dataset_offset=0, transfer_syntax_uid=transfer_syntax_uid)
    except (VnaError, ValueError) as exc:
        raise InvalidArgument(f"the dataset cannot be decoded: {exc}") from exc
    scanner = Scanner(data)
    is_implicit = transfer_syntax_uid == _IMPLICIT_SYNTAX
    scanner.elements(0, len(data), IMPLICIT_LITTLE if is_implicit else EXPLICIT_LITTLE)
    if scanner.truncated:
        raise InvalidArgument("the dataset ends in the middle of an element")
    return keys


def _transaction_uid(keys: _Keys) -> str:
    uid = _text(keys, _TRANSACTION_UID)
    if not uid:
        raise MissingArgument("Transaction UID (0008,1195) is missing")
    if not is_keepable_uid(uid):
        raise InvalidArgument("Transaction UID (0008,1195) is no UID")
    return uid


def _reference(item: _Keys) -> Reference:
    """An item without a usable UID can't be reported on, so the whole is refused."""
    sop_class_uid = _text(item, _REFERENCED_SOP_CLASS_UID)
    sop_instance_uid = _text(item, _REFERENCED_SOP_INSTANCE_UID)
    if not (is_keepable_uid(sop_class_uid) and is_keepable_uid(sop_instance_uid)):
        raise InvalidArgument("an item lacks a usable Referenced SOP Class or Instance UID")
    return Reference(sop_class_uid, sop_instance_uid)


def _failure_reason(item: _Keys) -> int:
    values = cast("list[object]", item.get(_FAILURE_REASON, {}).get("Value", []))
    reason = values[0] if values else None
    return reason if isinstance(reason, int) and reason else int(FailureReason.PROCESSING_FAILURE)


def _items(keys: _Keys, key: str) -> list[_Keys]:
    element = keys.get(key, {})
    if element.get("vr", "SQ") != "SQ":
        raise InvalidArgument(f"element {key} is no sequence")
    return cast("list[_Keys]", element.get("Value", []))


def _text(keys: _Keys, key: str) -> str:
    values = cast("list[object]", keys.get(key, {}).get("Value", []))
    return str(values[0] or "").strip(" \0") if values else ""


def _item(reference: Reference) -> _Keys:
    return {
        _REFERENCED_SOP_CLASS_UID: _element("UI", reference.sop_class_uid),
        _REFERENCED_SOP_INSTANCE_UID: _element("UI", reference.sop_instance_uid),
    }


def _element(vr: str, *values: object) -> JsonElement:
    return {"vr": vr, "Value": list(values)}
