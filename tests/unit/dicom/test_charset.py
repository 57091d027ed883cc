"""Text in every character set of the standard, with right, wrong and missing labels (PS3.5 H-K)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vna.dicom.charset import CODECS, decode, parse_charsets

RIGHT = [
    ("ISO_IR 100", "Äneas^Rüdiger".encode("latin-1"), "Äneas^Rüdiger"),
    ("ISO_IR 101", "Wałęsa".encode("iso8859-2"), "Wałęsa"),
    ("ISO_IR 144", "Люкceмбypг".encode("iso8859-5"), "Люкceмбypг"),
    ("ISO_IR 126", "Διονυσιος".encode("iso8859-7"), "Διονυσιος"),
    ("ISO_IR 127", "قباني^لنزار".encode("iso8859-6"), "قباني^لنزار"),
    ("ISO_IR 138", "שרון^דבורה".encode("iso8859-8"), "שרון^דבורה"),
    ("ISO_IR 148", "Çavuşoğlu".encode("iso8859-9"), "Çavuşoğlu"),
    ("ISO_IR 166", "สวัสดี".encode("tis-620"), "สวัสดี"),
    ("ISO_IR 203", "œuvre €".encode("iso8859-15"), "œuvre €"),
    ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ("ISO_IR 192", "Wang^XiaoDong=王^小東".encode(), "Wang^XiaoDong=王^小東"),
    ("GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
    ("GBK", "王^小东".encode("gbk"), "王^小东"),
    (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
    ),
    (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    (
        "\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
    (
        "ISO 2022 IR 100\\ISO 2022 IR 144",
        "Buc^J\xe9r\xf4me=".encode("latin-1") + b"\x1b-L" + "Люк".encode("iso8859-5"),
        "Buc^Jérôme=Люк",
    ),
    ("\\ISO 2022 IR 159", b"\x1b$(D\x30\x21\x1b(B", "丂"),
]


@pytest.mark.parametrize(("label", "data", "text"), RIGHT)
def test_text_with_the_right_label(label: str, data: bytes, text: str) -> None:
    warnings: list[str] = []
    assert decode(data, parse_charsets(label.encode()), warnings) == text
    assert not warnings


@pytest.mark.parametrize(
    ("label", "data", "text"),
    [
        ("", "Müller".encode(), "Müller"),
        ("", "Müller".encode("latin-1"), "Müller"),
        ("ISO_IR 100", "Müller".encode(), "Müller"),
        ("ISO_IR 100", "“Müller” €".encode("cp1252"), "“Müller” €"),
        ("ISO_IR 192", "Müller".encode("latin-1"), "Müller"),
        ("ISO_IR 192", b"\x81\x8d", "\x81\x8d"),
        ("NONSENSE", "Müller".encode("latin-1"), "Müller"),
        ("NONSENSE", "Müller".encode(), "Müller"),
    ],
)
def test_a_wrong_label_falls_back_with_a_warning(label: str, data: bytes, text: str) -> None:
    warnings: list[str] = []
    assert decode(data, parse_charsets(label.encode()), warnings) == text
    assert warnings


def test_an_escape_that_is_not_switched_back() -> None:
    charsets = ("", "ISO 2022 IR 87")
    assert decode(b"\x1b$B;3ED", charsets) == "山田"
    assert decode(b"\x1b$B;3ED\r\nABC", charsets) == "山田\r\nABC"


def test_high_bytes_after_a_forgotten_escape() -> None:
    data = b"\x1b$)C\xc8\xab^\xb1\xe6"
    assert decode(data, ("", "ISO 2022 IR 149")) == "홍^길"


def test_an_escape_that_no_label_announces() -> None:
    assert decode(b"A=\x1b$)A\xd5\xc5", ("",)) == "A=张"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (b"ISO_IR 100 ", ("ISO_IR 100",)),
        (b"ISO-IR 100", ("ISO_IR 100",)),
        (b"ISO IR 100", ("ISO_IR 100",)),
        (b"iso_ir_192", ("ISO_IR 192",)),
        (b"UTF-8", ("ISO_IR 192",)),
        (b"ISO2022 IR 87", ("ISO 2022 IR 87",)),
        (b"\\ISO 2022 IR 149", ("", "ISO 2022 IR 149")),
        (b"", ("",)),
    ],
)
def test_misspelt_labels_are_mended(written: bytes, meant: tuple[str, ...]) -> None:
    warnings: list[str] = []
    assert parse_charsets(written, warnings) == meant
    assert not warnings


def test_an_unknown_label_is_a_warning() -> None:
    warnings: list[str] = []
    parse_charsets(b"KLINGON", warnings)
    assert warnings == ["unknown Specific Character Set 'KLINGON'"]


@given(
    st.binary(max_size=200),
    st.lists(st.sampled_from([*CODECS, "X"]), max_size=4).map(tuple),
)
def test_no_bytes_under_any_label_raise(data: bytes, charsets: tuple[str, ...]) -> None:
    text = decode(b"\x1b$B" + data, charsets)
    decode(data, charsets).encode("utf-8")
    text.encode("utf-8")
