"""Attributes written as a dataset and read back by pydicom."""

from __future__ import annotations

import base64
import io
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, config
from pydicom.filereader import read_dataset

from vna.dicom.encode import encode_dataset
from vna.dicom.encode_values import format_ds, swap_words
from vna.errors import Unsupported
from vna.model.query import JsonElement

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
SYNTAXES = (IMPLICIT, EXPLICIT, BIG)


def read_back(data: bytes, syntax: str) -> Dataset:
    """What pydicom makes of it."""
    return read_dataset(io.BytesIO(data), syntax == IMPLICIT, syntax != BIG)


def element(vr: str, *values: object) -> JsonElement:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


ANSWER: dict[str, JsonElement] = {
    "00080005": element("CS", "ISO_IR 100"),
    "00080020": element("DA", "20240131"),
    "00080061": element("CS", "CT", "MR"),
    "00081190": element("UR", "http://localhost/studies/1.2.3"),
    "00100010": element("PN", {"Alphabetic": "Müller^Jörg"}),
    "00100020": element("LO", "PID-1"),
    "00101030": element("DS", 71.5, None, 1e-7),
    "0020000D": element("UI", "1.2.3"),
    "00201208": element("IS", 17),
    "00280010": element("US", 512),
    "00280009": element("AT", "00181063", "00181065"),
    "00189073": element("FD", 1.25),
    "00321064": element("SQ", {"00080100": element("SH", "X"), "00080104": element("LO", "é")}),
}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_answer_reads_back(syntax: str) -> None:
    data = encode_dataset(ANSWER, syntax)
    found = read_back(data, syntax)
    assert len(data) % 2 == 0
    assert found.SpecificCharacterSet == "ISO_IR 100"
    assert found.PatientName == "Müller^Jörg"
    assert found.ModalitiesInStudy == ["CT", "MR"]
    assert found.RetrieveURL == "http://localhost/studies/1.2.3"
    assert found.StudyInstanceUID == "1.2.3"
    assert found.NumberOfStudyRelatedInstances == 17
    assert found.Rows == 512
    assert found.FrameIncrementPointer == [0x00181063, 0x00181065]
    assert found.AcquisitionDuration == 1.25
    assert found.RequestedProcedureCodeSequence[0].CodeMeaning == "é"
    assert [str(value) for value in found[0x00101030].value] == ["71.5", "", "1e-07"]


def test_elements_stand_in_tag_order_with_even_lengths_and_the_right_padding() -> None:
    data = encode_dataset(
        {"0020000D": element("UI", "1.2"), "00100020": element("LO", "odd")}, EXPLICIT
    )
    assert data == b"\x10\x00\x20\x00LO\x04\x00odd \x20\x00\x0d\x00UI\x04\x001.2\x00"


def test_empty_attributes_have_length_zero() -> None:
    data = encode_dataset({"00100020": {"vr": "LO"}, "0020000D": {"vr": "UI", "Value": []}})
    assert data == b"\x10\x00\x20\x00LO\x00\x00\x20\x00\x0d\x00UI\x00\x00"


def test_name_groups_are_joined() -> None:
    name = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    attributes = {"00100010": element("PN", name), "00101001": element("PN", {"Phonetic": "y"})}
    found = read_back(encode_dataset(attributes, EXPLICIT), EXPLICIT)
    assert str(found.PatientName) == "Yamada^Tarou=山田^太郎=やまだ^たろう"
    assert str(found.OtherPatientNames) == "==y"


def test_meta_command_and_old_charset_elements_are_left_out() -> None:
    attributes = {
        "00020010": element("UI", "1.2"),
        "00000100": element("US", 1),
        "00080005": element("CS", "ISO_IR 100"),
        "00100020": element("LO", "x"),
    }
    found = read_back(encode_dataset(attributes), EXPLICIT)
    assert list(found.keys()) == [0x00100020]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(("vr", "size"), [("OB", 1), ("OW", 2), ("OL", 4), ("OD", 8), ("UN", 1)])
def test_inline_binary_is_in_the_order_of_the_syntax(syntax: str, vr: str, size: int) -> None:
    value = bytes(range(16))
    inline: JsonElement = {"vr": vr, "InlineBinary": base64.b64encode(value).decode()}
    data = encode_dataset({"00091001": inline}, syntax)
    assert data[-16:] == (swap_words(value, size) if syntax == BIG else value)


def test_bulk_data_and_values_that_do_not_fit_become_empty() -> None:
    attributes: dict[str, JsonElement] = {
        "00280010": element("US", 70000),
        "00280011": element("US", "wide"),
        "00280009": element("AT", "no tag"),
        "00091001": {"vr": "OB", "InlineBinary": "%"},
        "00091002": {"vr": "??", "Value": ["x"]},
        "7FE00010": {"vr": "OW", "BulkDataURI": "http://localhost/x"},
    }
    found = read_back(encode_dataset(attributes), EXPLICIT)
    assert len(found) == 6
    assert all(not found.get_item(tag).value for tag in found.keys())  # noqa: SIM118


