"""The coded character sets behind the defined terms of Specific Character Set (PS3.3 C.12.1.1.2)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

_G0, _G1 = 0, 1


@dataclass(frozen=True, slots=True)
class CodedSet:
    """A set of ISO 2022 with `width` bytes a character.

    `codec` reads its bytes with the high bit set, `extension` those that vendors have added to it.
    `escape` designates it to `area` (0: G0, 1: G1), where DICOM has it.
    """

    name: str
    codec: str
    escape: bytes
    area: int = _G1
    width: int = 1
    extension: str = ""

    def decode(self, data: bytes) -> str:
        """`data`, of either area, as text. Raises UnicodeDecodeError."""
        if self.codec == "ascii":
            return (data.translate(_WITHOUT_HIGH_BIT)).decode("ascii")
        return _euc(data.translate(_WITH_HIGH_BIT), self.name).decode(self.codec)

    def decode_extended(self, data: bytes) -> str:
        """As `decode`, for what vendors have added to the set. Raises UnicodeDecodeError."""
        if not self.extension:
            raise UnicodeDecodeError(self.codec, data, 0, len(data), "no such characters")
        is_jis = self.extension == "cp932" and self.width == 2
        return (_shift_jis(data) if is_jis else data.translate(_WITH_HIGH_BIT)).decode(
            self.extension
        )

    def encode(self, character: str) -> bytes | None:
        """The bytes of `character` in the set's area, without escape; None when it is not in it."""
        if self.codec == "ascii":
            return _ascii(character, self.name)
        try:
            data = character.encode(self.codec)
        except UnicodeEncodeError:
            return None
        if self.name == "159":
            data = data[1:] if data[0] == _SINGLE_SHIFT_3 else b""
        if len(data) != self.width or min(data) < 0xA0 or character == _HANGUL_FILLER:
            return None
        return data if self.area == _G1 else data.translate(_WITHOUT_HIGH_BIT)


_WITH_HIGH_BIT = bytes(byte | 0x80 for byte in range(256))
_WITHOUT_HIGH_BIT = bytes(byte & 0x7F for byte in range(256))
_SINGLE_SHIFT_3 = 0x8F
_HANGUL_FILLER = "\u3164"  # begins a composed syllable of eight bytes: no character by itself
_NOT_IN_ROMAJI = frozenset("\\~")


def _ascii(character: str, name: str) -> bytes | None:
    if not character.isascii() or (name == "14" and character in _NOT_IN_ROMAJI):
        return None
    return character.encode("ascii")


def _euc(data: bytes, name: str) -> bytes:
    """JIS X 0212 is the third set of EUC-JP: each character has a byte in front."""
    if name != "159":
        return data
    pairs = (data[at : at + 2] for at in range(0, len(data), 2))
    return b"".join(b"\x8f" + pair for pair in pairs)


def _shift_jis(data: bytes) -> bytes:
    """Characters of JIS X 0208, rows 1 to 94, as Shift JIS (JIS X 0208 annex 1)."""
    out = bytearray()
    for first, second in zip(data[::2], data[1::2], strict=False):
        row, cell = (first & 0x7F) - 0x21, (second & 0x7F) - 0x21
        lead = row // 2 + (0x81 if row < 62 else 0xC1)
        trail = cell + 0x9F if row % 2 else cell + (0x40 if cell < 63 else 0x41)
        out += bytes((lead & 0xFF, trail & 0xFF))
    return bytes(out)


ASCII = CodedSet("6", "ascii", b"\x1b(B", _G0)
ROMAJI = CodedSet("14", "ascii", b"\x1b(J", _G0)
KATAKANA = CodedSet("13", "shift_jis", b"\x1b)I", extension="cp932")
JIS_X_0208 = CodedSet("87", "euc_jp", b"\x1b$B", _G0, 2, "cp932")
JIS_X_0212 = CodedSet("159", "euc_jp", b"\x1b$(D", _G0, 2)
KS_X_1001 = CodedSet("149", "euc_kr", b"\x1b$)C", _G1, 2, "cp949")
GB_2312 = CodedSet("58", "gb2312", b"\x1b$)A", _G1, 2, "gb18030")

_LATIN_AND_OTHERS = tuple(
    CodedSet(name, codec, b"\x1b-" + final.encode(), extension=extension)
    for name, codec, final, extension in (
        ("100", "latin-1", "A", "cp1252"),
        ("101", "iso8859-2", "B", "cp1250"),
        ("109", "iso8859-3", "C", ""),
        ("110", "iso8859-4", "D", "cp1257"),
        ("126", "iso8859-7", "F", "cp1253"),
        ("127", "iso8859-6", "G", "cp1256"),
        ("138", "iso8859-8", "H", "cp1255"),
        ("144", "iso8859-5", "L", "cp1251"),
        ("148", "iso8859-9", "M", "cp1254"),
        ("166", "iso8859-11", "T", "cp874"),
        ("203", "iso8859-15", "b", "cp1252"),
    )
)

Areas = tuple[CodedSet | None, CodedSet | None]
"""What G0 and G1 hold."""

AREAS = MappingProxyType(
    {
        "6": (ASCII, None),
        "13": (ROMAJI, KATAKANA),
        **{item.name: (ASCII, item) for item in _LATIN_AND_OTHERS},
        "87": (JIS_X_0208, None),
        "159": (JIS_X_0212, None),
        "149": (None, KS_X_1001),
        "58": (None, GB_2312),
    }
)
"""The sets that a defined term brings, by its ISO registration number (tables C.12-2 to C.12-4)."""

MULTI_BYTE = frozenset({"87", "159", "149", "58"})
"""They never stand first, nor without code extensions (table C.12-4)."""

STAND_ALONE = MappingProxyType({"ISO_IR 192": "utf-8", "GB18030": "gb18030", "GBK": "gbk"})
"""Terms that stand alone, with their codec (table C.12-5)."""

DESIGNATED = MappingProxyType(
    {
        **{b"-" + item.escape[-1:]: item for item in _LATIN_AND_OTHERS},
        **{area + b"B": ASCII for area in (b"(", b")")},
        **{area + b"J": ROMAJI for area in (b"(", b")")},
        **{area + b"I": KATAKANA for area in (b"(", b")")},
        **{area + b"B": JIS_X_0208 for area in (b"$", b"$(", b"$)")},
        **{area + b"@": JIS_X_0208 for area in (b"$", b"$(")},
        **{area + b"D": JIS_X_0212 for area in (b"$(", b"$)")},
        **{area + b"C": KS_X_1001 for area in (b"$(", b"$)")},
        **{area + b"A": GB_2312 for area in (b"$", b"$(", b"$)")},
    }
)
"""What follows ESC, and the set that it means; also those designations that DICOM does not use."""


def number_of(term: str) -> str:
    """The ISO registration number in a defined term; "6" for the empty one, "" where there is none."""
    if not term:
        return "6"
    for prefix in ("ISO_IR ", "ISO 2022 IR "):
        if term.startswith(prefix):
            return term.removeprefix(prefix)
    return ""


def areas_of(term: str) -> Areas:
    """What a defined term as first value puts into G0 and G1; ASCII and nothing for other text."""
    low, high = AREAS.get(number_of(term), (ASCII, None))
    return (low if low is ROMAJI else ASCII), high
