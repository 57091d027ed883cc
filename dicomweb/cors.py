"""Cross-origin requests of browsers (Fetch standard, CORS protocol), and OPTIONS in general."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Flask, Response, request

from dicomweb.capabilities import asks_for_description
from dicomweb.context import add_vary
from dicomweb.urls import ROOT
from vna.config import WebConfig

_ALLOWED_HEADERS = "Accept, Authorization, Content-Type, Range, If-Range, If-None-Match"
_EXPOSED_HEADERS = (
    "ETag, Content-Location, Content-Range, Content-Length, Content-Disposition, Accept-Ranges, "
    "Allow, Link, Retry-After, Warning, X-Correlation-ID, X-Total-Count"
)
_MAX_AGE_SECONDS = "86400"
_SERVER = "/*"
"""The path of an OPTIONS that asks for no resource but for the server (RFC 9110 9.3.7)."""
_METHODS = ("DELETE", "GET", "HEAD", "POST", "PUT")


def answer_options(app: Flask, settings: WebConfig) -> None:
    """Answer OPTIONS before anyone asks for credentials, and mark answers to allowed origins.

    Below the DICOMweb root unknown paths are answered too: what exists is for users alone to know.

    `web.cors_origins` lists origins such as "https://viewer.example.org", or "*" for all; only
    origins that are named may use the credentials that a browser keeps.
    """
    origins = frozenset(origin.rstrip("/").lower() for origin in settings.cors_origins)

    def preflight() -> Response | None:
        if not _is_for_us():
            return None
        allowed = ", ".join(sorted({*_methods(app), "OPTIONS"}))
        response = Response(status=204, headers={"Allow": allowed})
        if _allowed_origin(origins):
            response.headers["Access-Control-Allow-Methods"] = allowed
            response.headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = _MAX_AGE_SECONDS
        return response

    def mark(response: Response) -> Response:
        if not origins:
            return response
        add_vary(response, "Origin")
        origin = _allowed_origin(origins)
        if origin:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
        if origin not in {"", "*"}:
            response.headers["Access-Control-Allow-Credentials"] = "true"
        return response

    app.before_request(preflight)
    app.after_request(mark)


def _methods(app: Flask) -> Iterable[str]:
    """What may be asked of the path of the current request."""
    if request.path == _SERVER:
        return _METHODS
    adapter = app.create_url_adapter(request)
    return adapter.allowed_methods() if adapter is not None else ()


def _is_for_us() -> bool:
    """Whether the request is a preflight, or an OPTIONS that its route does not answer itself as
    those for the capabilities do (PS3.18 8.9).
    """
    rule = request.url_rule
    if request.method != "OPTIONS" or not (rule or request.path.startswith((ROOT, _SERVER))):
        return False
    is_automatic = rule is None or getattr(rule, "provide_automatic_options", True)
    if rule is not None and asks_for_description():
        return False
    return is_automatic or "Access-Control-Request-Method" in request.headers


def _allowed_origin(origins: frozenset[str]) -> str:
    """The origin that the answer names: the request's own when listed, "*", or "" for none."""
    origin = request.headers.get("Origin", "")
    if origin and origin.lower() in origins:
        return origin
    return "*" if origin and "*" in origins else ""
