"""Inflation of a deflated dataset piece by piece, whatever its size (PS3.5 A.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vna.dicom.deflate import Inflater, window_of

_PIECE = 256 * 2**10


def inflated_pieces(deflated: Iterable[bytes]) -> Iterator[bytes]:
    """The inflated bytes of a raw deflate stream, or one with a zlib or gzip header.

    Lenient: a damaged stream gives what comes before the damage. At most one piece is held.
    """
    stream = None
    for piece in deflated:
        stream = stream or Inflater(window_of(piece))
        stream.pending = piece
        while stream.pending and not stream.is_over:
            data = stream.inflate(_PIECE)
            if data:
                yield data