def test_a_text_too_long_for_its_vr_goes_as_un() -> None:
    data = encode_dataset({"00081030": element("LO", "x" * 70001)}, EXPLICIT)
    assert data[4:6] == b"UN"
    assert len(data) == 12 + 70002


def test_another_syntax_is_refused() -> None:
    with pytest.raises(Unsupported, match=r"1\.2\.840\.10008\.1\.2\.4\.50"):
        encode_dataset({}, "1.2.840.10008.1.2.4.50")


# --- numbers ---


@given(st.floats(-1e300, 1e300))
def test_a_decimal_string_has_sixteen_characters_and_is_close(number: float) -> None:
    text = format_ds(number)
    assert len(text) <= 16
    assert math.isclose(float(text), number, rel_tol=1e-8)


@given(st.integers(-(10**15) + 1, 10**16 - 1))
def test_whole_numbers_that_fit_are_exact(number: int) -> None:
    assert format_ds(number) == str(number)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_no_number_is_empty(value: object) -> None:
    assert format_ds(value) == ""


# --- round trip ---

_TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\\=^", categories=["L", "N", "Zs"]),
    max_size=30,
).map(str.strip)
_VALUES = {
    "LO": _TEXT,
    "UC": _TEXT,
    "UI": st.from_regex(r"[1-9](\.[1-9][0-9]{0,5}){1,6}", fullmatch=True),
    "US": st.integers(0, 2**16 - 1),
    "SS": st.integers(-(2**15), 2**15 - 1),
    "UL": st.integers(0, 2**32 - 1),
    "SL": st.integers(-(2**31), 2**31 - 1),
    "UV": st.integers(0, 2**64 - 1),
    "SV": st.integers(-(2**63), 2**63 - 1),
    "FD": st.floats(allow_nan=False),
    "FL": st.floats(width=32, allow_nan=False),
    "IS": st.integers(-(2**31), 2**31 - 1),
}
_ATTRIBUTE = st.sampled_from(sorted(_VALUES)).flatmap(
    lambda vr: st.lists(_VALUES[vr], min_size=1, max_size=3).map(
        lambda values: {"vr": vr, "Value": values}
    )
)
_TAGS = st.integers(0x00110000 | 0x1001, 0x00110000 | 0x10FF).map(lambda tag: f"{tag:08X}")
_DATASETS = st.recursive(
    st.dictionaries(_TAGS, _ATTRIBUTE, max_size=6),
    lambda inner: st.dictionaries(
        _TAGS, _ATTRIBUTE | st.lists(inner, max_size=2).map(lambda items: element("SQ", *items))
    ),
    max_leaves=6,
)


@settings(max_examples=150)
@given(_DATASETS, st.sampled_from([EXPLICIT, BIG]))
def test_everything_written_reads_back(attributes: dict[str, JsonElement], syntax: str) -> None:
    with config.disable_value_validation():
        found = read_back(encode_dataset(attributes, syntax), syntax)
        found.pop(0x00080005, None)
        compare(found, attributes)


def compare(found: Dataset, attributes: dict[str, JsonElement]) -> None:
    """`found` holds exactly `attributes`."""
    assert [f"{tag:08X}" for tag in found.keys()] == sorted(attributes)  # noqa: SIM118
    for key, expected in attributes.items():
        read = found[int(key, 16)]
        values = expected.get("Value", [])
        assert isinstance(values, list)
        assert expected["vr"] == read.VR
        if read.VR == "SQ":
            for item, members in zip(read.value, values, strict=True):
                compare(item, members)
        elif read.VR in {"LO", "UC"}:
            kept = "\\".join(values).rstrip(" ")
            assert (read.value if read.VM > 1 else [read.value or ""]) == kept.split("\\")
        else:
            assert (list(read.value) if read.VM > 1 else [read.value]) == values


@given(st.binary(max_size=40), st.sampled_from([1, 2, 4, 8]))
def test_swapping_twice_changes_nothing(data: bytes, size: int) -> None:
    assert swap_words(swap_words(data, size), size) == data


def test_swapped_words() -> None:
    assert swap_words(struct.pack("<HH", 1, 2) + b"x", 2) == struct.pack(">HH", 1, 2) + b"x"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_runs_written_before_stand_where_they_belong(syntax: str) -> None:
    low: dict[str, JsonElement] = {"00080001": {"vr": "UL"}, "00080003": element("LO", "x")}
    high: dict[str, JsonElement] = {"40000010": {"vr": "SH"}, "40000200": {"vr": "SQ"}}
    written = {min(run): encode_dataset(run, syntax) for run in (low, high)}
    together = encode_dataset(ANSWER, syntax, "", written)
    assert together == encode_dataset({**low, **ANSWER, **high}, syntax)
