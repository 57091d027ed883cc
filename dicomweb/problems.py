"""Problem documents, the body of every refusal (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

import orjson

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_SECONDS = 10
CLIENT_GONE = 499
"""No status of HTTP: the client went before its answer was ready, and counts like this in logs and metrics."""


def problem_document(status: int, detail: str, correlation_id: str, **members: object) -> bytes:
    """The JSON of a problem; `members` are added to it as they are."""
    return orjson.dumps(
        {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": int(status),
            "detail": detail,
            "correlation_id": correlation_id,
            **members,
        }
    )
