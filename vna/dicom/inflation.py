"""Inflation of a deflated dataset piece by piece, whatever its size (PS3.5 A.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vna.dicom.deflate import Inflater, window_of
from vna.errors import Unsupported

_PIECE = 256 * 2**10


def inflated_pieces(deflated: Iterable[bytes], *, is_strict: bool = False) -> Iterator[bytes]:
    """The inflated bytes of a raw deflate stream, or one with a zlib or gzip header.

    Lenient: a damaged stream gives what comes before the damage; where `is_strict`, it raises Unsupported behind it. At
    most one piece is held.
    """
    stream = None
    for piece in deflated:
        stream = stream or Inflater(window_of(piece))
        stream.pending = piece
        while stream.pending and not stream.is_over:
            data = stream.inflate(_PIECE)
            if data:
                yield data
    if is_strict and (stream is None or not stream.is_whole):
        raise Unsupported("its deflated dataset breaks off")
