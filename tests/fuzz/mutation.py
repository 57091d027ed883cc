"""Changes to an input that keep enough of its structure for the changed part to be read."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

Mutate = Callable[[bytes, Random], bytes]

MAX_REPEATED = 16384
_NUMBERS = (0, 1, 2, 3, 4, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
_WIDE = (*_NUMBERS, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_U16 = (struct.Struct("<H"), struct.Struct(">H"))
_U32 = (struct.Struct("<I"), struct.Struct(">I"))

DICOM_WORDS = (
    struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF),
    struct.pack("<HHI", 0xFFFE, 0xE000, 8),
    struct.pack("<HHI", 0xFFFE, 0xE00D, 0),
    struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
    struct.pack(">HHI", 0xFFFE, 0xE000, 0xFFFFFFFF),
    struct.pack(">HHI", 0xFFFE, 0xE0DD, 0),
    struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF),
    struct.pack(">HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF),
    struct.pack("<HHI", 0x0040, 0xA730, 0xFFFFFFFF),
    struct.pack("<HH2sHI", 0x0009, 0x1001, b"UN", 0, 0xFFFFFFFF),
    struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF),
    struct.pack("<HH2sH", 0x0008, 0x0005, b"CS", 14) + b"\\ISO 2022 IR 87"[:14],
    struct.pack("<HH2sH", 0x0008, 0x0018, b"UI", 4) + b"1.2\0",
    struct.pack("<HH2sH", 0x0028, 0x0008, b"IS", 2) + b"3 ",
    struct.pack("<HH2sH", 0x0028, 0x0010, b"US", 2) + b"\xff\xff",
    *(b"OB OW UN SQ UT PN US AT DS IS LO UI FD OV ZZ".split()),
    b"ISO_IR 192", b"ISO 2022 IR 87", b"ISO 2022 IR 149", b"GB18030", b"\\", b"^", b"=",
    b"\x1b$B", b"\x1b(B", b"\x1b$)C", b"\x1b)I", b"\xff\xd8\xff", b"\xff\x4f\xff\x51",
    b"*", b"?", b"-", b"20240229", b"\0", b"\0\0\0\0\0\0\0\0",
)  # fmt: skip


def mutate(data: bytes, random: Random) -> bytes:
    """`data` with one change, or a few."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
        data = random.choice(_CHANGES)(data, random)
    return data


def _flip(data: bytes, random: Random) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _number(data: bytes, random: Random) -> bytes:
    """A length or a count becomes an extreme one."""
    order = random.randrange(2)
    short = random.random() < 0.5
    word = (
        _U16[order].pack(random.choice(_NUMBERS))
        if short
        else _U32[order].pack(random.choice(_WIDE))
    )
    return _overwritten(data, word, random)


def _word(data: bytes, random: Random) -> bytes:
    word = random.choice(DICOM_WORDS)
    if random.random() < 0.5:
        return _overwritten(data, word, random)
    at = random.randint(0, len(data))
    return data[:at] + word + data[at:]


def _overwritten(data: bytes, word: bytes, random: Random) -> bytes:
    at = random.randint(0, max(0, len(data) - len(word)))
    return data[:at] + word + data[at + len(word) :]


def _cut(data: bytes, random: Random) -> bytes:
    start, stop = _span(data, random)
    return data[:start] + data[stop:]


def _truncate(data: bytes, random: Random) -> bytes:
    return data[: random.randint(0, len(data))]


def _repeat(data: bytes, random: Random) -> bytes:
    """A part many times over: what is nested, or costs more than it is long, shows then."""
    start, stop = _span(data, random)
    part = data[start:stop]
    times = random.choice((2, 2, 3, 10, 100, 1000))
    times = min(times, MAX_REPEATED // max(1, len(part)))
    return data[:start] + part * times + data[stop:]


def _move(data: bytes, random: Random) -> bytes:
    start, stop = _span(data, random)
    rest = data[:start] + data[stop:]
    at = random.randint(0, len(rest))
    return rest[:at] + data[start:stop] + rest[at:]


def _span(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randint(0, len(data))
    return start, min(len(data), start + random.choice((1, 2, 4, 8, 16, 64, 256)))


_CHANGES: Sequence[Mutate] = (
    _flip,
    _flip,
    _number,
    _number,
    _word,
    _word,
    _cut,
    _truncate,
    _repeat,
    _move,
)
