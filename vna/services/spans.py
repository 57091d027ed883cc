"""Whole objects as parts of files that the kernel sends: verified where they lie, not copied on their way out."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing

from storage_backends.base import Digest, FileSpan, ObjectReader
from storage_backends.digests import Hasher, new_hasher
from vna.errors import Corrupt, Unavailable
from vna.services.verified import damaged

__all__ = ["FileSpan", "Piece", "Pieces", "begun", "following", "read_pieces", "verified_spans"]

Piece = bytes | FileSpan
Pieces = Generator[Piece, None, None]

_WINDOW = 2**20
_CHUNK = 256 * 2**10


def verified_spans(
    span: FileSpan, digest: Digest, name: str, *, skip: int = 0, at_once: int = 0
) -> Generator[FileSpan, None, None]:
    """All of `span` behind its first `skip` bytes, in windows that were hashed before they are given.

    `span` is the whole object `name`. One of up to `at_once` bytes is one window; of others the last one is given only
    when all of them were what was stored. Raises Corrupt, Unavailable.
    """
    hasher = new_hasher(digest.algorithm)
    size = span.length if span.length <= at_once else _WINDOW
    for start in range(0, span.length, max(1, size)):
        stop = min(start + size, span.length)
        _hash(span, (start, stop), hasher, name)
        if stop == span.length and hasher.hexdigest() != digest.value:
            raise damaged(name, digest)
        if stop > skip:
            first = max(start, skip)
            yield FileSpan(span.fd, span.offset + first, stop - first)


def _hash(span: FileSpan, window: tuple[int, int], hasher: Hasher, name: str) -> None:
    """The memory is given back before the window waits for its turn to be sent."""
    position, stop = window
    buffer = memoryview(bytearray(min(_CHUNK, stop - position)))
    while position < stop:
        count = _read(span, position, buffer[: stop - position], name)
        hasher.update(buffer[:count])
        position += count


def _read(span: FileSpan, position: int, target: memoryview, name: str) -> int:
    try:
        count = os.preadv(span.fd, [target], span.offset + position)
    except OSError as exc:
        raise Unavailable(f"the storage does not answer: {name}: {exc.strerror}") from exc
    if not count:
        raise Corrupt(f"stored object {name} was cut short; restore it, or send the instance again")
    return count


def read_pieces(reader: ObjectReader) -> Generator[bytes, None, None]:
    """Everything of `reader`, which is closed at the end."""
    with reader:
        while chunk := reader.read(_CHUNK):
            yield chunk


def begun(pieces: Pieces) -> Pieces:
    """`pieces`, the first of them made: what it can fail with is raised here."""
    first = next(pieces, None)
    return _behind(first, pieces)


def _behind(first: Piece | None, pieces: Pieces) -> Pieces:
    with closing(pieces):
        if first is not None:
            yield first
        yield from pieces


def following(head: bytes, spans: Generator[FileSpan, None, None], reader: ObjectReader) -> Pieces:
    """`head`, then `spans` of what `reader` has open."""
    with reader:
        if head:
            first = next(
                spans, None
            )  # before anything is sent: of a small object that verifies all
            yield head
            if first is not None:
                yield first
        yield from spans
