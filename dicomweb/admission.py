"""What gunicorn lets pass in the head of a request although HTTP does not (RFC 9110, RFC 9112)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gunicorn.http.body import LengthReader
from gunicorn.http.errors import InvalidHeader, UnsupportedTransferCoding

CONTINUES = "vna.continues"
"""The key of a WSGI environment with what to call before the first byte of a body is read."""
_NEWEST = (1, 1)


def check_head(request: Any) -> None:
    """Bring a parsed head into the form that is answered by. Raises ParseException."""
    if request.version >= _NEWEST and not any(_values(request, "HOST")):
        raise InvalidHeader("HOST", req=request)  # RFC 9112 3.2
    for coding in _values(request, "TRANSFER-ENCODING"):
        if coding.strip().lower() != "chunked":
            raise UnsupportedTransferCoding(
                coding
            )  # gunicorn would hand on what it has not decoded
    request.version = min(request.version, _NEWEST)  # RFC 9110 6.2: what is spoken here
    options = ",".join(_values(request, "CONNECTION")).lower().split(",")
    if "close" in (option.strip() for option in options):
        request.force_close()


def take_expectation(request: Any) -> bool:
    """Whether the client waits for 100 (Continue); gunicorn would send it before anyone looked at the head."""
    expects, request._expected_100_continue = request._expected_100_continue, False  # noqa: SLF001
    return bool(expects)


def unread_bytes(request: Any) -> int:
    """How much of a body of known length nobody has read."""
    reader = request.body.reader
    return int(reader.length) if isinstance(reader, LengthReader) else 0


def _values(request: Any, name: str) -> Iterator[str]:
    return (value for found, value in request.headers if found == name)
