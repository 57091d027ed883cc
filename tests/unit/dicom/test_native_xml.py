"""Native DICOM Model documents: what is written is read again, and nothing else is read."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from pydicom import dcmread

from tests import samples
from tests.unit.dicom.datasets import datasets
from vna.dicom.header import read_header
from vna.dicom.json import MAX_DEPTH, dataset_json
from vna.dicom.native_xml import NAMESPACE, read_xml, write_xml, xml_chunks
from vna.errors import InvalidInstance, VnaError
from vna.model.query import JsonElement

FILES = [*samples.pydicom_files(), *samples.corpus_files()]
NAME = {"Alphabetic": "Doe^Jane^^Dr", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}


def element(vr: str, *values: object) -> JsonElement:
    return {"vr": vr, "Value": list(values)}


def document(inside: str) -> bytes:
    return f'<NativeDicomModel xmlns="{NAMESPACE}">{inside}</NativeDicomModel>'.encode()


def json_of(path: Path) -> dict[str, JsonElement] | None:
    data = path.read_bytes()
    try:
        header = read_header(data)
    except VnaError:
        return None
    return dataset_json(
        data,
        dataset_offset=header.layout.dataset_offset,
        transfer_syntax_uid=header.transfer_syntax_uid,
        bulk_uri=lambda path: f"http://h/bulk?a=1&p={path}",
    )


def cleaned(value: Any) -> Any:
    """What XML 1.0 can carry of it."""
    if isinstance(value, str):
        return "".join(c if c >= " " or c in "\t\n\r" else "\ufffd" for c in value)
    if isinstance(value, dict):
        return {key: cleaned(inner) for key, inner in value.items()}
    return [cleaned(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_test_file_survives_a_round_trip(path: Path) -> None:
    attributes = json_of(path)
    if attributes is not None:
        assert read_xml(write_xml(attributes)) == cleaned(attributes)


@given(datasets())
def test_random_datasets_survive_a_round_trip(attributes: dict[str, JsonElement]) -> None:
    assert read_xml(write_xml(attributes)) == attributes


def test_a_document_as_the_standard_has_it() -> None:
    attributes: dict[str, JsonElement] = {
        "00080005": element("CS", "ISO_IR 192"),
        "00100010": element("PN", NAME),
        "00081140": element("SQ", {"00081155": element("UI", "1.2.3")}, {}),
        "00090010": element("LO", "ACME & Co"),
        "00091002": element("US", 1, 2),
        "00420011": {"vr": "OB", "InlineBinary": "AAEC"},
        "7FE00010": {"vr": "OW", "BulkDataURI": "http://h/p?a=1&b=2"},
    }
    root = ET.fromstring(write_xml(attributes))  # noqa: S314 – our own document
    ns = {"n": NAMESPACE}
    assert root.tag == f"{{{NAMESPACE}}}NativeDicomModel"
    found = {node.get("tag"): node for node in root.findall("n:DicomAttribute", ns)}
    assert list(found) == [
        "00080005",
        "00081140",
        "00090010",
        "00090002",
        "00100010",
        "00420011",
        "7FE00010",
    ]
    assert found["00080005"].get("keyword") == "SpecificCharacterSet"
    assert found["00090002"].get("privateCreator") == "ACME & Co"
    assert [value.text for value in found["00090002"].findall("n:Value", ns)] == ["1", "2"]
    name = found["00100010"].find("n:PersonName", ns)
    assert name is not None
    assert name.get("number") == "1"
    assert [(node.tag.rpartition("}")[2], node.text) for node in name.iterfind("n:Alphabetic/*", ns)] == [
        ("FamilyName", "Doe"), ("GivenName", "Jane"), ("NamePrefix", "Dr"),
    ]  # fmt: skip
    assert name.findtext("n:Ideographic/n:FamilyName", None, ns) == "山田"
    items = found["00081140"].findall("n:Item", ns)
    assert [item.get("number") for item in items] == ["1", "2"]
    assert items[0].findtext("n:DicomAttribute/n:Value", None, ns) == "1.2.3"
    assert found["00420011"].findtext("n:InlineBinary", None, ns) == "AAEC"
    bulk = found["7FE00010"].find("n:BulkData", ns)
    assert bulk is not None
    assert bulk.get("uri") == "http://h/p?a=1&b=2"


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (element("LO", "<&>\"'"), None),
        (element("LT", " two\r\nlines\t"), None),
        (element("LO", "a", None, "b", None), None),
        (element("PN", {"Alphabetic": "Doe^"}, None), None),
        (element("PN", {"Alphabetic": "a^b^c^d^e^f"}), None),
        (element("PN", "Doe^Jane"), element("PN", {"Alphabetic": "Doe^Jane"})),
        (element("DS", 1.0, 0.1234567890123456789, "1,5"), None),
        (element("IS", 12, "1e400"), None),
        (element("FD", 1e-300, "NaN", "-Infinity"), None),
        (element("SV", -(2**63)), None),
        (element("AT", "7FE00010"), None),
        (element("LO", "bell\x07"), element("LO", "bell\ufffd")),
        ({"vr": "UN"}, None),
        (element("SQ", {}), None),
    ],
)  # fmt: skip
def test_values_that_need_care(element: JsonElement, expected: JsonElement | None) -> None:
    assert read_xml(write_xml({"00189999": element})) == {"00189999": expected or element}


def test_private_elements_get_the_block_of_their_creator_or_a_free_one() -> None:
    inside = """
      <DicomAttribute tag="00090010" vr="LO"><Value number="1">OTHER</Value></DicomAttribute>
      <DicomAttribute tag="00090012" vr="LO"><Value number="1">ACME</Value></DicomAttribute>
      <DicomAttribute tag="00090001" vr="US" privateCreator="ACME"><Value number="1">7</Value></DicomAttribute>
      <DicomAttribute tag="00090002" vr="US" privateCreator="NEW"><Value number="1">8</Value></DicomAttribute>
      <DicomAttribute tag="00092003" vr="US" privateCreator="FAR"><Value number="1">9</Value></DicomAttribute>"""
    assert read_xml(document(inside)) == {
        "00090010": element("LO", "OTHER"),
        "00090011": element("LO", "NEW"),
        "00090012": element("LO", "ACME"),
        "00090020": element("LO", "FAR"),
        "00091201": element("US", 7),
        "00091102": element("US", 8),
        "00092003": element("US", 9),
    }


def test_a_creator_with_two_blocks_keeps_both() -> None:
    attributes = {
        "00090010": element("LO", "ACME"),
        "00090011": element("LO", "ACME"),
        "00091001": element("US", 1),
        "00091101": element("US", 2),
    }
    assert read_xml(write_xml(attributes)) == attributes


def test_documents_as_others_write_them() -> None:
    """Without namespace, with white space, lower-case tags, no VR, values without numbers or with gaps."""
    data = b"""<?xml version="1.0" encoding="ISO-8859-1"?>
      <NativeDicomModel><DicomAttribute tag="0020000d"><Value>1.2</Value></DicomAttribute>
      <DicomAttribute tag="00080008" vr="CS"><Value number="2">B</Value><Value number="1">A\xe9</Value></DicomAttribute>
      <DicomAttribute tag="00200037" vr="DS"><Value number="3">0.5</Value></DicomAttribute>
      <DicomAttribute tag="00420011" vr="OB"><InlineBinary> AA
      EC </InlineBinary></DicomAttribute>
      <DicomAttribute tag="7FE00010" vr="OW"><BulkData uuid="5b7a"/></DicomAttribute>
      </NativeDicomModel>"""
    assert read_xml(data) == {
        "0020000D": element("UI", "1.2"),
        "00080008": element("CS", "A\xe9", "B"),
        "00200037": element("DS", None, None, 0.5),
        "00420011": {"vr": "OB", "InlineBinary": "AAEC"},
        "7FE00010": {"vr": "OW", "BulkDataURI": "5b7a"},
    }


def attribute(inside: str, tag: str = "00080008", vr: str = "CS") -> str:
    return f'<DicomAttribute tag="{tag}" vr="{vr}">{inside}</DicomAttribute>'


@pytest.mark.parametrize(
    "inside",
    [
        "<Other/>",
        "text",
        attribute("<Item/>"),
        attribute("<Value>a</Value>", vr="SQ"),
        attribute("<PersonName/>", vr="SQ"),
        attribute("<Value>a</Value>", vr="PN"),
        attribute("<Value>a</Value>", vr="OB"),
        attribute("<Value>a</Value>", vr="XX"),
        attribute("<Value>a</Value>", tag="8"),
        attribute("<Value number='0'>a</Value>"),
        attribute("<Value number='1'>a</Value><Value number='1'>b</Value>"),
        attribute("<Value number='999999999'>a</Value>"),
        attribute("<Value number='-1'>a</Value>"),
        attribute("<Value>a<b/></Value>"),
        attribute("<BulkData/>"),
        attribute("<Value>a</Value><BulkData uri='x'/>"),
        attribute("<Value>a</Value>") * 2,
        attribute("<InlineBinary>AA==</InlineBinary>"),
        "<NativeDicomModel/>",
    ],
)
def test_what_the_model_does_not_know_is_refused(inside: str) -> None:
    with pytest.raises(InvalidInstance, match="XML metadata"):
        read_xml(document(inside))


BOMB = b"""<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<NativeDicomModel>&b;</NativeDicomModel>"""
OUTSIDE = b"""<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:9/x">]><NativeDicomModel>
<DicomAttribute tag="00080008" vr="CS"><Value>&x;</Value></DicomAttribute></NativeDicomModel>"""


@pytest.mark.parametrize(
    "data",
    [
        BOMB,
        OUTSIDE,
        b"",
        b"{}",
        b"<NativeDicomModel>",
        b"<a/>",
        b"\xff\xfe<",
        b"<?xml version='1.0' encoding='x'?><a/>",
    ],
)
def test_documents_with_entities_and_broken_ones_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInstance, match="XML metadata"):
        read_xml(data)


def test_deep_nesting_is_refused_without_a_deep_stack() -> None:
    opening = '<DicomAttribute tag="00081140" vr="SQ"><Item number="1">'
    with pytest.raises(InvalidInstance, match="deep"):
        read_xml(document(opening * 20_000))
    inside = opening * MAX_DEPTH + "</Item></DicomAttribute>" * MAX_DEPTH
    assert "00081140" in read_xml(document(inside))


def test_reading_takes_time_in_proportion() -> None:
    creators = "".join(
        f'<DicomAttribute tag="{group:04X}00{number:02X}" vr="US" privateCreator="C{number}"/>'
        for group in range(9, 400, 2)
        for number in range(100)
    )
    started = time.process_time()
    assert len(read_xml(document(creators))) == 2 * 196 * 100
    assert time.process_time() - started < 10


def test_a_document_written_item_by_item_is_the_same() -> None:
    items: list[dict[str, JsonElement]] = [{"00081155": element("UI", f"1.{n}")} for n in range(3)]
    whole = {"00081190": element("UR", "http://h"), "00081199": element("SQ", *items)}
    pieces = xml_chunks({"00081190": whole["00081190"]}, {"00081199": iter(items)})
    assert b"".join(pieces) == write_xml(whole)


def test_pydicom_and_the_document_agree_on_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(samples.small(PatientName="Doe^Jane^^Dr"))
    attributes = json_of(tmp_path / "a.dcm")
    assert attributes is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name = dcmread(tmp_path / "a.dcm").PatientName
    found: Any = read_xml(write_xml(attributes))["00100010"]["Value"]
    person = found[0]
    assert person["Alphabetic"].split("^") == [
        name.family_name,
        name.given_name,
        "",
        name.name_prefix,
    ]
