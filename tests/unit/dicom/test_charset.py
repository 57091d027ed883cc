"""Text in every character set of the standard, with right, wrong and missing labels (PS3.5 H-K)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vna.dicom.charset import CODECS, MAX_TERMS, decode, parse_charsets, usable_charsets
from vna.dicom.json_values import value_json

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
        ("ISO_IR 144", "Иванов".encode(), "Иванов"),
        ("ISO_IR 144", "Ђорђе".encode("cp1251"), "Ђорђе"),
        ("ISO_IR 101", "Šárka".encode("cp1250"), "Šárka"),
        ("ISO_IR 126", "“Διονυσιος”".encode("cp1253"), "“Διονυσιος”"),
        ("ISO_IR 166", "สวัสดี".encode(), "สวัสดี"),
        ("\\ISO 2022 IR 87", "山田^太郎".encode("cp932"), "山田^太郎"),
        ("\\ISO 2022 IR 87", "山田^太郎".encode(), "山田^太郎"),
        ("\\ISO 2022 IR 149", "홍^길동".encode("cp949"), "홍^길동"),
        ("\\ISO 2022 IR 58", "张^小东".encode("gbk"), "张^小东"),
        ("ISO_IR 192", "王^小东".encode()[:-1], "王^小\ufffd"),
        ("ISO_IR 192", "王^小东".encode()[:-2] + b" ", "王^小\ufffd"),
        ("GB18030", "王^小东".encode("gbk")[:-1], "王^小\ufffd"),
        ("ISO_IR 192", "René".encode("latin-1"), "René"),
        ("ISO_IR 13", "﨑".encode("cp932"), "﨑"),
        ("\\ISO 2022 IR 87", b"\x1b$B-!|b\x1b(B", "①髙"),
        ("\\ISO 2022 IR 58", b"\x1b$)A" + "朱镕基".encode("gbk"), "朱镕基"),
        ("\\ISO 2022 IR 149", b"\x1b$)C" + "홍똠".encode("cp949"), "홍똠"),
        ("\\ISO 2022 IR 87", b"\x1b$B;3ED^\x1b$BB@O:\x1b(B", "山田^太郎"),
        ("\\ISO 2022 IR 87", b"\x1b$B;3ED=\x1b$B$d$^$@\x1b(B", "山田=やまだ"),
        ("ISO 2022 IR 100\\ISO 2022 IR 144", b"\x1b-Z\xfc", "ü"),
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


@pytest.mark.parametrize("label", ["GB18030", "GBK"])
@pytest.mark.parametrize("vr", ["LO", "PN", "SH", "UC", "LT"])
def test_a_backslash_byte_inside_a_character_divides_nothing(label: str, vr: str) -> None:
    """Second bytes of GBK are 40-7E and 80-FE: 5C is the backslash, 5E the caret."""
    data = b"\x89\x5c\x5c\x89\x5e"
    expected = ["塡\\塣"] if vr == "LT" else ["塡", "塣"]
    names = [{"Alphabetic": text} for text in expected]
    assert value_json(vr, data, (label,))["Value"] == (names if vr == "PN" else expected)


@pytest.mark.parametrize("vr", ["LO", "PN"])
def test_delimiter_bytes_inside_kanji_divide_nothing(vr: str) -> None:
    """JIS X 0208 in G0 uses 21-7E: 5C, 5E and 3D are halves of characters there."""
    text = "".join(bytes((0x1B, 0x24, 0x42, row, cell, 0x1B, 0x28, 0x42)).decode("iso2022_jp")
                   for row in (0x3D, 0x5C, 0x5E) for cell in (0x3D, 0x5C, 0x5E))  # fmt: skip
    data = text.encode("iso2022_jp")
    found = value_json(vr, data, ("", "ISO 2022 IR 87"))
    assert found["Value"] == [{"Alphabetic": text} if vr == "PN" else text]


@pytest.mark.parametrize("vr", ["LO", "LT", "PN"])
def test_only_names_have_carets_and_equals_signs_for_delimiters(vr: str) -> None:
    charsets = ("ISO 2022 IR 100", "ISO 2022 IR 126")
    data = b"\xfc=\x1b-F\xe1=\xe1"
    assert decode(data, charsets, vr=vr) == ("ü=α=á" if vr == "PN" else "ü=α=α")


@pytest.mark.parametrize("delimiter", ["\\", "\r", "\n", "\f", "\t"])
def test_a_delimiter_brings_the_first_sets_back(delimiter: str) -> None:
    charsets = ("ISO 2022 IR 100", "ISO 2022 IR 126")
    data = b"\xe1\x1b-F\xe1" + delimiter.encode() + b"\xe1"
    assert decode(data, charsets, vr="LO") == f"áα{delimiter}á"


def test_a_backslash_is_text_where_there_is_one_value_only() -> None:
    charsets = ("ISO 2022 IR 100", "ISO 2022 IR 126")
    assert decode(b"\x1b-F\xe1\\\xe1", charsets, vr="UT") == "α\\α"


def test_g0_and_g1_are_independent() -> None:
    charsets = ("ISO 2022 IR 13", "ISO 2022 IR 87", "ISO 2022 IR 149")
    assert decode(b"\xd4\x1b$B;3\xd4ED\x1b(J\xd4a", charsets) == "ﾔ山ﾔ田ﾔa"
    assert decode(b"\x1b$)C\xc8\xab\x1b$B;3\xc8\xab\x1b(J\xc8\xab", charsets) == "홍山홍홍"


def test_designations_that_are_not_of_dicom() -> None:
    charsets = ("", "ISO 2022 IR 87")
    assert decode(b"\x1b(ITO^\x1b(I@[3\x1b(B", charsets) == "ﾔﾏ^ﾀﾛｳ"
    assert decode(b"\x1b$(B;3ED\x1b(B", charsets) == "山田"
    assert decode(b"\x1b$@;3ED\x1b(B", charsets) == "山田"
    assert decode(b"\x1b$(CH+\x1b(B", charsets) == "홍"
    assert decode(b"\x1b$A" + bytes(b & 0x7F for b in "张".encode("gb2312")), charsets) == "张"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (b"ISO_IR_100", ("ISO_IR 100",)),
        (b"ISO_IR100", ("ISO_IR 100",)),
        (b"iso ir 144", ("ISO_IR 144",)),
        (b"ISO_IR 87", ("ISO 2022 IR 87",)),
        (b"ISO 2022 IR 192", ("ISO_IR 192",)),
        (b"ISO_2022_IR_6\\ISO_2022_IR_87", ("ISO 2022 IR 6", "ISO 2022 IR 87")),
        (b"ISO 2022 58", ("ISO 2022 IR 58",)),
        (b"ISO 2022 GBK", ("GBK",)),
        (b"gb 18030", ("GB18030",)),
        (b"utf_8", ("ISO_IR 192",)),
        (b"ISO 8859-1", ("ISO_IR 100",)),
        (b"Latin1", ("ISO_IR 100",)),
        (b"US-ASCII", ("",)),
        (b"ISO_IR 0100", ("ISO_IR 100",)),
        (b"ISO_IR 100\0", ("ISO_IR 100",)),
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


def test_a_label_of_thousands_of_terms_is_bounded() -> None:
    assert len(parse_charsets(b"\\".join([b"ISO 2022 IR 87"] * 5000))) == MAX_TERMS


@pytest.mark.parametrize(
    ("label", "usable"),
    [
        ("", ()),
        ("ISO 2022 IR 6", ()),
        ("ISO_IR 100", ("ISO_IR 100",)),
        ("ISO_IR 192\\ISO 2022 IR 87", ("ISO_IR 192",)),
        ("\\ISO_IR 192", ()),
        ("ISO 2022 IR 149", ("", "ISO 2022 IR 149")),
        ("ISO_IR 13\\ISO_IR 87", ("ISO 2022 IR 13", "ISO 2022 IR 87")),
        ("\\KLINGON\\ISO 2022 IR 87", ("", "ISO 2022 IR 87")),
        ("KLINGON\\ISO 2022 IR 87", ()),
    ],
)
def test_labels_that_may_be_written(label: str, usable: tuple[str, ...]) -> None:
    assert usable_charsets(parse_charsets(label.encode())) == usable


@given(
    st.binary(max_size=200),
    st.lists(st.sampled_from([*CODECS, "X"]), max_size=4).map(tuple),
)
def test_no_bytes_under_any_label_raise(data: bytes, charsets: tuple[str, ...]) -> None:
    text = decode(b"\x1b$B" + data, charsets)
    decode(data, charsets).encode("utf-8")
    text.encode("utf-8")


@pytest.mark.parametrize("vr", ["PN", "LO", "LT"])
@pytest.mark.parametrize(
    "value",
    [
        b"\x1b(B" + b"^" * 2**17,
        b"\x1b$B" + b"^=" * 2**16 + b"a",
        b"\x1b$B" * 2**15,
        b"\x1b" * 2**17,
        b"\x1b$)C" + b"\xff\x80^" * 2**15,
        b"\x1b$B;3ED^\xff" * 2**14,
    ],
    ids=["delimiters", "pairs", "escapes", "lone ESC", "no such characters", "a mixture"],
)
def test_work_grows_with_the_length_of_the_text_only(vr: str, value: bytes) -> None:
    """With work that grows by the square, these would take many minutes."""
    assert decode(value, ("ISO 2022 IR 13", "ISO 2022 IR 87", "ISO 2022 IR 149"), vr=vr) is not None
