"""Multipart answers whose parts are made one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flask import Response

from dicomweb.bodies import Chunks, Stream
from dicomweb.context import correlation_id
from dicomweb.multipart import MultipartEncoder


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart answer."""

    content_type: str
    content_location: str
    chunks: Iterable[bytes]


def multipart(kind: str, parts: Iterator[Part]) -> Response:
    """The parts as they are made; `kind` is the media type of the first."""
    encoder = MultipartEncoder(kind)
    response = Response(Stream(_encoded(encoder, parts), correlation_id()))
    response.content_type = encoder.content_type
    return response


def _encoded(encoder: MultipartEncoder, parts: Iterator[Part]) -> Chunks:
    for part in parts:
        head = encoder.begin(part.content_type, content_location=part.content_location)
        for chunk in part.chunks:
            yield head + chunk
            head = b""
        if head:
            yield head
    yield encoder.end()
