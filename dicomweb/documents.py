"""Answers with documents, videos and reports that a browser opens without being harmed by them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from functools import partial
from http import HTTPStatus

from flask import Response, request

from dicomweb.bodies import Chunks, Stream, gather
from dicomweb.byte_range import ByteRange
from dicomweb.context import correlation_id
from dicomweb.errors import NotAcceptable
from dicomweb.ranged import ranged
from vna.services.encapsulated import Document

_PIECE_BYTES = 2**20
_PDF, _PDF_START = "application/pdf", b"%PDF-"
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'"
_SANDBOX = f"sandbox; {_NOTHING}; style-src 'unsafe-inline'; img-src data:"
_NAME = re.compile(r"[A-Za-z0-9_:.-]{1,40}")
_FRAMES = frozenset({"document", "iframe", "frame", "embed", "object"})
_CHARSETS = frozenset(
    {"ascii", "utf-8", "euc_jp", "shift_jis", "euc_kr", "gb18030", "gbk", "big5", "tis-620"}
    | {f"iso8859-{part}" for part in (*range(1, 12), 13, 14, 15, 16)}
    | {f"cp125{page}" for page in range(9)}
    | {"koi8-r", "koi8-u"}
)
"""Character sets in which ASCII is ASCII: a page can be written in each, with references for the rest."""


def document_answer(document: Document, name: str) -> Response:
    """The document, or the ranges of it that the request asks for, under its own media type.

    `name` is that of the file when it is saved.
    """
    response = ranged(document.type.media_type, document.length, partial(pieces, document))
    if response.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        response.headers["Content-Disposition"] = (
            f'inline; filename="{name}.{document.type.suffix}"'
        )
        _harmless(response, is_pdf=_is_pdf(document))
    return response


def page(text: Iterable[str], media_type: str, charset: str) -> Response:
    """A report: what its pieces hold and `charset` lacks is written as character references."""
    errors = "xmlcharrefreplace" if media_type == "text/html" else "replace"
    chunks = gather(piece.encode(charset, errors) for piece in text)
    response = Response(Stream(chunks, correlation_id()))
    response.content_type = f"{media_type}; charset={charset}"
    _harmless(response, is_pdf=False)
    return response


def wanted_charset(asked: str) -> str:
    """The first of a list of character sets that can be written; "" and "*" mean UTF-8.

    Raises NotAcceptable.
    """
    names = [name.partition(";")[0].strip() for name in asked.split(",") if name.strip()]
    for name in names or ["utf-8"]:
        if name == "*":
            return "utf-8"
        if _NAME.fullmatch(name) and _codec(name) in _CHARSETS:
            return name.lower()
    raise NotAcceptable(
        f"charset={asked[:80]!r}: reports can be had in utf-8, us-ascii, iso-8859-1"
    )


def pieces(document: Document, span: ByteRange | None = None) -> Chunks:
    """The bytes of a document, or of a range of it."""
    start, length = (0, document.length) if span is None else (span.start, span.length)
    for position in range(start, start + length, _PIECE_BYTES):
        yield document.read(position, min(_PIECE_BYTES, start + length - position))


def _is_pdf(document: Document) -> bool:
    return document.type.media_type == _PDF and document.read(0, 5) == _PDF_START


def _harmless(response: Response, *, is_pdf: bool) -> None:
    """No script of a stored document may act for the user who looks at it.

    Chromium shows no PDF at all in a sandbox: its viewer is one of its own. Only where a browser says
    that it opens the answer in a frame, and what is stored truly is a PDF, the sandbox is left out.
    """
    opened = is_pdf and request.headers.get("Sec-Fetch-Dest", "") in _FRAMES
    response.headers["Content-Security-Policy"] = (
        "object-src 'self'; base-uri 'none'; form-action 'none'" if opened else _SANDBOX
    )
    if is_pdf:
        response.vary.add("Sec-Fetch-Dest")


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        return ""
