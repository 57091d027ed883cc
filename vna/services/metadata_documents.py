"""The metadata document of a series: a compressed JSON array whose lines are its instances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson
import zstandard

_LEVEL = 3
"""Its window of 2 MiB is below the 8 MiB that every client has (RFC 9659), and holds a hundred headers."""
_CHUNK = 256 * 1024
_SEPARATOR = b",\n"
_KEY = b'"BulkDataURI":"'


def document_of(objects: Iterable[bytes]) -> bytes:
    """`objects`, each a JSON object without a line break, as one document."""
    return packed(_joined(objects))


def packed(chunks: Iterable[bytes]) -> bytes:
    """`chunks` as one zstd frame."""
    stream = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
    return b"".join([*map(stream.compress, chunks), stream.flush()])


def unpacked(document: bytes) -> Iterator[bytes]:
    """The JSON of `document`, in chunks of bounded size."""
    return iter(zstandard.ZstdDecompressor().read_to_iter(document, write_size=_CHUNK))


def joined(documents: Iterable[bytes]) -> Iterator[bytes]:
    """The JSON of all `documents` as one array."""
    opening = b"["
    for document in documents:
        yield opening
        yield from _inner(document)
        opening = _SEPARATOR
    yield b"]" if opening == _SEPARATOR else b"[]"


def objects_of(document: bytes) -> Iterator[bytes]:
    """The JSON objects of `document`, one after the other."""
    held = b""
    for chunk in _inner(document):
        lines = (held + chunk).split(_SEPARATOR)
        held = lines.pop()
        yield from lines
    if held:
        yield held


def rebased(document: bytes, root: str, new_root: str) -> bytes:
    """`document` with its bulk data below `new_root` in place of `root`.

    A quotation mark within a JSON text has a backslash before it, so only URIs of bulk data are met.
    """
    old, new = (_KEY + orjson.dumps(text)[1:-1] for text in (root, new_root))
    return packed(_joined(item.replace(old, new) for item in objects_of(document)))


def _joined(objects: Iterable[bytes]) -> Iterator[bytes]:
    opening = b"["
    for item in objects:
        yield opening + item
        opening = _SEPARATOR
    yield b"]" if opening == _SEPARATOR else b"[]"


def _inner(document: bytes) -> Iterator[bytes]:
    """The JSON of `document` without the brackets of its array."""
    held = b""
    is_begun = False
    for chunk in unpacked(document):
        if not is_begun:
            chunk, is_begun = chunk[1:], True  # noqa: PLW2901 – the bracket is of no use
        if held:
            yield held
        held = chunk
    if held[:-1]:
        yield held[:-1]
