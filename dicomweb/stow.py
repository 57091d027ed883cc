"""STOW-RS: store instances from a streamed request (PS3.18 10.5)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

import orjson
from flask import Flask, Response, request

from dicomweb.bodies import Chunks, Stream, gather
from dicomweb.buffers import Buffers
from dicomweb.context import correlation_id, origin
from dicomweb.errors import BadRequest, NotAcceptable, UnsupportedMediaType, problem
from dicomweb.media import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    JSON,
    MULTIPART,
    MediaType,
    accepted,
    parse_media_type,
)
from dicomweb.multipart import (
    MultipartDecoder,
    MultipartError,
    PartBegin,
    PartData,
    TruncatedBody,
)
from dicomweb.negotiate import Offer, choose
from dicomweb.received_metadata import BrokenMetadata
from dicomweb.reception import Keeper, Reception, TooManyFailures
from dicomweb.request_body import RequestBody, SlowBody, body_events
from dicomweb.store_window import Helpers
from dicomweb.stow_metadata import MetadataReception, TooMuchMetadata
from dicomweb.stow_report import StowReport
from dicomweb.urls import ROOT, STUDY, Urls, check_uids
from vna.config import WebConfig
from vna.services.store import StoreService

log = logging.getLogger(__name__)

_METADATA = frozenset({DICOM_JSON, DICOM_XML, JSON})
_OFFERS = (Offer(DICOM_JSON), Offer(JSON), Offer(DICOM_XML))
_BREAKS = (MultipartError, TooManyFailures, BrokenMetadata, TooMuchMetadata)
_STATUSES = (
    (SlowBody, HTTPStatus.REQUEST_TIMEOUT),
    (TooMuchMetadata, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
)


class Receives(Protocol):
    """What a body's parts are handed to."""

    def begin(self, headers: Mapping[str, str]) -> None: ...
    def write(self, data: bytes | memoryview) -> None: ...
    def end(self) -> None: ...
    def finish(self) -> None: ...


class Stow:
    """The store transaction: part after part into the spool, and from there into the archive."""

    def __init__(self, store: StoreService, urls: Urls, settings: WebConfig) -> None:
        self._store, self._urls, self._settings = store, urls, settings
        self._helpers, self._buffers = Helpers(), Buffers()

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        for path in (f"{ROOT}/studies", STUDY):
            app.add_url_rule(path, f"store {path}", self.store, methods=["POST"])

    def store(self, study: str = "") -> Response:
        """Store every instance of the body; with `study`, only those of that study.

        What was received whole before a body breaks off stays stored, and the answer tells of it.
        """
        check_uids(study=study)
        media_type = _content_type()
        report = StowReport(self._store.spool, self._urls.studies())
        with ExitStack() as stack:
            stack.callback(report.close)
            keeper = Keeper(self._store, self._helpers, origin(), study, report)
            error = self._receive(keeper, media_type)
            if error is not None:
                return _broken_off(error, report)
            if report.is_empty:
                raise BadRequest("the request holds no instance: its body has no parts")
            response = _answer(report)
            if report.is_long:
                stack.pop_all()  # the answer's body closes it
            return response

    def _receive(self, keeper: Keeper, media_type: MediaType) -> Exception | None:
        """Store what comes; why it broke off, None if it did not."""
        kind = _type_of_parts(media_type) if media_type.kind == MULTIPART else media_type.kind
        body = RequestBody(request.environ, self._settings.least_upload_rate)
        with self._helpers.serving(), self._reception(keeper, kind) as reception:
            error: Exception | None = None
            try:
                if media_type.kind == MULTIPART:
                    self._receive_parts(reception, body, media_type.get("boundary"))
                else:
                    _receive_whole(reception, body, media_type)
            except _BREAKS as exc:
                error = exc
            try:
                reception.finish()
            except _BREAKS as exc:
                error = error or exc
        return error

    def _reception(self, keeper: Keeper, kind: str) -> Reception | MetadataReception:
        if kind not in _METADATA:
            return Reception(keeper)
        return MetadataReception(keeper, self._settings.max_metadata_bytes, request.base_url)

    def _receive_parts(self, reception: Receives, body: RequestBody, boundary: str) -> None:
        with self._buffers.lent() as buffer:
            decoder = MultipartDecoder(boundary, buffer)
            for event in body_events(body, decoder, Buffers.PIECE):
                match event:
                    case PartBegin(headers):
                        reception.begin(headers)
                    case PartData(data):
                        reception.write(data)
                    case _:
                        reception.end()


def _content_type() -> MediaType:
    """The type of a body that can be stored. Raises UnsupportedMediaType, BadRequest."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise UnsupportedMediaType(
            "a compressed body can't be stored; send it without Content-Encoding"
        )
    media_type = parse_media_type(request.headers.get("Content-Type", ""))
    if media_type is not None and media_type.kind in {DICOM, DICOM_JSON, DICOM_XML}:
        return media_type
    if (
        media_type is None
        or media_type.kind != MULTIPART
        or _type_of_parts(media_type) not in {"", DICOM} | _METADATA
    ):
        raise UnsupportedMediaType(
            f'only {MULTIPART} with type="{DICOM}", "{DICOM_JSON}" or "{DICOM_XML}", and single '
            "parts of these types, can be stored"
        )
    if not media_type.get("boundary"):
        raise BadRequest(f"the Content-Type {MULTIPART} has no boundary parameter")
    return media_type


def _type_of_parts(media_type: MediaType) -> str:
    """The `type` of a multipart body; some clients quote a media type with parameters there."""
    return media_type.get("type").partition(";")[0].strip().lower()


def _receive_whole(reception: Receives, body: RequestBody, media_type: MediaType) -> None:
    """One part that is the whole body; a shorter body than announced leaves nothing."""
    reception.begin({"content-type": media_type.kind})
    with memoryview(bytearray(Buffers.PIECE)) as buffer:
        while count := body.readinto(buffer):
            reception.write(buffer[:count])
    if request.content_length is not None and body.received < request.content_length:
        raise TruncatedBody(
            f"the body ends after {body.received} of {request.content_length} bytes"
        )
    reception.end()


def _answer(report: StowReport) -> Response:
    kind = _kind(request.headers.get("Accept", ""), request.args.get("accept", ""))
    chunks = report.xml_chunks() if kind == DICOM_XML else report.json_chunks()
    if report.is_long:
        body: Stream | bytes = Stream(_closing(report, gather(chunks)), correlation_id())
    else:
        body = b"".join(chunks)
    response = Response(body, status=report.status(), mimetype=kind)
    if report.is_transient_failure:
        response.headers["Retry-After"] = "10"
    return response


@lru_cache(maxsize=64)
def _kind(accept: str, parameter: str) -> str:
    """The media type of the answer."""
    try:
        return choose(accepted(accept, parameter), _OFFERS).kind
    except NotAcceptable:  # what is stored is stored: better an answer in the usual form than none
        return DICOM_JSON


def _closing(report: StowReport, chunks: Chunks) -> Chunks:
    try:
        yield from chunks
    finally:
        report.close()


def _broken_off(error: Exception, report: StowReport) -> Response:
    log.warning(
        "store request broken off: %s; %d instances before that were stored",
        error,
        report.stored,
        extra={"correlation": correlation_id()},
    )
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 400)
    told: dict[str, object] = {"stored": report.stored, "failed": report.failed}
    if not report.is_long:
        told["result"] = orjson.Fragment(b"".join(report.json_chunks()))
    return problem(status, str(error), **told)
