"""Cross-origin requests of browsers (Fetch standard, CORS protocol), and OPTIONS in general."""

from __future__ import annotations

from flask import Flask, Response, request

from vna.config import WebConfig

_ALLOWED_HEADERS = "Accept, Authorization, Content-Type, Range, If-None-Match"
_EXPOSED_HEADERS = (
    "ETag, Content-Location, Content-Range, Content-Length, Accept-Ranges, "
    "Retry-After, Warning, X-Correlation-ID"
)
_MAX_AGE_SECONDS = "86400"


def answer_options(app: Flask, settings: WebConfig) -> None:
    """Answer OPTIONS before anyone asks for credentials, and mark answers to allowed origins.

    `web.cors_origins` lists origins such as "https://viewer.example.org", or "*" for all; only
    origins that are named may use the credentials that a browser keeps.
    """
    origins = frozenset(origin.rstrip("/").lower() for origin in settings.cors_origins)

    def preflight() -> Response | None:
        if request.method != "OPTIONS" or request.url_rule is None:
            return None
        adapter = app.create_url_adapter(request)
        allowed = ", ".join(sorted(adapter.allowed_methods())) if adapter is not None else ""
        response = Response(status=204, headers={"Allow": allowed})
        if _allowed_origin(origins):
            response.headers["Access-Control-Allow-Methods"] = allowed
            response.headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = _MAX_AGE_SECONDS
        return response

    def mark(response: Response) -> Response:
        if not origins:
            return response
        response.vary.add("Origin")
        origin = _allowed_origin(origins)
        if origin:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
        if origin not in {"", "*"}:
            response.headers["Access-Control-Allow-Credentials"] = "true"
        return response

    app.before_request(preflight)
    app.after_request(mark)


def _allowed_origin(origins: frozenset[str]) -> str:
    """The origin that the answer names: the request's own when listed, "*", or "" for none."""
    origin = request.headers.get("Origin", "")
    if origin and origin.lower() in origins:
        return origin
    return "*" if origin and "*" in origins else ""
