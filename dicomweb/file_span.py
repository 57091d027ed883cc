"""Parts of open files as pieces of an answer's body, for a server that takes them."""

from __future__ import annotations

from flask import request

from vna.services.spans import FileSpan, Piece, Pieces

__all__ = ["SENDS_SPANS", "FileSpan", "Piece", "Pieces", "sends_spans"]

SENDS_SPANS = "vna.sends_spans"
"""The key of a WSGI environment in which the server takes FileSpan among the pieces of a body."""


def sends_spans() -> bool:
    """Whether the answer to the current request may have spans in it."""
    return SENDS_SPANS in request.environ
