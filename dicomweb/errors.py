"""From an error to an HTTP status and a problem document (RFC 9457, PS3.18 8.5)."""

from __future__ import annotations

import logging
from http import HTTPStatus

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from dicomweb.context import correlation_id, route
from dicomweb.problems import CLIENT_GONE, PROBLEM_JSON, RETRY_AFTER_SECONDS, problem_document
from vna.errors import (
    Abandoned,
    Corrupt,
    Gone,
    InvalidInstance,
    InvalidQuery,
    NotFound,
    OutOfSpace,
    TooBroad,
    Unavailable,
    Unsupported,
    VnaError,
)

log = logging.getLogger(__name__)


class BadRequest(VnaError):
    """The request breaks the syntax of PS3.18; the message names what."""


class Unauthorized(VnaError):
    """The request carries no valid credentials."""


class Forbidden(VnaError):
    """Whoever asks is known, or needs not be, and may not do this."""


class Misdirected(VnaError):
    """The request is meant for a site that this one is not."""


class NotAcceptable(VnaError):
    """No representation that the request accepts is available; the message names those that are."""


class UnsupportedMediaType(VnaError):
    """The request's body is of a type that can't be stored."""


class ContentTooLarge(VnaError):
    """The body of a request is longer than web.max_body_bytes allows."""


class TooManyRequests(VnaError):
    """The client asks for more than it may; it should come again in `seconds`."""

    transient = True

    def __init__(self, message: str, seconds: int = 1) -> None:
        super().__init__(message)
        self.seconds = seconds


class RangeNotSatisfiable(VnaError):
    """The byte range lies outside of the resource."""


# The first row whose class fits decides, so children stand before their parents.
_STATUSES: tuple[tuple[type[VnaError], HTTPStatus], ...] = (
    (BadRequest, HTTPStatus.BAD_REQUEST),
    (InvalidQuery, HTTPStatus.BAD_REQUEST),
    (TooBroad, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (InvalidInstance, HTTPStatus.CONFLICT),
    (Unauthorized, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (Misdirected, HTTPStatus.MISDIRECTED_REQUEST),
    (Gone, HTTPStatus.GONE),
    (NotFound, HTTPStatus.NOT_FOUND),
    (NotAcceptable, HTTPStatus.NOT_ACCEPTABLE),
    (Unsupported, HTTPStatus.NOT_ACCEPTABLE),
    (UnsupportedMediaType, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (RangeNotSatisfiable, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE),
    (ContentTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (TooManyRequests, HTTPStatus.TOO_MANY_REQUESTS),
    (OutOfSpace, HTTPStatus.INSUFFICIENT_STORAGE),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (Corrupt, HTTPStatus.INTERNAL_SERVER_ERROR),
)


def status_of(error: Exception) -> HTTPStatus:
    """The HTTP status that tells of `error`."""
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problem(status: int, detail: str, **members: object) -> Response:
    """A problem document; `members` are added to it as they are."""
    body = problem_document(status, detail, correlation_id(), **members)
    response = Response(body, status=status, mimetype=PROBLEM_JSON)
    if status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE}:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Basic realm="vna", charset="UTF-8"'
    return response


def handle_errors(app: Flask) -> None:
    """Answer every exception of `app` with a problem document."""
    app.register_error_handler(VnaError, answer)
    app.register_error_handler(Abandoned, _on_abandoned)
    app.register_error_handler(HTTPException, _on_http_exception)
    app.register_error_handler(Exception, _on_fault)


def answer(error: VnaError) -> Response:
    """The problem that tells of `error`; the log too, where the archive is at fault."""
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log_failure(error)
    response = problem(status, str(error))
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(error.seconds)
    return response


def _on_abandoned(_: Abandoned) -> Response:
    """Nobody reads this; the log and the metrics do."""
    return Response(status=CLIENT_GONE)


def _on_http_exception(error: HTTPException) -> Response:
    """Flask's own refusals: no such route, method not allowed, a body that breaks off."""
    response = problem(error.code or 500, error.description or "")
    for name, value in error.get_headers(request.environ):
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def _on_fault(error: Exception) -> Response:
    log.error(
        "unexpected error while answering; this is a fault of the archive, please report it",
        exc_info=error,
        extra={"correlation": correlation_id(), "route": route()},
    )
    return problem(500, "an error inside the archive; its log tells more under the correlation id")


def log_failure(error: Exception) -> None:
    """One log line for what the operator has to mend."""
    log.error(
        "request failed: %s",
        error,
        extra={"correlation": correlation_id(), "route": route()},
    )
