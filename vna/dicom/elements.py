"""A lenient tokenizer of encoded datasets: where each element lies; it never raises (PS3.5 7)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import repeat

from vna.dicom.encoding import (
    BY_CODE,
    EXPLICIT_BIG,
    EXPLICIT_HEADER,
    EXPLICIT_LITTLE,
    IMPLICIT_BIG,
    IMPLICIT_HEADER,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_END,
    LONG,
    SEQUENCE_END,
    UNDEFINED_LENGTH,
    Buffer,
    Encoding,
    peek,
)
from vna.dicom.levels import IS_ITEM, Levels
from vna.dicom.vrs import CODES, LONG_CODES, SHORT_CODES, STANDARD_VRS, implicit_vr

__all__ = [
    "EXPLICIT_BIG",
    "EXPLICIT_LITTLE",
    "IMPLICIT_BIG",
    "IMPLICIT_LITTLE",
    "ITEM",
    "ITEM_END",
    "MAX_ELEMENTS",
    "PIXEL_TAGS",
    "SEQUENCE_END",
    "UNDEFINED_LENGTH",
    "Buffer",
    "Encoding",
    "Scanner",
    "Token",
    "peek",
]

Token = tuple[int, str, int, int, bool]
"""(tag, VR, offset of the value, its length in bytes, whether its length was undefined).

