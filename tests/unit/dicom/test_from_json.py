"""Metadata written as a dataset: pydicom and our own reader find in it just what was given."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest
from hypothesis import given
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.unit.dicom.datasets import datasets
from vna.dicom.element_writer import Frames
from vna.dicom.from_json import BulkValue, dataset_chunks
from vna.dicom.json import MAX_DEPTH, dataset_json
from vna.dicom.part10 import file_meta
from vna.errors import InvalidInstance
from vna.model.query import JsonElement

EXPLICIT = "1.2.840.10008.1.2.1"
META = file_meta("1.2.3", "1.2.4", EXPLICIT)


def no_bulk(uri: str) -> BulkValue:
    raise InvalidInstance(uri)


def written(attributes: Mapping[str, JsonElement], bulk: dict[str, bytes] | None = None) -> bytes:
    chunks = dataset_chunks(
        attributes, lambda uri: BulkValue([(bulk or {})[uri]]) if bulk else no_bulk(uri)
    )
    assert not any(isinstance(chunk, Frames) for chunk in chunks)
    return b"".join(chunks)  # type: ignore[arg-type]


def read_back(data: bytes) -> dict[str, JsonElement]:
    return dataset_json(META + data, dataset_offset=len(META), transfer_syntax_uid=EXPLICIT)


def pydicom_of(data: bytes) -> Dataset:
    return dcmread(io.BytesIO(META + data))


def one(vr: str, *values: object) -> dict[str, JsonElement]:
    return {"00189999": {"vr": vr, "Value": list(values)}}


@given(datasets())
def test_random_datasets_are_read_back_equal(attributes: dict[str, JsonElement]) -> None:
    found = read_back(written(attributes))
    label = found.pop("00080005", None)
    assert label in (None, {"vr": "CS", "Value": ["ISO_IR 192"]})
    assert found == attributes


@given(datasets())
def test_pydicom_reads_random_datasets_equal(attributes: dict[str, JsonElement]) -> None:
    expected = Dataset.from_json(attributes)
    found = pydicom_of(written(attributes))
    found.pop("SpecificCharacterSet", None)
    assert found.to_json_dict() == expected.to_json_dict()


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (["ISO_IR 100"], "Müller"),
        (["ISO_IR 144"], "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "山田"),
        (["GB18030"], "王小东"),
        (["ISO_IR 192"], "全部 ü"),
        (["ISO_IR 13"], "ﾔﾏﾀﾞ"),
    ],
)
def test_text_is_written_in_the_set_that_is_named(label: list[str], text: str) -> None:
    attributes: dict[str, JsonElement] = {
        "00080005": {"vr": "CS", "Value": label},
        "00100020": {"vr": "LO", "Value": [text]},
        "00101000": {"vr": "SQ", "Value": [{"00100020": {"vr": "LO", "Value": [text]}}]},
    }
    data = written(attributes)
    assert read_back(data)["00100020"] == attributes["00100020"]
    assert str(pydicom_of(data).PatientID) == text
    assert pydicom_of(data).SpecificCharacterSet == (label if len(label) > 1 else label[0])


def test_text_that_its_set_lacks_makes_everything_unicode() -> None:
    attributes: dict[str, JsonElement] = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
        "00100020": {"vr": "LO", "Value": ["ü"]},
        "00101000": {
            "vr": "SQ",
            "Value": [{"00080005": {"vr": "CS", "Value": ["ISO_IR 144"]}, "00100020": {"vr": "LO", "Value": ["山"]}}],
        },
    }  # fmt: skip
    found = pydicom_of(written(attributes))
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert found.PatientID == "ü"
    assert found[0x00101000][0].PatientID == "山"
    assert "SpecificCharacterSet" not in found[0x00101000][0]


def test_an_item_has_a_set_of_its_own() -> None:
    inner: dict[str, JsonElement] = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 144"]},
        "00100020": {"vr": "LO", "Value": ["Люкс"]},
    }
    attributes: dict[str, JsonElement] = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
        "00100020": {"vr": "LO", "Value": ["Müller"]},
        "00101000": {"vr": "SQ", "Value": [inner]},
    }
    assert read_back(written(attributes)) == attributes


def test_bulk_data_anywhere() -> None:
    inner: dict[str, JsonElement] = {"54001010": {"vr": "OW", "BulkDataURI": "w"}}
    attributes: dict[str, JsonElement] = {
        "00282000": {"vr": "OB", "BulkDataURI": "odd"},
        "00283006": {"vr": "US", "BulkDataURI": "long"},
        "0040A160": {"vr": "UT", "BulkDataURI": "text"},
        "54000100": {"vr": "SQ", "Value": [inner]},
    }
    bulk = {"odd": b"abc", "long": b"\1\2" * 40_000, "text": "grün".encode(), "w": bytes(8)}
    found = pydicom_of(written(attributes, bulk))
    assert found.ICCProfile == b"abc\0"
    assert found.LUTData == bulk["long"]  # of VR UN now
    assert found.TextValue == "grün"
    assert found.WaveformSequence[0].WaveformData == bytes(8)


def test_what_describes_an_encoding_is_left_out() -> None:
    attributes: dict[str, JsonElement] = {
        "00020010": {"vr": "UI", "Value": ["1.2"]},
        "00080000": {"vr": "UL", "Value": [99]},
        "FFFCFFFC": {"vr": "OB", "InlineBinary": "AAAA"},
        "00100020": {"vr": "LO", "Value": ["P"]},
    }
    assert read_back(written(attributes)) == {"00100020": attributes["00100020"]}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (one("DS", 0.12345678901234567), one("DS", 0.12345678901235)),
        (one("IS", 3.0), one("IS", 3)),
        (one("UV", "18446744073709551615"), one("UV", 2**64 - 1)),
        (one("FD", "NaN", "-Infinity", "1.5"), one("FD", "NaN", "-Infinity", 1.5)),
        (one("LO", 5), one("LO", "5")),
        (one("CS", "A\\B"), one("CS", "A", "B")),
        (one("PN", "Doe^J=山"), one("PN", {"Alphabetic": "Doe^J", "Ideographic": "山"})),
        (one("SQ", None), one("SQ", {})),
        ({"00100020": {"Value": ["x"]}}, {"00100020": {"vr": "LO", "Value": ["x"]}}),
        ({"0010002a": {"vr": "LO"}}, {"0010002A": {"vr": "LO"}}),
    ],
)
def test_forms_that_clients_send(
    attributes: dict[str, JsonElement], expected: dict[str, JsonElement]
) -> None:
    assert read_back(written(attributes)) in (
        expected,
        {**expected, "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}},
    )


@pytest.mark.parametrize(
    "attributes",
    [
        one("US", -1), one("US", 65536), one("US", 1.5), one("US", "x"), one("US", None), one("US", []),
        one("FL", 1e300), one("AT", 5), one("AT", "xyz"), one("SQ", "x"), one("PN", {"Other": "x"}),
        one("PN", {"Alphabetic": "a=b"}), one("PN", {"Alphabetic": 5}), one("LO", {"a": 1}), one("LO", []),
        one("IS", 1.5), one("OB", 5), one("XX", "a"), one("LO", "a\x1b$B"),
        {"00189999": {"vr": "OB", "InlineBinary": "not base64!"}},
        {"00189999": {"vr": "OB", "InlineBinary": 5}},
        {"00189999": {"vr": "LO", "InlineBinary": "AAAA"}},
        {"00189999": {"vr": "SQ", "BulkDataURI": "x"}},
        {"00189999": {"vr": "OB", "BulkDataURI": 5}},
        {"00189999": {"vr": "OB", "BulkDataURI": "missing"}},
        {"00189999": {"vr": "OB", "InlineBinary": "AAAA", "Value": []}},
        {"00189999": {"vr": "LO", "Value": "text"}},
        {"00189999": {"vr": "US", "Value": [True]}},
        {"00189999": {"vr": "LO", "Value": [True]}},
        {"00189999": {"vr": 5}},
        {"00189999": ["x"]},
        {"PatientID": {"vr": "LO"}},
        {"0018999": {"vr": "LO"}},
        {"0018999a": {"vr": "LO"}, "0018999A": {"vr": "LO"}},
        {"00000010": {"vr": "LO"}},
        {"FFFEE000": {"vr": "LO"}},
    ],
)  # fmt: skip
def test_what_can_not_be_written_is_refused(attributes: dict[str, JsonElement]) -> None:
    with pytest.raises(InvalidInstance):
        written(attributes)


def test_deep_nesting_is_refused() -> None:
    nested: dict[str, JsonElement] = {}
    for _ in range(MAX_DEPTH):
        nested = {"00081140": {"vr": "SQ", "Value": [nested]}}
    assert written(nested)
    with pytest.raises(InvalidInstance, match="deep"):
        written({"00081140": {"vr": "SQ", "Value": [nested]}})


def test_a_value_longer_than_its_length_field_is_marked_unknown() -> None:
    data = written(one("LO", "x" * 70_000))
    assert data[4:6] == b"UN"
    assert data.endswith(b"x" * 70_000)
