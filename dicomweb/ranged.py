"""Answers with a resource of bytes, or the ranges of it that the request asks for (RFC 9110 14, 15.3.7)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import closing

from flask import Response, request

from dicomweb.bodies import Chunks, Stream
from dicomweb.byte_range import ByteRange, parse_ranges
from dicomweb.context import correlation_id
from dicomweb.errors import RangeNotSatisfiable, problem

Pieces = Callable[[ByteRange], Chunks]
"""The bytes of a range, as they are taken."""


def ranged(content_type: str, size: int, pieces: Pieces) -> Response:
    """`size` bytes as 200, one range of them as 206, several as multipart/byteranges; 416 for none."""
    try:
        wanted = parse_ranges(_range_header(), size)
    except RangeNotSatisfiable as exc:
        refused = problem(416, str(exc))
        refused.headers["Content-Range"] = f"bytes */{size}"
        return refused
    if len(wanted) > 1:
        response = _several(content_type, wanted, pieces)
    else:
        span = wanted[0] if wanted else ByteRange(0, size, size)
        response = Response(Stream(pieces(span), correlation_id()), content_type=content_type)
        response.content_length = span.length
        if wanted:
            response.headers["Content-Range"] = span.content_range
    response.status_code = 206 if wanted else 200
    response.headers["Accept-Ranges"] = "bytes"
    return response


def _several(content_type: str, wanted: Sequence[ByteRange], pieces: Pieces) -> Response:
    boundary = secrets.token_hex(16)
    heads = [
        f"{newline}--{boundary}\r\nContent-Type: {content_type}\r\n"
        f"Content-Range: {span.content_range}\r\n\r\n".encode("latin-1")
        for newline, span in zip(("", *["\r\n"] * len(wanted)), wanted, strict=False)
    ]
    end = f"\r\n--{boundary}--\r\n".encode("ascii")

    def parts() -> Chunks:
        for head, span in zip(heads, wanted, strict=True):
            with closing(pieces(span)) as chunks:
                yield head + next(chunks, b"")  # what fails at the first read is still a status
                yield from chunks
        yield end

    response = Response(Stream(parts(), correlation_id()))
    response.content_type = f"multipart/byteranges; boundary={boundary}"
    response.content_length = sum(map(len, (*heads, end))) + sum(span.length for span in wanted)
    return response


def _range_header() -> str:
    """The Range, which only GET has; none with If-Range, which only a strong validator could satisfy."""
    is_meant = request.method == "GET" and "If-Range" not in request.headers
    return request.headers.get("Range", "") if is_meant else ""
