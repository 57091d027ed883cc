"""The Specific Character Set of an answer: the data's own where it can be, and no character lost."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, config
from pydicom.filereader import read_dataset

from tests.samples import corpus_files, pydicom_files
from vna.dicom.charset import CODECS, decode, parse_charsets, usable_charsets
from vna.dicom.encode import encode_dataset
from vna.dicom.header import read_header
from vna.dicom.json import dataset_json
from vna.errors import InvalidInstance
from vna.model.query import JsonElement

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"


def labelled(label: str, text: str, vr: str = "PN") -> dict[str, JsonElement]:
    """An answer of data with that character set."""
    value: object = {"Alphabetic": text} if vr == "PN" else text
    attributes: dict[str, JsonElement] = {"00100010": {"vr": vr, "Value": [value]}}
    if label:
        terms = [term or None for term in label.split("\\")]
        attributes["00080005"] = {"vr": "CS", "Value": terms}
    return attributes


def charset_and_name(data: bytes) -> tuple[str, str]:
    found = dataset_json(data, dataset_offset=0, transfer_syntax_uid=EXPLICIT)
    terms = found.get("00080005", {}).get("Value", [])
    names = found["00100010"]["Value"]
    assert isinstance(terms, list)
    assert isinstance(names, list)
    groups = names[0] if isinstance(names[0], dict) else {"Alphabetic": names[0]}
    return "\\".join(term or "" for term in terms), "=".join(groups.values())


@pytest.mark.parametrize(
    ("own", "requested", "text", "expected"),
    [
        pytest.param("ISO_IR 192", "ISO_IR 100", "Doe", "", id="ASCII needs none"),
        pytest.param("ISO_IR 100", "ISO_IR 192", "Müller", "ISO_IR 100", id="the data's own"),
        pytest.param("ISO 2022 IR 100", "", "Müller", "ISO 2022 IR 100", id="as it stands"),
        pytest.param("\\ISO 2022 IR 87", "", "山田", "\\ISO 2022 IR 87", id="code extensions"),
        pytest.param(
            "ISO 2022 IR 6\\ISO 2022 IR 87", "", "山田", "ISO 2022 IR 6\\ISO 2022 IR 87",
            id="code extensions, value 1 spelt out",
        ),
        pytest.param(
            "ISO 2022 IR 13\\ISO 2022 IR 87", "", "ﾔﾏﾀﾞ山", "ISO 2022 IR 13\\ISO 2022 IR 87",
            id="katakana and kanji",
        ),
        pytest.param("GB18030", "", "王", "GB18030", id="GB18030"),
        pytest.param("GBK", "", "王", "GBK", id="GBK"),
        pytest.param("ISO 2022 IR 87", "", "山", "\\ISO 2022 IR 87", id="never first"),
        pytest.param("ISO_IR 100\\ISO 2022 IR 87", "", "山ü", "ISO 2022 IR 100\\ISO 2022 IR 87",
                     id="mended"),
        pytest.param("iso-ir 100", "", "ü", "ISO_IR 100", id="misspelt"),
        pytest.param("ISO_IR 100", "ISO_IR 101", "Wałęsa", "ISO_IR 192", id="does not fit"),
        pytest.param("ISO_IR 13", "", "ﾔﾏ~", "ISO_IR 192", id="no tilde in JIS X 0201"),
        pytest.param("ISO_IR 144", "", "Люк ü", "ISO_IR 192", id="two alphabets"),
        pytest.param("", "ISO_IR 126", "Διονυσιος", "ISO_IR 126", id="asked for"),
        pytest.param("", "", "Müller", "ISO_IR 100", id="unlabelled Latin-1"),
        pytest.param("", "", "Διονυσιος", "ISO_IR 192", id="unlabelled Greek"),
        pytest.param("KLINGON", "", "Müller", "ISO_IR 100", id="unknown"),
        pytest.param("KLINGON", "\\ISO 2022 IR 149", "홍", "\\ISO 2022 IR 149", id="as requested"),
    ],
)  # fmt: skip
def test_the_set_that_answers(own: str, requested: str, text: str, expected: str) -> None:
    for vr in ("PN", "LO", "LT"):
        data = encode_dataset(labelled(own, text, vr), EXPLICIT, requested)
        assert charset_and_name(data) == (expected, text)


def test_text_in_items_counts_and_inherits() -> None:
    item = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 144"]},
        "00080104": {"vr": "LO", "Value": ["é"]},
    }
    attributes = labelled("ISO_IR 100", "Doe") | {"00321064": {"vr": "SQ", "Value": [item]}}
    data = encode_dataset(attributes, EXPLICIT)
    found = read_dataset(io.BytesIO(data), is_implicit_VR=False, is_little_endian=True)
    assert found.SpecificCharacterSet == "ISO_IR 100"
    assert "SpecificCharacterSet" not in found.RequestedProcedureCodeSequence[0]
    assert found.RequestedProcedureCodeSequence[0].CodeMeaning == "é"


def test_no_escape_sequence_is_made_of_text() -> None:
    """A control character that got into the index must not switch sets in the answer."""
    for label in ("\\ISO 2022 IR 87", "ISO 2022 IR 100\\ISO 2022 IR 144", "ISO_IR 100"):
        data = encode_dataset(labelled(label, "é\x1b$B;3", "LO"), EXPLICIT)
        assert charset_and_name(data) == ("ISO_IR 192", "é\x1b$B;3")


@pytest.mark.parametrize("vr", ["CS", "AE", "SH"])
def test_codes_that_break_the_rule_go_out_as_they_came(vr: str) -> None:
    """CS is ASCII; a value that is not comes back in the bytes in which it was stored."""
    stored = b"ISO_IR 144", "ГОЛОВА".encode("iso8859_5")
    source = (
        b"\x08\0\x05\0CS\x0a\0" + stored[0] + b"\x18\0\x15\0" + vr.encode() + b"\x06\0" + stored[1]
    )
    found = dataset_json(source, dataset_offset=0, transfer_syntax_uid=EXPLICIT)
    assert found["00180015"]["Value"] == ["ГОЛОВА"]
    assert encode_dataset(found, EXPLICIT) == source


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize("label", ["\\ISO 2022 IR 87", "ISO_IR 192", "GB18030"])
def test_sixty_four_characters_of_each_group_are_answered_whole(syntax: str, label: str) -> None:
    groups = {"Alphabetic": "A" * 64, "Ideographic": "山" * 64, "Phonetic": "や" * 64}
    attributes = labelled(label, "") | {"00100010": {"vr": "PN", "Value": [groups]}}
    found = read_dataset(
        io.BytesIO(encode_dataset(attributes, syntax)), syntax == IMPLICIT, syntax != BIG
    )
    assert str(found.PatientName) == "=".join(groups.values())


@pytest.mark.parametrize("label", ["\\ISO 2022 IR 87", "ISO_IR 192", "GB18030", "ISO_IR 100"])
def test_what_its_length_field_cannot_hold_is_still_written(label: str) -> None:
    attributes = labelled(label, "山é" * 30000, "LT")
    data = encode_dataset(attributes, EXPLICIT)
    position = data.index(b"\x10\0\x10\0")
    assert data[position + 4 : position + 6] == b"UN"
    carried = {"GB18030": ("GB18030",)}.get(label, ("ISO_IR 192",))
    assert decode(data[position + 12 :], carried, vr="LT") == "山é" * 30000


def test_a_lone_surrogate_is_no_character_and_stops_no_answer() -> None:
    data = encode_dataset(labelled("ISO_IR 100", "山\ud800"), EXPLICIT)
    assert charset_and_name(data) == ("ISO_IR 192", "山?")


TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\=^"), max_size=20
)
LABELS = st.lists(st.sampled_from([*CODECS, "KLINGON", "iso_ir_100"]), max_size=3).map("\\".join)


@given(TEXTS.map(str.strip), LABELS, LABELS)
def test_no_character_is_ever_lost(text: str, own: str, requested: str) -> None:
    data = encode_dataset(labelled(own, text), EXPLICIT, requested)
    charset, name = charset_and_name(data) if text else ("", "")
    assert name == text or (charset in {"ISO_IR 100", "ISO 2022 IR 100"} and is_utf8(text))
    assert bool(charset) == (not text.isascii())
    usable = usable_charsets(parse_charsets(own.encode()))
    if charset and usable:
        assert charset in {"\\".join(usable), "ISO_IR 192"}


def is_utf8(text: str) -> bool:
    """Latin-1 that reads as UTF-8 is taken for it, see `vna.dicom.charset`."""
    try:
        return bool(text.encode("latin-1").decode("utf-8"))
    except UnicodeError:
        return False


PYDICOM_KNOWS = ["", "ISO_IR 100", "ISO_IR 101", "ISO_IR 144", "ISO_IR 126", "ISO_IR 192", "GB18030",
                 "\\ISO 2022 IR 87", "\\ISO 2022 IR 149", "ISO 2022 IR 13\\ISO 2022 IR 87",
                 "ISO 2022 IR 100\\ISO 2022 IR 144"]  # fmt: skip


@given(
    st.text(st.sampled_from("aZ -éÄłąЛюΔώ山田やﾔﾏ홍길王\N{FULLWIDTH TILDE}"), max_size=12).map(
        str.strip
    ),
    st.sampled_from(PYDICOM_KNOWS),
    st.sampled_from([IMPLICIT, EXPLICIT, BIG]),
)
def test_pydicom_reads_every_answer(text: str, own: str, syntax: str) -> None:
    attributes = labelled(own, text) | {"00081030": {"vr": "LO", "Value": [text, "x"]}}
    with config.disable_value_validation():
        data = encode_dataset(attributes, syntax)
        found: Dataset = read_dataset(io.BytesIO(data), syntax == IMPLICIT, syntax != BIG)
        found.decode()
        assert str(found.PatientName) == text
        assert list(found.StudyDescription) == [text, "x"]


REAL = [*pydicom_files(), *corpus_files()]


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_what_is_indexed_of_a_real_file_is_answered_without_loss(path: Path) -> None:
    try:
        levels = read_header(path.read_bytes()).attributes
    except InvalidInstance:
        return
    kept = levels.patient | levels.study | levels.series | levels.instance
    data = encode_dataset(kept, EXPLICIT)
    found = dataset_json(data, dataset_offset=0, transfer_syntax_uid=EXPLICIT)
    found.pop("00080005", None)
    kept.pop("00080005", None)
    assert found == kept
