"""Inflation of a deflated dataset piece by piece, whatever its size (PS3.5 A.5)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from vna.dicom.deflate import starts_like_deflate

_PIECE = 256 * 2**10
_RAW, _WRAPPED = -zlib.MAX_WBITS, zlib.MAX_WBITS | 32


def inflated_pieces(deflated: Iterable[bytes]) -> Iterator[bytes]:
    """The inflated bytes of a raw deflate stream, or one with a zlib or gzip header.

    Lenient: a damaged stream gives what comes before the damage. At most one piece is held.
    """
    stream = None
    for piece in deflated:
        if stream is None:
            stream = zlib.decompressobj(_RAW if starts_like_deflate(piece, 0) else _WRAPPED)
        pending = piece
        while pending and not stream.eof:
            try:
                data = stream.decompress(pending, _PIECE)
            except zlib.error:
                return
            pending = stream.unconsumed_tail
            if data:
                yield data
