"""What belongs to one request: its correlation id, its origin and its one log line."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import cast

from flask import Flask, Response, g, request

from dicomweb.media import MediaType, accepted
from vna import metrics
from vna.model.identifiers import Origin

log = logging.getLogger(__name__)

CORRELATION_HEADER = "X-Correlation-ID"


def correlation_id() -> str:
    """Names the current request in logs, in its answer and in the audit trail."""
    known = g.get("correlation_id")
    if known is None:  # it is no secret: entropy of the system would cost a call of it
        known = g.correlation_id = f"{random.getrandbits(64):016x}"
    return cast("str", known)


def route() -> str:
    """The pattern of the current request's path: without UIDs, which may lead to a patient."""
    return request.url_rule.rule if request.url_rule is not None else "unknown"


def origin() -> Origin:
    """Where the current request comes from."""
    address = g.get("client_address") or request.remote_addr or ""
    return Origin("web", g.get("user", ""), address, correlation_id())


def asked_types() -> tuple[MediaType, ...]:
    """The media ranges that the current request accepts, in its `accept` parameter or its header."""
    return accepted(request.headers.get("Accept", ""), request.args.get("accept", ""))


def add_vary(response: Response, header: str) -> None:
    """Note that the answer depends on a header of the request (RFC 9110 12.5.5)."""
    known = response.headers.get("Vary")
    if known is None:
        response.headers["Vary"] = header
    elif header.lower() not in (name.strip().lower() for name in known.split(",")):
        response.headers["Vary"] = f"{known}, {header}"


def watch_requests(app: Flask, client_address: Callable[[], str]) -> None:
    """Count, time and log every request to the end of its answer; queries are never logged.

    `client_address` says where the current request comes from.
    """

    def begin() -> None:
        g.started = time.perf_counter()
        g.client_address = client_address()

    app.before_request(begin)
    app.after_request(_end)


def _end(response: Response) -> Response:
    response.headers[CORRELATION_HEADER] = correlation_id()
    started = g.get("started", time.perf_counter())
    method, path, status, correlation = (
        request.method,
        route(),
        response.status_code,
        correlation_id(),
    )

    def finished() -> None:
        seconds = time.perf_counter() - started
        metrics.HTTP_SECONDS.labels(path, str(status)).observe(seconds)
        log.info(
            "request answered",
            extra={
                "correlation": correlation,
                "method": method,
                "route": path,
                "status": status,
                "milliseconds": round(seconds * 1000, 1),
            },
        )

    response.call_on_close(finished)
    return response
