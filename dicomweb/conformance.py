"""What the conformance statement tells of DICOMweb, from the tables of the gateway (PS3.18)."""

from __future__ import annotations

from http import HTTPStatus
from types import SimpleNamespace
from typing import cast

from dicomweb.app import create_app
from dicomweb.errors import (
    BadRequest,
    ContentTooLarge,
    Forbidden,
    NotAcceptable,
    RangeNotSatisfiable,
    TooManyRequests,
    Unauthorized,
    UnsupportedMediaType,
    status_of,
)
from dicomweb.media import FRAME_TYPES
from dicomweb.search_parameters import Within, read_search
from dicomweb.services import Services
from dicomweb.stow_report import WARNING_DATASET, Failure, StowReport, failure_reason
from dicomweb.urls import ROOT
from vna.config import WebConfig
from vna.conformance.classes import title
from vna.conformance.table import Row, Table, code, listed, table
from vna.dicom.matching import attribute_name
from vna.dicom.syntaxes import FRAME_TARGETS, OBJECT_TARGETS
from vna.errors import (
    Corrupt,
    Gone,
    InvalidInstance,
    InvalidQuery,
    MismatchedInstance,
    NotFound,
    OutOfSpace,
    TooBroad,
    Unavailable,
    Unsupported,
    VnaError,
)
from vna.model.identifiers import InstanceUids, Level
from vna.model.instances import Outcome
from vna.services.store import StoreOutcome
from vna.spool import Spool

_ERRORS: tuple[tuple[type[VnaError], str], ...] = (
    (BadRequest, "the request breaks the syntax of PS3.18"),
    (InvalidQuery, "a search key is unknown or malformed"),
    (TooBroad, "a search takes longer than it may; narrow it"),
    (Unauthorized, "no valid credentials, where users are configured"),
    (Forbidden, "the user may not do this: delete or restore, by `web.allow_delete`"),
    (NotFound, "there is no such resource"),
    (Gone, "it was deleted and is in the trash, or changes that are kept no more were asked for"),
    (NotAcceptable, "no accepted representation is available; the answer names those that are"),
    (Unsupported, "the object can't be converted to what is accepted"),
    (UnsupportedMediaType, "the body is of a type that can't be stored, or compressed"),
    (RangeNotSatisfiable, "the byte range lies outside of the resource"),
    (ContentTooLarge, "the body is longer than `web.max_body_bytes` allows"),
    (
        TooManyRequests,
        "the client asks for more than it may; `Retry-After` tells when to come again",
    ),
    (Corrupt, "the stored object is damaged"),
    (Unavailable, "database or storage is away: try again"),
    (OutOfSpace, "database or storage is full: try again"),
)
_REASONS: tuple[tuple[type[VnaError], str], ...] = (
    (Unavailable, "storage or database is full or away"),
    (MismatchedInstance, "the dataset is not of the study of the request"),
    (InvalidInstance, "no instance can be identified in it"),
    (Unsupported, "its encoding is not supported"),
    (VnaError, "processing failure, told in the archive's log"),
)


def tables() -> dict[str, Table]:
    """The tables by the names that the statement has for them."""
    return {
        "web_routes": _routes(),
        "web_errors": _errors(),
        "web_store_statuses": _store_statuses(),
        "web_store_reasons": _store_reasons(),
        "web_returned": _returned(),
        "web_frames": _frames(),
        "web_targets": _targets(),
    }


def _routes() -> Table:
    """The resources below the root and their methods, of an application that has no services."""
    nothing = SimpleNamespace(
        store=None,
        query=None,
        retrieve=None,
        pixels=None,
        metadata=None,
        trash=None,
        changes=None,
        health=None,
        frames=None,
        delivery=None,
        rendering=None,
        documents=None,
        anonymizing=None,
    )
    app = create_app(cast("Services", nothing), WebConfig())
    methods: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        path = rule.rule.removeprefix(ROOT)
        if path != rule.rule and "<path:" not in path[:7]:
            methods.setdefault(_readable(path), set()).update(rule.methods or ())
    rows = ((f"`{path}`", listed(sorted(found - {"OPTIONS"}))) for path, found in methods.items())
    return table("resource | methods", sorted(rows))


def _readable(path: str) -> str:
    return path.replace("<path:", "<").replace("<", "{").replace(">", "}")


def _errors() -> Table:
    rows = ((_status(status_of(kind("x"))), text) for kind, text in _ERRORS)
    return table("status | when", rows)


def _status(status: HTTPStatus) -> str:
    return f"{status.value} {status.phrase}"


def _store_statuses() -> Table:
    """The status of a store request, by asking reports."""
    outcome = StoreOutcome(Outcome.STORED, InstanceUids("1.2", "1.3", "1.4"), "1.5", "1.6", 1)
    refused = InvalidInstance("x")
    cases: tuple[tuple[str, list[StoreOutcome], VnaError | None], ...] = (
        ("all instances stored", [outcome], None),
        ("some stored, others refused, or stored with a warning", [outcome], refused),
        ("none stored", [], refused),
        ("none stored: database or storage is away", [], Unavailable("x")),
        ("none stored: database or storage is full", [], OutOfSpace("x")),
    )
    rows: list[Row] = []
    for text, stored, error in cases:
        report = StowReport(cast("Spool", None), "")
        for item in stored:
            report.add(item)
        if error is not None:
            report.add(Failure(error, failure_reason(error)))
        rows.append((_status(report.status()), text))
    return table("status | when", rows)


def _store_reasons() -> Table:
    rows = [
        (code(failure_reason(kind("x"))), "Failure Reason (0008,1197)", text)
        for kind, text in _REASONS
    ]
    warning = "stored; the dataset has an oddity, or other content is known under its UID"
    rows.append((code(WARNING_DATASET), "Warning Reason (0008,1196)", warning))
    return table("code | attribute | meaning", rows)


def _returned() -> Table:
    """What an answer to a search holds unasked."""
    rows: list[Row] = []
    for level in (Level.STUDY, Level.SERIES, Level.IMAGE):
        within = Within("1.2", "" if level is Level.SERIES else "1.3")
        tags = read_search([], level, within).query.return_tags or frozenset()
        rows.append((level.value, listed(attribute_name(tag) for tag in sorted(tags))))
    return table("level | attributes", rows)


def _frames() -> Table:
    """The media types of frames, by transfer syntax."""
    by_types: dict[tuple[str, ...], list[str]] = {}
    for uid, types in FRAME_TYPES.items():
        by_types.setdefault(types, []).append(uid)
    rows = (
        (types[0], listed(types[1:], ""), "; ".join(map(title, uids)))
        for types, uids in by_types.items()
    )
    return table("media type | also asked for as | transfer syntaxes", rows)


def _targets() -> Table:
    """The transfer syntaxes into which objects and frames are converted."""
    rows = (
        (title(uid), f"`{uid}`", "objects, frames" if uid in FRAME_TARGETS else "objects")
        for uid in OBJECT_TARGETS
    )
    return table("transfer syntax | UID | of", rows)
