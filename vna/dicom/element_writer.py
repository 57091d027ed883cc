"""Elements written in an uncompressed encoding, as chunks that share the bytes they came from."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from vna.dicom.elements import Encoding
from vna.dicom.encode_values import NUL_PADDED_VRS
from vna.dicom.vrs import NUMBER_FORMATS, SHORT_VRS, WORD_SIZES

Buffer = bytes | memoryview
_SHORT_LIMIT = 0xFFFE
_WORD_SIZES = {
    **{vr: struct.calcsize(code) for vr, code in NUMBER_FORMATS.items()},
    **WORD_SIZES,
    "AT": 2,
}


@dataclass(frozen=True, slots=True)
class Frames:
    """Pixel data that is made only when it is written: `length` bytes in all."""

    length: int
    make: Callable[[], Iterator[bytes]]


Chunk = Buffer | Frames


def length_of(chunks: Iterable[Chunk]) -> int:
    """Bytes that `chunks` take when they are written."""
    return sum(chunk.length if isinstance(chunk, Frames) else len(chunk) for chunk in chunks)


def word_size(vr: str) -> int:
    """Bytes of a word of `vr`, as the byte order sees it (PS3.5 7.3); 1 for text and OB."""
    return _WORD_SIZES.get(vr, 1)


class ElementWriter:
    """Puts headers of one encoding in front of values."""

    def __init__(self, encoding: Encoding) -> None:
        self._is_implicit = encoding.implicit
        self._order = ">" if encoding.big_endian else "<"

    def written(self, tag: int, vr: str, value: Buffer) -> list[Chunk]:
        """An element with its header, padded to an even length.

        What is too long for the 16-bit length of its VR is written as UN (PS3.5 6.2.2).
        """
        if not self._is_implicit and vr in SHORT_VRS and len(value) > _SHORT_LIMIT:
            vr = "UN"
        pad = b"\0" if vr in NUL_PADDED_VRS or vr in NUMBER_FORMATS else b" "
        padding = [pad] if len(value) & 1 else []
        return [self.head(tag, vr, len(value) + len(padding)), value, *padding]

    def head(self, tag: int, vr: str, length: int) -> bytes:
        """The bytes in front of a value; items and delimiters have no VR."""
        order, group, element = self._order, tag >> 16, tag & 0xFFFF
        if self._is_implicit or group == 0xFFFE:
            return struct.pack(f"{order}HHI", group, element, length)
        if vr not in SHORT_VRS:
            return struct.pack(f"{order}HH2sHI", group, element, vr.encode("latin-1"), 0, length)
        return struct.pack(f"{order}HH2sH", group, element, vr.encode("latin-1"), length)

    def delimiter(self, tag: int) -> bytes:
        """An item or sequence delimiter."""
        return self.head(tag, "", 0)
