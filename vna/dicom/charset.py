"""Text of any Specific Character Set (0008,0005) as Unicode; wrong labels never raise (PS3.5 6.1,
PS3.3 C.12.1.1.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

DEFAULT = ("",)

_ISO = {
    "6": "ascii",
    "13": "shift_jis",
    "100": "latin-1",
    "101": "iso8859-2",
    "109": "iso8859-3",
    "110": "iso8859-4",
    "126": "iso8859-7",
    "127": "iso8859-6",
    "138": "iso8859-8",
    "144": "iso8859-5",
    "148": "iso8859-9",
    "166": "tis-620",
    "203": "iso8859-15",
}
_MULTI = {"58": "gb2312", "87": "iso2022_jp", "149": "euc_kr", "159": "iso2022_jp_2"}
_WHOLE = {"ISO_IR 192": "utf-8", "GB18030": "gb18030", "GBK": "gbk"}

CODECS: dict[str, str] = {
    "": "ascii",
    **{f"ISO_IR {number}": codec for number, codec in _ISO.items()},
    **{f"ISO 2022 IR {number}": codec for number, codec in (_ISO | _MULTI).items()},
    **_WHOLE,
}
"""Python codec of each defined term, for text without escape sequences."""

_ESCAPES = {
    b"(B": "ascii", b"(J": "shift_jis", b")I": "shift_jis",
    b"-A": "latin-1", b"-B": "iso8859-2", b"-C": "iso8859-3", b"-D": "iso8859-4",
    b"-F": "iso8859-7", b"-G": "iso8859-6", b"-H": "iso8859-8", b"-L": "iso8859-5",
    b"-M": "iso8859-9", b"-T": "tis-620", b"-b": "iso8859-15",
    b"$)C": "euc_kr", b"$)A": "gb2312", b"$B": "iso2022_jp", b"$@": "iso2022_jp",
    b"$(D": "iso2022_jp_2",
}  # fmt: skip
_PIECE = re.compile(rb"\x1b(\$[()][A-Z]|\$[@AB]|[()\-.][A-Za-z])")
_PAIRED = frozenset({"iso2022_jp", "iso2022_jp_2"})
_RESET = re.compile(rb"([\\^=\r\n\f\t])")
_TERM = re.compile(r"(ISO)[ _-]?(IR|2022)[ _-]?(?:IR)?[ _-]?(\d+)")
_NAMES = {
    "UTF8": "ISO_IR 192",
    "UTF-8": "ISO_IR 192",
    "ISO_IR192": "ISO_IR 192",
    "ISO 2022 GBK": "GBK",
}
_C1 = re.compile(rb"[\x80-\x9f]")
_LATIN = frozenset({"ascii", "latin-1"})

Charsets = Sequence[str]


def parse_charsets(value: bytes, warnings: list[str] | None = None) -> tuple[str, ...]:
    """The defined terms of a Specific Character Set value; misspelt ones are mended, unknown ones
    kept.
    """
    terms = tuple(_term(text) for text in value.decode("latin-1").split("\\"))
    unknown = [term for term in terms if term not in CODECS]
    if unknown and warnings is not None:
        warnings.append(f"unknown Specific Character Set {unknown[0][:32]!r}")
    return terms or DEFAULT


def _term(text: str) -> str:
    text = text.strip("\0 ").upper()
    if text in CODECS:
        return text
    if text in _NAMES:
        return _NAMES[text]
    match = _TERM.match(text)
    if match is None:
        return text
    kind = "ISO_IR" if match[2] == "IR" and match[3] not in _MULTI else "ISO 2022 IR"
    return f"{kind} {match[3]}"


def decode(value: bytes, charsets: Charsets, warnings: list[str] | None = None) -> str:
    """`value` as text. Where the label can't be right, UTF-8, then windows-1252, then Latin-1 is
    taken.

    `warnings` gets a line when that happened. Never raises.
    """
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    charsets = charsets or DEFAULT
    first = CODECS.get(charsets[0], "")
    try:
        if b"\x1b" in value and charsets[0] not in _WHOLE:
            return _decode_escaped(value, first or "ascii", charsets)
        if first and not (first in _LATIN and _is_mislabelled(value, first)):
            return value.decode(_high_half(first, charsets))
    except UnicodeDecodeError:
        pass
    if warnings is not None:
        label = "\\".join(charsets)
        warnings.append(f"text does not fit its Specific Character Set {label!r}")
    return _guess(value, first)


def _is_mislabelled(value: bytes, codec: str) -> bool:
    """Latin text that holds C1 controls, or that is well-formed UTF-8, is not Latin-1."""
    if codec == "ascii" and not value.isascii():
        return True
    if _C1.search(value):
        return True
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _high_half(first: str, charsets: Charsets) -> str:
    """The codec for text without escapes: its own, unless that is ASCII and another term has a G1
    set.
    """
    if first in _PAIRED:
        return "shift_jis"
    return first


def _guess(value: bytes, codec: str) -> str:
    for candidate in ("utf-8", codec if codec not in _LATIN else "", "cp1252"):
        if candidate:
            try:
                return value.decode(candidate)
            except UnicodeDecodeError:
                continue
    if codec and codec not in _LATIN | _PAIRED | {"utf-8"}:
        return value.decode(codec, "replace")
    return value.decode("latin-1")


def _decode_escaped(value: bytes, first: str, charsets: Charsets) -> str:
    """Text with ISO 2022 escape sequences: each switches the code until the next, or until a
    delimiter.
    """
    pieces = _PIECE.split(value)
    text = [_decode_plain(pieces[0], "", first, charsets)]
    for escape, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        text.append(_decode_piece(escape, piece, first, charsets))
    return "".join(text)


def _decode_piece(escape: bytes, piece: bytes, first: str, charsets: Charsets) -> str:
    codec = _ESCAPES.get(escape)
    if codec is None:
        return _decode_plain(piece, "", first, charsets)
    if codec in _PAIRED:
        return _decode_paired(escape, piece, codec, first, charsets)
    return _decode_plain(piece, codec, first, charsets)


def _decode_paired(escape: bytes, piece: bytes, codec: str, first: str, charsets: Charsets) -> str:
    """JIS X 0208 or 0212 in G0: two bytes a character, up to a byte outside of 21-7E."""
    stop = next((i for i, byte in enumerate(piece) if not 0x21 <= byte <= 0x7E), len(piece))
    stop -= stop % 2
    try:
        text = (b"\x1b" + escape + piece[:stop] + b"\x1b(B").decode(codec)
    except UnicodeDecodeError:
        # The writer forgot to switch back: what follows the name's delimiter is plain again.
        match = _RESET.search(piece)
        if match is None or match.start() == 0:
            raise
        stop = match.start()
        text = (b"\x1b" + escape + piece[:stop] + b"\x1b(B").decode(codec)
    return text + _decode_plain(piece[stop:], "", first, charsets)


def _decode_plain(piece: bytes, codec: str, first: str, charsets: Charsets) -> str:
    """One byte a character in G0, any set in G1; a delimiter brings the first set back."""
    match = _RESET.search(piece) if codec else None
    head, tail = (piece, b"") if match is None else (piece[: match.start()], piece[match.start() :])
    text = _strict(head, codec or first, charsets)
    return text + (_decode_plain(tail, "", first, charsets) if tail else "")


def _strict(piece: bytes, codec: str, charsets: Charsets) -> str:
    if piece.isascii() and codec != "shift_jis":
        return piece.decode("ascii")
    codec = "shift_jis" if codec in _PAIRED else codec
    if codec != "ascii":
        return piece.decode(codec)
    for term in charsets[1:]:  # high bytes after a forgotten escape
        other = CODECS.get(term, "ascii")
        if other not in _PAIRED and other != "ascii":
            return piece.decode(other)
    return piece.decode("ascii")
