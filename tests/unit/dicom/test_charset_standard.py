"""Every example of PS3.5 annexes H to K, read and written, and text under all defined terms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import charset as pydicom_charset
from pydicom.valuerep import PersonName

from vna.dicom.charset import CODECS, decode, encode, parse_charsets, usable_charsets
from vna.dicom.coded_sets import AREAS, MULTI_BYTE, STAND_ALONE, CodedSet
from vna.dicom.vrs import TEXT_VRS

JAPANESE_LABEL, KATAKANA_LABEL = "\\ISO 2022 IR 87", "ISO 2022 IR 13\\ISO 2022 IR 87"
KOREAN_LABEL, CHINESE_LABEL = "\\ISO 2022 IR 149", "\\ISO 2022 IR 58"
JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
HALF_WIDTH = "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"
KOREAN = "Hong^Gildong=洪^吉洞=홍^길동"
TWO_LINES = (
    "The first line includes 中文.\r\nThe second line includes 中文, too.\r\nThe third line.\r\n"
)

EXAMPLES = [
    pytest.param(
        "PN", JAPANESE_LABEL, JAPANESE,
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        id="H.3-1",
    ),
    pytest.param(
        "PN", KATAKANA_LABEL, HALF_WIDTH,
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
        b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        id="H.3-2",
    ),
    pytest.param(
        "PN", KOREAN_LABEL, KOREAN,
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        id="I.2-1",
    ),
    pytest.param(
        "PN", "ISO_IR 192", "Wang^XiaoDong=王^小東=",
        b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=",
        id="J.1-1",
    ),
    pytest.param("LT", "ISO_IR 192", TWO_LINES, TWO_LINES.encode(), id="J.2-1"),
    pytest.param(
        "PN", "GB18030", "Wang^XiaoDong=王^小东=",
        b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=",
        id="J.3-1",
    ),
    pytest.param(
        "LT", "GB18030", TWO_LINES,
        b"The first line includes\x20\xd6\xd0\xce\xc4.\r\n"
        b"The second line includes\x20\xd6\xd0\xce\xc4, too.\r\nThe third line.\r\n",
        id="J.4-1",
    ),
    pytest.param(
        "PN", CHINESE_LABEL, "Zhang^XiaoDong=张^小东=",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        id="K.2-1",
    ),
    pytest.param(
        "LT", CHINESE_LABEL, "1.第一行文字。\r\n2.第二行文字。\r\n3.第三行文字。\r\n",
        b"1.\x1b$)A\xb5\xda\xd2\xbb\xd0\xd0\xce\xc4\xd7\xd6\xa1\xa3\r\n"
        b"2.\x1b$)A\xb5\xda\xb6\xfe\xd0\xd0\xce\xc4\xd7\xd6\xa1\xa3\r\n"
        b"3.\x1b$)A\xb5\xda\xc8\xfd\xd0\xd0\xce\xc4\xd7\xd6\xa1\xa3\r\n",
        id="K.3-1",
    ),
]  # fmt: skip
KOREAN_LINES = (
    b"\x1b$)CThe 1st line includes \xb1\xe6\xb5\xbf.\r\n"
    b"\x1b$)CThe 2nd line includes \xb1\xe6\xb5\xbf, too.\r\nThe 3rd line."
)


@pytest.mark.parametrize(("vr", "label", "text", "data"), EXAMPLES)
def test_an_example_of_the_standard_is_read_and_written_as_it_stands(
    vr: str, label: str, text: str, data: bytes
) -> None:
    charsets, warnings = parse_charsets(label.encode()), list[str]()
    assert decode(data, charsets, warnings, vr=vr) == text
    assert not warnings
    assert encode(text, charsets, vr) == data


def test_korean_lines_designate_their_set_once_a_line() -> None:
    """Example I.3-1 designates at the beginning of the line, we do where it is needed."""
    charsets = ("", "ISO 2022 IR 149")
    text = "The 1st line includes 길동.\r\nThe 2nd line includes 길동, too.\r\nThe 3rd line."
    assert decode(KOREAN_LINES, charsets, vr="LT") == text
    written = encode(text, charsets, "LT")
    assert written is not None
    assert written.count(b"\x1b$)C") == 2
    assert decode(written, charsets, vr="LT") == text


def test_gbk_reads_the_examples_of_gb18030() -> None:
    assert decode(b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", ("GBK",)) == "Wang^XiaoDong=王^小东="


# --- what a set has -------------------------------------------------------------------------------

SETS = sorted(
    {coded for areas in AREAS.values() for coded in areas if coded is not None},
    key=lambda coded: coded.name,
)


@pytest.mark.parametrize("coded", SETS, ids=lambda coded: coded.name)
def test_whatever_a_set_writes_it_reads_as_the_same(coded: CodedSet) -> None:
    count = 0
    for character in map(chr, [*range(0x20, 0xD800), *range(0xE000, 0x10000)]):
        data = coded.encode(character)
        if data is not None:
            count += 1
            assert coded.decode(data) == character
            assert len(data) == coded.width
            assert all((byte >= 0xA0) == (coded.area == 1) for byte in data)
    assert count >= 50


@pytest.mark.parametrize("character", "¥‾\\~")
def test_romaji_has_no_backslash_and_no_tilde_nor_is_the_yen_sign_a_delimiter(
    character: str,
) -> None:
    assert encode(f"a{character}b", ("ISO_IR 13",), "LT") is None
    assert encode(f"a{character}b", ("ISO 2022 IR 13", "ISO 2022 IR 87"), "LT") in {
        None,
        *((b"a\x1b$B!1\x1b(Jb",) if character == "‾" else ()),
    }


# --- all labels -----------------------------------------------------------------------------------

ALPHABETS = {
    "100": "éÄß¿", "101": "ąłŠß", "109": "ĦĝŭÇ", "110": "ĸŖņÄ", "126": "ΔιώνΩ", "127": "قباني",
    "138": "שרוןא", "144": "Люксё", "148": "ğışÇ", "166": "สวัสดี", "203": "œŸ€Ž", "13": "ﾔﾏﾀﾞ",
    "6": "Az^", "87": "山田やヤ※", "159": "丂丄両".replace("両", ""), "149": "홍길洪", "58": "张小东",
}  # fmt: skip


def looks_like_utf8(data: bytes, charsets: tuple[str, ...]) -> bool:
    """Latin-1 that is well-formed UTF-8 is read as such, for so it nearly always is."""
    try:
        return charsets in {("ISO_IR 100",), ("ISO 2022 IR 100",)} and bool(data.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def label_of(numbers: list[str]) -> tuple[str, ...]:
    return tuple(f"ISO 2022 IR {number}" for number in numbers)


FIRST = sorted(set(AREAS) - MULTI_BYTE)
LABELS = st.tuples(
    st.sampled_from(FIRST), st.lists(st.sampled_from(sorted(AREAS)), max_size=3)
).map(lambda pair: list(dict.fromkeys([pair[0], *pair[1]])))


@st.composite
def labelled_text(draw: st.DrawFn, delimiters: str = "^= \r\n") -> tuple[tuple[str, ...], str]:
    """A label, and text of which each character is in one of its sets."""
    numbers = draw(LABELS)
    alphabet = "AZ09.-" + "".join(ALPHABETS[number] for number in numbers)
    text = draw(st.text(st.sampled_from(sorted(set(alphabet) - {"^"}) + list(delimiters))))
    if len(numbers) == 1 and numbers[0] == "6":
        return ("",), text
    return label_of(numbers), text


@given(labelled_text(), st.sampled_from(["PN", "LO", "LT"]))
def test_text_of_the_sets_of_a_label_comes_back(
    labelled: tuple[tuple[str, ...], str], vr: str
) -> None:
    charsets, text = labelled
    data = encode(text, charsets, vr)
    assert data is not None
    warnings: list[str] = []
    read = decode(data, charsets, warnings, vr=vr)
    assert (read, warnings) == (text, []) or looks_like_utf8(data, charsets)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.sampled_from([*STAND_ALONE, *filter(None, CODECS)]),
    st.sampled_from(sorted(TEXT_VRS)),
)
def test_any_text_comes_back_or_does_not_fit(text: str, term: str, vr: str) -> None:
    charsets = usable_charsets((term,))
    data = encode(text, charsets, vr) if charsets else None
    if data is not None:
        assert decode(data, charsets, vr=vr) == text or looks_like_utf8(data, charsets)
    assert term != "ISO_IR 192" or data is not None


@given(labelled_text(delimiters="^="))
def test_pydicom_reads_what_is_written(labelled: tuple[tuple[str, ...], str]) -> None:
    """pydicom 3.0 does not know ISO_IR 203, and leaves the escape sequence of ISO-IR 58 in the text."""
    charsets, text = labelled
    if "ISO 2022 IR 203" in charsets:
        return
    data = encode(text, charsets, "PN")
    assert data is not None
    encodings = pydicom_charset.convert_encodings(list(charsets))
    found = pydicom_charset.decode_bytes(data, encodings, {0x5E, 0x3D})
    assert found.replace("\x1b$)A", "") == text


@given(st.lists(st.sampled_from(["山田", "太郎", "やまだ", "Yamada"]), min_size=1, max_size=4))
def test_what_pydicom_writes_is_read(components: list[str]) -> None:
    text = "^".join(components)
    label = ["", "ISO 2022 IR 87"]
    encodings = pydicom_charset.convert_encodings(label)
    data = PersonName(text, encodings).encode(encodings)
    assert isinstance(data, bytes)
    assert decode(data, label) == text
