"""Text of any Specific Character Set (0008,0005) as Unicode and back; wrong labels never raise
(PS3.5 6.1, PS3.3 C.12.1.1.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from vna.dicom.coded_sets import AREAS, MULTI_BYTE, STAND_ALONE, areas_of, number_of
from vna.dicom.iso2022 import Iso2022Reader, Iso2022Writer
from vna.dicom.vrs import SINGLE_TEXT_VRS

DEFAULT = ("",)
UNICODE = "ISO_IR 192"
MAX_TERMS = 16
"""More values than PS3.3 has terms say nothing."""

_MAX_LABEL = 512

_DECODED_WHOLE = {"13": "shift_jis", "87": "shift_jis", "159": "shift_jis"}
_KINDS = ("ISO_IR ", "ISO 2022 IR ")
CODECS: dict[str, str] = {
    "": "ascii",
    **{
        f"{kind}{number}": _DECODED_WHOLE.get(number) or (high.codec if high else "ascii")
        for number, (_, high) in AREAS.items()
        for kind in _KINDS
        if kind == "ISO 2022 IR " or number not in MULTI_BYTE
    },
    **STAND_ALONE,
}
"""Python codec of each defined term, for text without escape sequences."""

_TERM = re.compile(r"(ISO)[ _-]*(IR|2022)[ _-]*(?:IR)?[ _-]*0*(\d+)")
_SEPARATORS = re.compile(r"[ _-]+")
_NAMES = {
    **dict.fromkeys(("UTF8", "UNICODE11UTF8", "ISO10646"), UNICODE),
    **dict.fromkeys(("ISO2022GBK", "CP936"), "GBK"),
    **dict.fromkeys(("ISO2022GB18030",), "GB18030"),
    **dict.fromkeys(("ASCII", "USASCII", "NONE", "DEFAULT"), ""),
    **dict.fromkeys(("LATIN1", "ISO88591"), "ISO_IR 100"),
    **dict.fromkeys(("LATIN2", "ISO88592"), "ISO_IR 101"),
    "ISO88595": "ISO_IR 144",
    "ISO88597": "ISO_IR 126",
    "ISO88599": "ISO_IR 148",
    "ISO885915": "ISO_IR 203",
    "GB2312": "GBK",
}
_C1 = re.compile(rb"[\x80-\x9f]")
_LATIN = frozenset({"ascii", "latin-1"})
_BY_REGION = {"87": ("cp932", "euc_jp"), "149": ("cp949",), "58": ("gb18030",)}
_BY_REGION |= {"159": _BY_REGION["87"], "13": _BY_REGION["87"]}
_CUT_SHORT = frozenset({"unexpected end of data", "incomplete multibyte sequence"})

Charsets = Sequence[str]


def parse_charsets(value: bytes, warnings: list[str] | None = None) -> tuple[str, ...]:
    """The defined terms of a Specific Character Set value; misspelt ones are mended, unknown ones
    kept, those behind the first MAX_TERMS left out.
    """
    terms = tuple(
        _term(text) for text in value.decode("latin-1").split("\\", MAX_TERMS)[:MAX_TERMS]
    )
    unknown = [term for term in terms if term not in CODECS]
    if unknown and warnings is not None:
        warnings.append(f"unknown Specific Character Set {unknown[0][:32]!r}")
    return terms or DEFAULT


@lru_cache(maxsize=256)
def _term(text: str) -> str:
    text = text.strip("\0 \t\r\n\"'").upper()
    if text in CODECS:
        return text
    plain = _SEPARATORS.sub("", text)
    if plain in CODECS or plain in _NAMES:
        return _NAMES.get(plain, plain)
    match = _TERM.fullmatch(text)
    if match is None:
        return text
    number = match[3]
    if f"{_KINDS[0]}{number}" in STAND_ALONE:
        return f"{_KINDS[0]}{number}"
    is_extension = match[2] == "2022" or number in MULTI_BYTE
    return _KINDS[is_extension] + number


def decode(
    value: bytes, charsets: Charsets, warnings: list[str] | None = None, *, vr: str = "PN"
) -> str:
    """`value`, one element of `vr` with all its values, as text.

    Where the label can't be right, UTF-8 is taken, then what is usual in the region that the label
    names, then windows-1252, then Latin-1. `warnings` gets a line when that happened. Never raises.
    """
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    charsets = charsets or DEFAULT
    text, is_odd = _labelled(value, charsets, vr)
    if is_odd and warnings is not None:
        label = "\\".join(charsets)
        warnings.append(f"text does not fit its Specific Character Set {label!r}")
    return text


def _labelled(value: bytes, charsets: Charsets, vr: str) -> tuple[str, bool]:
    """`value` by its label if that can be, and whether something about it is odd."""
    first = CODECS.get(charsets[0], "")
    try:
        if b"\x1b" in value and charsets[0] not in STAND_ALONE:
            reader = Iso2022Reader(charsets, _delimiters(vr).encode("ascii"))
            text = reader.read(value)
            return text, reader.is_extended
        if first and not _is_mislabelled(value, first, charsets):
            return value.decode(first), False
    except UnicodeDecodeError:
        pass
    return _guess(value, first, charsets), True


def _delimiters(vr: str) -> str:
    """What ends the reach of an escape sequence besides control characters (PS3.5 6.1.2.5.3)."""
    if vr == "PN":
        return "\\^="
    return "" if vr in SINGLE_TEXT_VRS else "\\"


def _is_mislabelled(value: bytes, codec: str, charsets: Charsets) -> bool:
    """Text of one byte a character that holds C1 controls, and Latin-1 that is well-formed UTF-8,
    is something else.
    """
    if codec == "ascii":
        return True
    if areas_of(charsets[0])[1] is None or codec == "shift_jis":
        return False
    if codec != "latin-1":
        return number_of(charsets[0]) not in MULTI_BYTE and _C1.search(value) is not None
    if _C1.search(value):
        return True
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _guess(value: bytes, codec: str, charsets: Charsets) -> str:
    for candidate in _candidates(codec, charsets):
        try:
            return value.decode(candidate)
        except UnicodeDecodeError as exc:
            head = value[: exc.start]
            is_cut = exc.reason in _CUT_SHORT or exc.end >= len(value.rstrip(b" \0"))
            if candidate == codec and is_cut and not head.isascii():
                return head.decode(codec, "replace") + "\ufffd"
    return value.decode("latin-1")


def _candidates(codec: str, charsets: Charsets) -> Iterator[str]:
    """Codecs that the text may be in, the likeliest first; all but the last may fail."""
    yield "utf-8"
    if codec in STAND_ALONE.values():
        yield codec
    for term in charsets:
        number = number_of(term)
        yield from _BY_REGION.get(number, ())
        high = AREAS.get(number, (None, None))[1]
        if high is not None and high.extension and high.width == 1:
            yield high.extension
    if codec and codec not in _LATIN and codec not in STAND_ALONE.values():
        yield codec
    yield "cp1252"


# --- writing --------------------------------------------------------------------------------------


def usable_charsets(terms: Charsets) -> tuple[str, ...]:
    """`terms` as a label that may be written (PS3.3 C.12.1.1.2); empty when they name no set.

    With several terms each is one with code extensions; a set of several bytes a character never
    stands first; nothing stands beside a term that stands alone.
    """
    if not terms or (terms[0] and terms[0] not in CODECS):
        return ()
    if terms[0] in STAND_ALONE:
        return (terms[0],)
    numbers = [number_of(term) for term in terms if term in CODECS and term not in STAND_ALONE]
    if numbers[0] in MULTI_BYTE:
        return ("", *(_KINDS[1] + number for number in dict.fromkeys(numbers)))
    first, *others = dict.fromkeys(numbers)
    if not others:
        return (terms[0],) if first != "6" else ()
    return (_KINDS[1] + first if terms[0] else "", *(_KINDS[1] + number for number in others))


@lru_cache(maxsize=1024)
def encode(text: str, charsets: tuple[str, ...], vr: str) -> bytes | None:
    """`text`, one value of `vr`, in a label that `usable_charsets` gave; None when it does not fit.

    What comes back is read by `decode` as `text`.
    """
    codec = STAND_ALONE.get(charsets[0])
    if codec is None:
        return _writer(charsets).write(text, _delimiters(vr))
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        return None


@lru_cache(maxsize=64)
def _writer(charsets: tuple[str, ...]) -> Iso2022Writer:
    return Iso2022Writer(charsets)
