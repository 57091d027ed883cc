"""Content codings of answers: gzip (RFC 9110 8.4.1.3) and zstd (RFC 8878), chosen as the client prefers them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import zstandard
from flask import Flask, Response, request

from dicomweb.context import add_vary

GZIP, ZSTD, IDENTITY = "gzip", "zstd", ""
PREFERRED = (ZSTD, GZIP)
"""Where the client likes several equally well, the first of them is taken."""

_IDENTITY = "identity"
_WORTH_IT = 4096
"""Bytes; a shorter answer takes one packet or two however it is coded."""
_GZIP_LEVEL = 1
_ZSTD_LEVEL = 3  # its window of 2 MiB is below the 8 MiB that every client has (RFC 9659)
_GZIP_WINDOW = 31  # zlib: 15 bits of window in a gzip envelope
_CHUNK = 256 * 1024
_COMPRESSIBLE = frozenset(
    {
        "application/dicom+json",
        "application/dicom+xml",
        "application/json",
        "application/problem+json",
        "application/vnd.sun.wadl+xml",
        "application/xml",
        "text/html",
        "text/plain",
    }
)

_XML_PARTS = 'type="application/dicom+xml"'


class Compressor(Protocol):
    """What zlib's and zstandard's compressors have in common."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def chosen_coding() -> str:
    """The coding that the request likes best of PREFERRED, IDENTITY for none (RFC 9110 12.5.3).

    "*" stands for gzip, which every client knows; zstd has to be named.
    """
    qualities = _qualities()
    anything = qualities.get("*", 0.0)
    best, best_quality = IDENTITY, 0.0
    for name in PREFERRED:
        quality = qualities.get(name, anything if name == GZIP else 0.0)
        if quality > best_quality:
            best, best_quality = name, quality
    return IDENTITY if qualities.get(_IDENTITY, 0.0) > best_quality else best


def compressor(coding: str) -> Compressor:
    """A fresh compressor of `coding`, which is GZIP or ZSTD."""
    if coding == GZIP:
        return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()


def compressed(chunks: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """`chunks` as one stream of `coding`; as they are for IDENTITY."""
    if coding == IDENTITY:
        yield from chunks
        return
    stream = compressor(coding)
    for chunk in chunks:
        if data := stream.compress(chunk):
            yield data
    yield stream.flush()


def code_answers(app: Flask) -> None:
    """Compress the texts among the answers of `app` for clients that take them so."""
    app.after_request(_code)


def _code(response: Response) -> Response:
    if response.mimetype not in _COMPRESSIBLE and _XML_PARTS not in response.content_type:
        return response
    add_vary(response, "Accept-Encoding")
    coding = _coding_for(response)
    if coding != IDENTITY:
        _encode(response, coding)
    return response


def _coding_for(response: Response) -> str:
    """IDENTITY where coding is not wanted, done already, or would change what a range means."""
    if response.status_code in {204, 206, 304} or "Content-Encoding" in response.headers:
        return IDENTITY
    is_short = response.is_sequence and (response.calculate_content_length() or 0) < _WORTH_IT
    if is_short and not _refuses_identity():
        return IDENTITY
    return chosen_coding()


def _qualities() -> dict[str, float]:
    """What the request thinks of each coding, by its present name (RFC 9110 8.4.1.3)."""
    return {name.lower().removeprefix("x-"): quality for name, quality in request.accept_encodings}


def _refuses_identity() -> bool:
    qualities = _qualities()
    return qualities.get(_IDENTITY, qualities.get("*", 1.0)) <= 0


def _encode(response: Response, coding: str) -> None:
    response.headers["Content-Encoding"] = coding
    if response.is_sequence:
        response.set_data(b"".join(compressed([response.get_data()], coding)))
        return
    response.headers.pop("Content-Length", None)
    response.response = _Coded(response.iter_encoded(), response.response, coding)


class _Coded:
    """A streamed body in a coding; closing it closes the body."""

    def __init__(self, chunks: Iterable[bytes], body: object, coding: str) -> None:
        self._body = body
        self._chunks = compressed(chunks, coding)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        """Called by the server at the end, also when the client is gone."""
        close: Callable[[], None] | None = getattr(self._body, "close", None)
        if close is not None:
            close()
