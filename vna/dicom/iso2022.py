"""Text with code extensions: escape sequences put sets into G0 and G1 (PS3.5 6.1.2.4, 6.1.2.5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import cast

from vna.dicom.coded_sets import (
    AREAS,
    DESIGNATED,
    KATAKANA,
    ROMAJI,
    Areas,
    CodedSet,
    areas_of,
    number_of,
)

_ESCAPE = re.compile(rb"\x1b(\$[()]?|[()\-])([@-~])")
_HIGH = re.compile(rb"[\x80-\xff]+")
_PAIRS = re.compile(rb"[\x21-\x7e]+")
_UP_TO_CONTROL = re.compile(rb"[^\x00-\x1f]+")
_ESC, _G1_MARKS = 0x1B, (b")", b"-")
_CONTROLS = frozenset(range(0x20)) - {_ESC}
_ALL_DELIMITERS = b"\\^="
_C1 = re.compile("[\x80-\x9f]")


@lru_cache(maxsize=8)
def _plain_runs(resets: frozenset[int]) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """What is read at once where G0 has one byte a character, and where it has two."""
    single = bytes(byte for byte in range(0x80) if byte not in resets and byte != _ESC)
    between = bytes(byte for byte in single if not 0x21 <= byte <= 0x7E)
    return tuple(re.compile(b"[" + re.escape(these) + b"]+") for these in (single, between))  # type: ignore[return-value]


class Iso2022Reader:
    """Reads one value; `delimiters` (besides control characters) bring the first sets back.

    `is_extended` tells, after `read`, that there were characters which the sets do not have.
    """

    def __init__(self, terms: Sequence[str], delimiters: bytes) -> None:
        self._first = areas_of(terms[0])
        self._low, self._high = self._first
        self._others = [AREAS[number][1] for term in terms if (number := number_of(term)) in AREAS]
        self._resets = _CONTROLS | frozenset(delimiters)
        self._plain, self._between_pairs = _plain_runs(self._resets)
        self.is_extended = False

    def read(self, value: bytes) -> str:
        """`value` as text. Raises UnicodeDecodeError."""
        parts: list[str] = []
        position = 0
        while position < len(value):
            text, position = self._next(value, position)
            parts.append(text)
        return "".join(parts)

    def _next(self, value: bytes, position: int) -> tuple[str, int]:
        """The text of the run at `position`, and where the next one begins."""
        byte = value[position]
        if byte == _ESC:
            return self._escape(value, position)
        if byte >= 0x80:
            return self._read_high(value, position)
        is_paired = self._low is not None and self._low.width == 2
        if is_paired and 0x21 <= byte <= 0x7E:
            return self._read_pairs(_run(_PAIRS, value, position), position)
        if byte in self._resets:
            self._low, self._high = self._first
            return chr(byte), position + 1
        run = _run(self._between_pairs if is_paired else self._plain, value, position)
        return self._text(self._low, run), position + len(run)

    def _escape(self, value: bytes, position: int) -> tuple[str, int]:
        found = _ESCAPE.match(value, position)
        if found is None:
            return "\x1b", position + 1
        designated = DESIGNATED.get(found[1] + found[2])
        if designated is None:
            self.is_extended = True
        elif found[1].endswith(_G1_MARKS):
            self._high = designated
        else:
            self._low = designated
        return "", found.end()

    @staticmethod
    def _text(coded: CodedSet | None, run: bytes) -> str:
        """7-bit katakana in G0 is read with its high bit; controls and spaces are of every set."""
        if coded is None or coded.width == 2 or coded.codec == "ascii":
            return run.decode("ascii")
        return "".join(
            coded.decode(run[at : at + 1]) if 0x20 < byte < 0x7F else chr(byte)
            for at, byte in enumerate(run)
        )

    def _read_pairs(self, run: bytes, position: int) -> tuple[str, int]:
        """Two bytes a character, whatever they look like; leniently where an escape is forgotten."""
        coded = cast("CodedSet", self._low)
        text = self._decoded(coded, run) if len(run) % 2 == 0 else None
        if text is not None:
            return text, position + len(run)
        whole = len(run) - len(run) % 2
        delimited = (at for at in range(2, len(run), 2) if run[at] in _ALL_DELIMITERS)
        stop = next(delimited, whole)
        text = self._decoded(coded, run[:stop])
        if text is None:
            raise UnicodeDecodeError(coded.codec, run, 0, len(run), "no such characters")
        self.is_extended = True
        self._low = self._first[0]
        return text, position + stop

    def _read_high(self, value: bytes, position: int) -> tuple[str, int]:
        run = _run(_HIGH, value, position)
        others = () if self._high is not None else self._others
        for coded in filter(None, (self._high, *others)):
            text = self._decoded(coded, run)
            if text is not None:
                return text, position + len(run)
            if coded.width == 2 and coded.area == 1:  # their second byte may look like ASCII
                longer = _run(_UP_TO_CONTROL, value, position)
                try:
                    text = longer.decode(coded.extension)
                except UnicodeDecodeError:
                    continue
                self.is_extended = True
                return text, position + len(longer)
        raise UnicodeDecodeError("ascii", run, 0, len(run), "no set is in G1")

    def _decoded(self, coded: CodedSet, run: bytes) -> str | None:
        try:
            text = coded.decode(run)
        except UnicodeDecodeError:
            text = ""
        if text and (coded.width == 2 or not _C1.search(text)):
            return text
        try:
            text = coded.decode_extended(run)
        except UnicodeDecodeError:
            return None
        self.is_extended = True
        return text


def _run(pattern: re.Pattern[bytes], value: bytes, position: int) -> bytes:
    found = pattern.match(value, position)
    return found[0] if found else value[position : position + 1]


class Iso2022Writer:
    """Writes values with the sets of `terms`, escape sequences only where there are several terms.

    Many readers know one set at a time, that of the last escape sequence: so what they would have
    forgotten is designated again, though G0 and G1 are independent of each other.
    """

    def __init__(self, terms: Sequence[str]) -> None:
        self._first = areas_of(terms[0])
        known = [number for term in terms[1:] if (number := number_of(term)) in AREAS]
        areas: list[Areas] = [self._first, *(AREAS[number] for number in known)]
        if len(terms) > 1:
            areas.append(AREAS.get(number_of(terms[0]), (None, None)))
        sets = [coded for pair in areas for coded in pair if coded is not None]
        self._sets = tuple(dict.fromkeys(sets))

    def write(self, text: str, delimiters: str) -> bytes | None:
        """One value; before delimiters and at its end the first sets are back (PS3.5 6.1.2.5.3).

        None when no set has one of the characters.
        """
        if "\x1b" in text:
            return None
        state, parts = _State(self._first), list[bytes]()
        for character in text:
            if character < " " or character in delimiters:
                parts += (*state.reset(), character.encode("ascii"))
                continue
            found = self._encoded(character, state)
            if found is None:
                return None
            coded, data = found
            parts += (state.use(coded), data)
        return b"".join((*parts, *state.reset()))

    def _encoded(self, character: str, state: _State) -> tuple[CodedSet, bytes] | None:
        """The set to use, one that needs no escape before others."""
        for coded in (*state.active, *self._sets):
            data = coded.encode(character)
            if data is not None:
                return coded, data
        return None


class _State:
    """What G0 and G1 hold, and which of it a reader of one set at a time knows (`active`)."""

    __slots__ = ("_areas", "_first", "active")

    def __init__(self, first: Areas) -> None:
        self._first = first
        self._areas = list(first)
        self.active = _present(first)

    def use(self, coded: CodedSet) -> bytes:
        """The escape sequence before a character of `coded`; nothing where it is in use."""
        if coded in self.active:
            return b""
        self._areas[coded.area] = coded
        low, high = self._areas
        if coded.area == 1:
            beside = low if low is not None and low.width == 1 else None
        else:
            beside = high if coded is ROMAJI and high is KATAKANA else None
        self.active = _present((coded, beside))
        return coded.escape

    def reset(self) -> list[bytes]:
        """The escape sequences that bring the first sets back."""
        pairs = zip(self._areas, self._first, strict=True)
        escapes = [first.escape for now, first in pairs if first is not None and now is not first]
        self._areas[:] = self._first
        self.active = _present(self._first)
        return escapes


def _present(sets: Areas) -> tuple[CodedSet, ...]:
    return tuple(coded for coded in sets if coded is not None)
