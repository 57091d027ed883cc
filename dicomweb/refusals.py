"""Answers to requests that never reach the application, and what the log says of them."""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import traceback
from email.utils import formatdate
from http import HTTPStatus

from gunicorn.http import errors as parsing

from dicomweb.problems import PROBLEM_JSON, RETRY_AFTER_SECONDS, problem_document
from dicomweb.request_head import MAX_HEAD_BYTES, RequestHead

log = logging.getLogger(__name__)

# The first row whose class fits decides. The details never repeat the request: a query holds names.
_REFUSALS: tuple[tuple[type[Exception], HTTPStatus, str], ...] = (
    (parsing.LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG, "the request line is too long"),
    (
        parsing.LimitRequestHeaders,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "the headers are too many or too long",
    ),
    (
        parsing.UnsupportedTransferCoding,
        HTTPStatus.NOT_IMPLEMENTED,
        "this transfer coding is not supported; send chunked or a Content-Length",
    ),
    (parsing.ExpectationFailed, HTTPStatus.EXPECTATION_FAILED, "this expectation can't be met"),
    (parsing.ParseException, HTTPStatus.BAD_REQUEST, "the request is not valid HTTP/1.1"),
    (TimeoutError, HTTPStatus.REQUEST_TIMEOUT, "the request did not arrive in time"),
)


def refuse_error(client: socket.socket, address: str, error: BaseException) -> None:
    """Answer `client` and log `error` by its kind alone: its text may hold patients' names."""
    correlation = secrets.token_hex(8)
    status, detail = _status(error)
    kind = type(error).__name__
    extra = {"correlation": correlation, "peer": address, "status": int(status), "error": kind}
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("request failed outside of the application: %s\n%s", kind, frames, extra=extra)
    else:
        log.warning("invalid request from %s: %s", address, kind, extra=extra)
    with contextlib.suppress(OSError):
        client.settimeout(0)
        client.send(refusal(status, detail, correlation))


def overloaded() -> bytes:
    """The answer to a request for which no place became free."""
    return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the archive is busy; try again later")


def head_fault(head: RequestHead) -> tuple[int, str]:
    """The status and detail with which a head is refused before it is parsed; 0 for none."""
    if head.is_malformed:
        return HTTPStatus.BAD_REQUEST, "the lines of a head end in CR LF"
    if head.is_too_long:
        return (
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"the head exceeds {MAX_HEAD_BYTES} bytes",
        )
    return 0, ""


def refusal(status: int, detail: str, correlation: str = "") -> bytes:
    """A whole HTTP answer, after which the connection is closed."""
    correlation = correlation or secrets.token_hex(8)
    body = problem_document(status, detail, correlation)
    head = [
        f"HTTP/1.1 {int(status)} {HTTPStatus(status).phrase}",
        f"Date: {formatdate(usegmt=True)}",
        "Connection: close",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"Content-Type: {PROBLEM_JSON}",
        f"Content-Length: {len(body)}",
        f"X-Correlation-ID: {correlation}",
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        head.append(f"Retry-After: {RETRY_AFTER_SECONDS}")
    return "\r\n".join([*head, "", ""]).encode("ascii") + body


def _status(error: BaseException) -> tuple[HTTPStatus, str]:
    for kind, status, detail in _REFUSALS:
        if isinstance(error, kind):
            return status, detail
    return HTTPStatus.INTERNAL_SERVER_ERROR, "an error inside the archive; its log tells more"
