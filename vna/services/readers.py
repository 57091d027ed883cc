"""Readers of bytes that stand in no object as they are read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from storage_backends.base import ObjectReader
from storage_backends.wrapping import WrappedReader
from vna.dicom.element_writer import Buffer


class PrefixedReader(WrappedReader):
    """`prefix`, then everything of `inner`."""

    def __init__(self, prefix: bytes, inner: ObjectReader) -> None:
        self._prefix: BinaryIO = io.BytesIO(prefix)
        super().__init__(inner)

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, b"" at the end; fewer at the seam than asked for."""
        if size < 0:
            return self._prefix.read() + self._inner.read()
        return self._prefix.read(size) or self._inner.read(size)


class PiecesReader(WrappedReader):
    """`pieces` that are made of what `inner` gives, none of them empty."""

    def __init__(self, pieces: Iterator[Buffer], inner: ObjectReader) -> None:
        self._pieces, self._piece = pieces, memoryview(b"")
        super().__init__(inner)

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, b"" at the end; fewer at a seam than asked for, without `size` all. Raises what making
        them raises.
        """
        if size < 0:
            rest, self._piece = self._piece, memoryview(b"")
            return b"".join((rest, *self._pieces))
        if not self._piece:
            self._piece = memoryview(next(self._pieces, b""))
        data, self._piece = self._piece[:size], self._piece[size:]
        return bytes(data)
