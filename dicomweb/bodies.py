"""Bodies of answers that stream: begun before the status is sent, closed whatever happens."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from http import HTTPStatus
from typing import Protocol, cast

from flask import Response, request

from dicomweb.file_span import Pieces
from vna.errors import Abandoned, VnaError

log = logging.getLogger(__name__)

CHUNK_BYTES = 256 * 1024

Chunks = Generator[bytes, None, None]


class Reader(Protocol):
    """Anything that gives bytes and is closed."""

    def read(self, size: int = -1, /) -> bytes: ...
    def close(self) -> None: ...


class Stream:
    """An answer's body whose first chunk is already made, so that errors before it become a status.

    An error behind it can only break the connection off: the client sees a body that is too short.
    """

    def __init__(self, chunks: Pieces, correlation: str) -> None:
        """Raises whatever keeps `chunks` from beginning. Spans of files only where the server takes them."""
        self._chunks = cast("Chunks", chunks)
        self._correlation = correlation
        self._first = next(self._chunks, None)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        if first is not None:
            return first
        try:
            return next(self._chunks)
        except Abandoned:  # the client is gone: nothing is wrong
            raise
        except VnaError as exc:
            log.error(  # noqa: TRY400 – the message says all; a trace would say nothing more
                "answer broken off: %s", exc, extra={"correlation": self._correlation}
            )
            raise

    def close(self) -> None:
        """Run what `chunks` has to clean up; servers call this, also when the client is gone."""
        self._chunks.close()


def read_chunks(reader: Reader) -> Chunks:
    """Everything of `reader`, closed at the end."""
    try:
        while chunk := reader.read(CHUNK_BYTES):
            yield chunk
    finally:
        reader.close()


def gather(pieces: Iterable[bytes], size: int = CHUNK_BYTES) -> Chunks:
    """`pieces` joined into chunks of at least `size` bytes, the last one smaller."""
    held: list[bytes] = []
    held_bytes = 0
    for piece in pieces:
        held.append(piece)
        held_bytes += len(piece)
        if held_bytes >= size:
            yield b"".join(held)
            held, held_bytes = [], 0
    if held:
        yield b"".join(held)


def json_array(objects: Iterable[bytes]) -> Chunks:
    """A JSON array of serialised objects."""
    opening = b"["
    for item in objects:
        yield opening + item
        opening = b","
    yield b"]" if opening == b"," else b"[]"


def tag_of(etag: str, variant: str) -> str:
    """The entity tag of `etag` (the content) as `variant` (form, media type, transfer syntax) represents it."""
    return f"{etag}-{hashlib.blake2b(variant.encode(), digest_size=4).hexdigest()}"


def conditional(etag: str, variant: str, respond: Callable[[], Response]) -> Response:
    """What `respond` gives, with a weak tag unless it has one of its own; 304 when the client has
    just that (RFC 9110 13.1.2). A weak tag is the same for a compressed and a plain body (8.8.3.3).
    """
    tag = tag_of(etag, variant)
    has_it = request.if_none_match.contains_weak(tag)
    response = Response(status=304) if has_it else respond()
    if "ETag" not in response.headers and response.status_code < HTTPStatus.BAD_REQUEST:
        response.set_etag(tag, weak=True)
    return response
