"""STOW-RS: store instances from a streamed request (PS3.18 10.5)."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import orjson
from flask import Flask, Response, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected

from dicomweb.bodies import CHUNK_BYTES
from dicomweb.context import correlation_id, origin
from dicomweb.errors import BadRequest, UnsupportedMediaType, problem
from dicomweb.media import DICOM, DICOM_JSON, MULTIPART, MediaType, parse_media_type
from dicomweb.multipart import (
    MultipartDecoder,
    MultipartError,
    PartBegin,
    PartData,
    TruncatedBody,
    events,
)
from dicomweb.reception import Reception, TooManyFailures
from dicomweb.stow_report import StowReport
from dicomweb.urls import ROOT, Urls, check_uids
from vna.services.store import StoreService

log = logging.getLogger(__name__)


class Stow:
    """The store transaction: part after part into the spool, and from there into the archive."""

    def __init__(self, store: StoreService, urls: Urls) -> None:
        self._store = store
        self._urls = urls

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        for path in (f"{ROOT}/studies", f"{ROOT}/studies/<study>"):
            app.add_url_rule(path, f"store {path}", self.store, methods=["POST"])

    def store(self, study: str = "") -> Response:
        """Store every instance of the body; with `study`, only those of that study.

        What was received whole before a body breaks off stays stored, and the answer tells of it.
        """
        check_uids(study=study)
        media_type = _content_type()
        studies_url = self._urls.studies()
        report = StowReport()
        with Reception(self._store, origin(), study, report) as reception:
            try:
                if media_type.kind == MULTIPART:
                    _receive_parts(reception, media_type)
                else:
                    _receive_whole(reception)
            except (MultipartError, TooManyFailures) as exc:
                return _broken_off(exc, report, studies_url)
            finally:
                reception.summarise()
        if report.is_empty:
            raise BadRequest("the request holds no instance: its multipart body has no parts")
        return _answer(report, studies_url)


def _content_type() -> MediaType:
    """The type of a body that can be stored. Raises UnsupportedMediaType, BadRequest."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise UnsupportedMediaType(
            "a compressed body can't be stored; send it without Content-Encoding"
        )
    media_type = parse_media_type(request.headers.get("Content-Type", ""))
    if media_type is not None and media_type.kind == DICOM:
        return media_type
    if (
        media_type is None
        or media_type.kind != MULTIPART
        or media_type.get("type").lower() not in {"", DICOM}
    ):
        raise UnsupportedMediaType(
            f'only {MULTIPART}; type="{DICOM}" and {DICOM} can be stored; '
            "metadata in JSON or XML with separate bulk data is not supported"
        )
    if not media_type.get("boundary"):
        raise BadRequest(f"the Content-Type {MULTIPART} has no boundary parameter")
    return media_type


def _receive_parts(reception: Reception, media_type: MediaType) -> None:
    decoder = MultipartDecoder(media_type.get("boundary"))
    for event in events(decoder, _body()):
        match event:
            case PartBegin(headers):
                reception.begin(headers.get("content-type", ""))
            case PartData(data):
                reception.write(data)
            case _:
                reception.end()


def _receive_whole(reception: Reception) -> None:
    """One instance that is the whole body; a shorter body than announced leaves nothing."""
    received = 0
    reception.begin(DICOM)
    for chunk in _body():
        received += len(chunk)
        reception.write(chunk)
    if request.content_length is not None and received < request.content_length:
        raise TruncatedBody(f"the body ends after {received} of {request.content_length} bytes")
    reception.end()


def _body() -> Iterator[bytes]:
    """The request's body in chunks. Raises TruncatedBody when the connection breaks or stalls,
    MultipartError when the chunks of its transfer coding are malformed.
    """
    while True:
        try:
            chunk = request.stream.read(CHUNK_BYTES)
        except (OSError, ClientDisconnected) as exc:
            raise TruncatedBody("the connection broke off or stalled inside the body") from exc
        except ParseException as exc:
            raise MultipartError("the body's chunked transfer coding is malformed") from exc
        if not chunk:
            return
        yield chunk


def _answer(report: StowReport, studies_url: str) -> Response:
    body = orjson.dumps(report.dataset(studies_url))
    response = Response(body, status=report.status(), mimetype=DICOM_JSON)
    if report.is_transient_failure:
        response.headers["Retry-After"] = "10"
    return response


def _broken_off(
    error: MultipartError | TooManyFailures, report: StowReport, studies_url: str
) -> Response:
    log.warning(
        "store request broken off: %s; %d instances before that were stored",
        error,
        len(report.stored),
        extra={"correlation": correlation_id()},
    )
    return problem(400, str(error), result=report.dataset(studies_url))