The length of an undefined-length value is without the delimiter. A plain tuple: hundreds are made
per instance.
"""

PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
MAX_ELEMENTS = 100_000
MAX_STEPS = 20_000_000
MAX_WARNINGS = 32
_PIXEL_GROUP = 0x7FE00000
_NEVER = 2**32


class Scanner:
    """Walks through one buffer, collecting warnings; work is bounded by MAX_STEPS, memory by
    MAX_ELEMENTS.
    """

    __slots__ = ("_ends", "_steps", "buffer", "truncated", "warnings")

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.warnings: list[str] = []
        self.truncated = False
        self._steps = MAX_STEPS
        self._ends: dict[int, tuple[int, int]] = {}

    def warn(self, text: str) -> None:
        """Remember a warning, each once, MAX_WARNINGS at most."""
        if text not in self.warnings and len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(text)

    def elements(
        self,
        position: int,
        end: int,
        encoding: Encoding,
        *,
        stop_at_pixels: bool = False,
        stop_tag: int = _NEVER,
    ) -> tuple[list[Token], int]:
        """The elements of one dataset or item in [position, end), not of its sequences.

        Also returns where the walk ended: at `end`, or at the header of the first pixel data
        element when `stop_at_pixels`, or of the first tag from `stop_tag` on. An element that
        reaches beyond `end` is cut there, and is the last.
        """
        tokens: list[Token] = []
        walk = self._walk_implicit if encoding.implicit else self._walk_explicit
        regular = min(stop_tag, _PIXEL_GROUP)
        while 0 <= position <= end - 8 and len(tokens) < MAX_ELEMENTS:
            position = walk(position, end, encoding.big_endian, tokens, regular)
            if position > end - 8 or len(tokens) >= MAX_ELEMENTS:
                break
            tag = self.tag_at(position, encoding)
            if tag >= stop_tag or (stop_at_pixels and tag in PIXEL_TAGS):
                return tokens, position
            position = self._irregular(position, end, encoding, tokens)
        self._steps -= len(tokens)
        if len(tokens) >= MAX_ELEMENTS:
            self.warn(f"more than {MAX_ELEMENTS} elements; the rest is not read")
        elif 0 <= position < end:
            self._leftover(position, end)
        return tokens, end

    def element_at(self, position: int, end: int, encoding: Encoding) -> Token:
        """The one element at `position`; an undefined-length value reaches to its delimiter."""
        tokens: list[Token] = []
        self._irregular(position, end, encoding, tokens)
        return tokens[0] if tokens else (self.tag_at(position, encoding), "UN", end, 0, False)

    def value_at(self, position: int, end: int, encoding: Encoding) -> tuple[int, int, int]:
        """(tag, offset of the value, length as written) of the element at `position`; nothing is
        walked.
        """
        tag, _, start, length = self._measure(position, end, encoding)
        return tag, min(start, end), length

    def tag_at(self, position: int, encoding: Encoding) -> int:
        """The tag at `position`, which must have 4 bytes."""
        group, number = struct.unpack_from(
            ">HH" if encoding.big_endian else "<HH", self.buffer, position
        )
        return int(group << 16 | number)

    def items(self, token: Token, encoding: Encoding) -> Iterator[tuple[int, int]]:
        """(offset, end) of the content of each item of a sequence value; encapsulated fragments
        too.
        """
        _, _, position, length, _ = token
        end = position + length
        while position + 8 <= end and self._steps > 0:
            self._steps -= 1
            tag = self.tag_at(position, encoding)
            size = LONG[encoding.big_endian](self.buffer, position + 4)[0]
            position += 8
            if tag == ITEM and size == UNDEFINED_LENGTH:
                stop, following = self.skip(position, end, encoding, IS_ITEM)
                yield position, stop
                position = following
            elif tag == ITEM:
                if position + size > end:
                    self._cut("an item is longer than its sequence")
                yield position, min(position + size, end)
                position += size
            elif tag not in {ITEM_END, SEQUENCE_END}:
                self.warn("a sequence holds something that is no item")
                return

    def children_encoding(self, token: Token, encoding: Encoding) -> Encoding:
        """How the items of a sequence are written: UN of undefined length is implicit inside (PS3.5
        6.2.2).
        """
        return BY_CODE[self._inner_code(token[1], token[2], encoding)]

    def skip(self, position: int, end: int, encoding: Encoding, kind: int = 0) -> tuple[int, int]:
        """(end of the content, first byte behind the delimiter) of an undefined-length sequence
        (`kind` 0) or item (1) whose content begins at `position`.

        Any depth without recursion, in one byte of memory a level. The ends of the levels inside
        are remembered: going down through nested sequences walks over no byte twice.
        """
        if position in self._ends:
            return self._ends[position]
        levels = Levels(self._ends)
        levels.push(encoding.code << 1 | kind, position)
        while position + 8 <= end and self._steps > 0 and levels.stack:
            position = self._step(position, end, levels)
        if levels.stack:
            self._cut("a sequence of undefined length has no end")
            while levels.stack:
                levels.pop(end, end)
        return levels.last

    def _step(self, position: int, end: int, levels: Levels) -> int:
        """Go on over elements of the innermost level, up to and over one that opens or ends a level."""
        top = levels.stack[-1]
        encoding = BY_CODE[top >> 1]
        if top & IS_ITEM:
            passed: list[Token] = []
            walk = self._walk_implicit if encoding.implicit else self._walk_explicit
            position = walk(position, end, encoding.big_endian, passed, _PIXEL_GROUP)
            self._steps -= len(passed)
        self._steps -= 1
        if position + 8 > end:
            return position
        tag, vr, start, length = self._measure(position, end, encoding)
        if tag >> 16 == 0xFFFE:
            return levels.delimit(tag, position, length)
        if not top & IS_ITEM:
            levels.pop(position, position)
            self.warn("a sequence of undefined length has no delimiter")
            return position
        if length == UNDEFINED_LENGTH:
            levels.push(self._inner_code(vr, start, encoding) << 1, start)
            return start
        return start + length

    def _inner_code(self, vr: str, start: int, encoding: Encoding) -> int:
        if vr != "UN" or encoding.implicit:
            return encoding.code
        inside = peek(self.buffer, start + 8, len(self.buffer))
        if inside is None or inside.big_endian:
            return IMPLICIT_LITTLE.code
        return inside.code

    def _walk_explicit(
        self, position: int, end: int, big_endian: bool, tokens: list[Token], stop_tag: int
    ) -> int:
        """Take regular elements below `stop_tag` until something needs a closer look; returns where
        that is.
        """
        buffer, append = self.buffer, tokens.append
        header, long = EXPLICIT_HEADER[big_endian], LONG[big_endian]
        short_vr, long_vr = SHORT_CODES.get, LONG_CODES.get
        limit = end - 8
        for _ in repeat(None, MAX_ELEMENTS - len(tokens)):
            if position > limit:
                break
            group, number, code, length = header(buffer, position)
            start = position + 8
            vr = short_vr(code)
            if vr is None:
                vr = long_vr(code)
                if vr is None or length or start + 4 > end:
                    break
                length = long(buffer, start)[0]
                start += 4
                if length == UNDEFINED_LENGTH:
                    break
            following = start + length
            tag = group << 16 | number
            if following > end or tag >= stop_tag:
                break
            append((tag, vr, start, length, False))
            position = following
        return position

    def _walk_implicit(
        self, position: int, end: int, big_endian: bool, tokens: list[Token], stop_tag: int
    ) -> int:
        buffer, append = self.buffer, tokens.append
        header, standard_vr = IMPLICIT_HEADER[big_endian], STANDARD_VRS.get
        limit = end - 8
        for _ in repeat(None, MAX_ELEMENTS - len(tokens)):
            if position > limit:
                break
            group, number, length = header(buffer, position)
            start = position + 8
            following = start + length
            tag = group << 16 | number
            if following > end or tag >= stop_tag or length == UNDEFINED_LENGTH:
                break
            append((tag, standard_vr(tag) or implicit_vr(tag), start, length, False))
            position = following
        return position

    def _irregular(self, position: int, end: int, encoding: Encoding, tokens: list[Token]) -> int:
        """Take the one element at `position`, whatever is odd with it; returns where the walk goes
        on.
        """
        tag, vr, start, length = self._measure(position, end, encoding)
        if tag >> 16 == 0xFFFE:
            self.warn("a sequence delimiter stands outside of a sequence")
            return start
        previous = self._longer_previous(position, end, encoding, tokens)
        if previous is not None:
            return previous
        if length == UNDEFINED_LENGTH:
            inside = BY_CODE[self._inner_code(vr, start, encoding)]
            stop, following = self.skip(start, end, inside)
            tokens.append((tag, vr, start, stop - start, True))
            return following
        if start + length > end:
            self._cut(f"element {tag:08X} is longer than what is left")
            length = max(0, end - start)
        tokens.append((tag, vr, min(start, end), length, False))
        return start + length

    def _longer_previous(
        self, position: int, end: int, encoding: Encoding, tokens: list[Token]
    ) -> int | None:
        """Where the walk goes on when the previous element in truth had a 32-bit length field.

        Some writers give VRs of PS3.5 table 7.1-2 the long form: read as the short one they look
        empty, and what follows is no element.
        """
        if encoding.implicit or not tokens or position + 4 > end:
            return None
        tag, vr, start, length, _ = tokens[-1]
        if start != position or length or vr not in SHORT_CODES.values():
            return None
        if bytes(self.buffer[position + 4 : position + 6]) in CODES:
            return None
        length = int(LONG[encoding.big_endian](self.buffer, position)[0])
        start = position + 4
        if start + length > end or not self._is_plausible(start + length, end, encoding):
            return None
        tokens[-1] = (tag, vr, start, length, False)
        self.warn(f"VR {vr} is written with a 32-bit length")
        return start + length

    def _measure(self, position: int, end: int, encoding: Encoding) -> tuple[int, str, int, int]:
        """(tag, VR, offset of the value, length as written) of the element at `position` (8 bytes
        at least).
        """
        big_endian = encoding.big_endian
        group, number, code, short = EXPLICIT_HEADER[big_endian](self.buffer, position)
        tag = group << 16 | number
        long = LONG[big_endian](self.buffer, position + 4)[0]
        if group == 0xFFFE:
            return tag, "", position + 8, long
        if encoding.implicit:
            if position + 8 + long > end and long != UNDEFINED_LENGTH and code in CODES:
                self.warn("explicit VRs in an implicit dataset")
                return tag, *self._explicit(position, end, code, short, EXPLICIT_LITTLE)
            return tag, implicit_vr(tag), position + 8, long
        if code in SHORT_CODES:
            return tag, SHORT_CODES[code], position + 8, short
        if code.isalpha() and code.isupper():
            return tag, *self._explicit(position, end, code, short, encoding)
        self.warn("elements without VR in an explicit dataset")
        return tag, implicit_vr(tag), position + 8, long

    def _explicit(
        self, position: int, end: int, code: bytes, short: int, encoding: Encoding
    ) -> tuple[str, int, int]:
        """VR, offset and length of an element with a long-form or unknown VR, by what makes sense
        behind it.
        """
        vr = CODES.get(code, "UN")
        if code in SHORT_CODES:
            return vr, position + 8, short
        if code not in CODES:
            self.warn("a VR is none of the standard's")
        forms = [(position + 8, short)]
        if position + 12 <= end:
            long = LONG[encoding.big_endian](self.buffer, position + 8)[0]
            forms.insert(0, (position + 12, long))
            if short == 0 and (long == UNDEFINED_LENGTH or code in CODES):
                return vr, *forms[0]
        for start, length in forms:
            if self._is_plausible(start + length, end, encoding):
                if start == position + 8 and code in CODES:
                    self.warn(f"VR {vr} is written with a 16-bit length")
                return vr, start, length
        return vr, *forms[0]

    def _is_plausible(self, position: int, end: int, encoding: Encoding) -> bool:
        """Whether an element, or the end, may be at `position`."""
        if position >= end - 7:
            return position == end
        group, _, code, _ = EXPLICIT_HEADER[encoding.big_endian](self.buffer, position)
        return code in CODES or group == 0xFFFE

    def _leftover(self, position: int, end: int) -> None:
        rest = bytes(self.buffer[position:end])
        if rest.strip(b"\0"):
            self._cut(f"{len(rest)} bytes at the end are no element")

    def _cut(self, text: str) -> None:
        self.truncated = True
        self.warn(text)
