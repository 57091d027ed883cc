"""Storing metadata and bulk data that come apart: what is built is what was meant."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from werkzeug.test import TestResponse

from dicomweb import stow_metadata
from tests import samples
from tests.dicomweb.conftest import Archive
from tests.dicomweb.multiparts import ROOT, problem
from tests.dicomweb.streams import jpeg, jpeg_2000, jpeg_ls, mp4
from tests.unit.dicom.datasets import datasets
from vna.config import WebConfig
from vna.dicom.native_xml import write_xml
from vna.model.query import JsonElement

STUDIES = ROOT + "/studies"
STORED, FAILED, OTHERS = "00081199", "00081198", "0008119A"
JSON, XML = "application/dicom+json", "application/dicom+xml"

Attributes = dict[str, JsonElement]
Part = tuple[Mapping[str, str], bytes]


def one(vr: str, *values: object) -> JsonElement:
    return {"vr": vr, "Value": list(values)}


def metadata(**more: JsonElement) -> Attributes:
    """An instance without bulk data; `T00280010=…` adds an attribute."""
    return {
        "00080016": one("UI", samples.SECONDARY_CAPTURE),
        "00080018": one("UI", samples.new_uid()),
        "0020000D": one("UI", samples.new_uid()),
        "0020000E": one("UI", samples.new_uid()),
        "00100010": one("PN", {"Alphabetic": "Dö^Jane"}),
        "00100020": one("LO", "PID-1"),
        **{key[1:]: element for key, element in more.items()},
    }


def image(rows: int = 4, columns: int = 4, bits: int = 8, **more: JsonElement) -> Attributes:
    return metadata(
        T00280002=one("US", 1), T00280004=one("CS", "MONOCHROME2"), T00280010=one("US", rows),
        T00280011=one("US", columns), T00280100=one("US", bits), T00280101=one("US", bits),
        T00280102=one("US", bits - 1), T00280103=one("US", 0), **more,
    )  # fmt: skip


def pixels(uri: str = "bulk/1", vr: str = "OW") -> JsonElement:
    return {"vr": vr, "BulkDataURI": uri}


def bulk(data: bytes, kind: str = "application/octet-stream", location: str = "bulk/1") -> Part:
    return {"Content-Type": kind, "Content-Location": location}, data


def body_of(kind: str, documents: Sequence[Attributes], parts: Sequence[Part] = ()) -> bytes:
    heads: list[Part] = [({"Content-Type": kind}, json.dumps(documents).encode())]
    if kind == XML:
        heads = [({"Content-Type": kind}, write_xml(document)) for document in documents]
    pieces = []
    for headers, data in [*heads, *parts]:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        pieces.append(b"\r\n--b o\r\n" + lines.encode() + b"\r\n" + data)
    return b"".join(pieces) + b"\r\n--b o--\r\n"


def post(
    client: FlaskClient, kind: str, documents: Sequence[Attributes], parts: Sequence[Part] = ()
) -> TestResponse:
    content_type = f'multipart/related; type="{kind}"; boundary="b o"'
    return client.post(STUDIES, data=body_of(kind, documents, parts), content_type=content_type)


def stored(client: FlaskClient, response: TestResponse) -> FileDataset:
    """The one instance that a request stored, as pydicom reads it."""
    assert response.status_code == 200, response.text
    (item,) = response.get_json()[STORED]["Value"]
    url = item["00081190"]["Value"][0]
    answer = client.get(url, headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert answer.status_code == 200, answer.text
    return dcmread(io.BytesIO(answer.data))


def keep(
    client: FlaskClient, attributes: Attributes, *parts: Part, kind: str = JSON
) -> FileDataset:
    return stored(client, post(client, kind, [attributes], parts))


def reason(response: TestResponse, sequence: str = FAILED) -> tuple[int, str]:
    """The one failure of a request of which nothing was stored."""
    assert response.status_code == 409, response.text
    (item,) = response.get_json()[sequence]["Value"]
    return item["00081197"]["Value"][0], item["00000902"]["Value"][0]


@pytest.mark.parametrize("kind", [JSON, XML])
def test_metadata_alone(client: FlaskClient, archive: Archive, kind: str) -> None:
    attributes = metadata()
    found = keep(client, attributes, kind=kind)
    assert found.file_meta.TransferSyntaxUID == samples.EXPLICIT
    assert found.file_meta.MediaStorageSOPInstanceUID == attributes["00080018"]["Value"][0]  # type: ignore[index]
    assert found.PatientName == "Dö^Jane"
    found.pop("SpecificCharacterSet")
    assert found.to_json_dict() == attributes
    assert archive.spooled() == []


@pytest.mark.parametrize("kind", [JSON, XML])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(random=datasets())
def test_random_datasets_come_back_equal(
    client: FlaskClient, kind: str, random: Attributes
) -> None:
    attributes = {**random, **metadata()}
    found = keep(client, attributes, kind=kind)
    found.pop("SpecificCharacterSet", None)
    assert found.to_json_dict() == Dataset.from_json(attributes).to_json_dict()


@pytest.mark.parametrize("kind", [JSON, XML])
@pytest.mark.parametrize(
    "part_type",
    ["", "; transfer-syntax=1.2.840.10008.1.2.1", "; transfer-syntax=1.2.840.10008.1.2"],
)
def test_native_pixel_data(client: FlaskClient, kind: str, part_type: str) -> None:
    data = bytes(range(32))
    attributes = image(bits=16, T7FE00010=pixels())
    part = bulk(data, "application/octet-stream" + part_type)
    found = keep(client, attributes, part, kind=kind)
    assert found.file_meta.TransferSyntaxUID == samples.EXPLICIT
    assert found.PixelData == data
    assert found.pixel_array.shape == (4, 4)


def test_inline_pixel_data_and_bulk_data_elsewhere(client: FlaskClient) -> None:
    attributes = image(
        T7FE00010={"vr": "OB", "InlineBinary": "AAECAwQFBgcICQoLDA0ODw=="},
        T54000100=one("SQ", {"54001010": {"vr": "OW", "BulkDataURI": "wave"}}),
        T00282000={"vr": "OB", "BulkDataURI": "cid:icc"},
    )
    icc = {"Content-Type": "application/octet-stream", "Content-ID": "<icc>"}, b"profile!"
    found = keep(client, attributes, bulk(bytes(10), location="wave"), icc)
    assert found.PixelData == bytes(range(16))
    assert found.WaveformSequence[0].WaveformData == bytes(10)
    assert found.ICCProfile == b"profile!"


STREAMS: list[tuple[str, bytes, str, str]] = [
    ("image/jpeg", jpeg(16, 24), "1.2.840.10008.1.2.4.50", "MONOCHROME2"),
    ("image/jpeg", jpeg(16, 24, is_colour=True), "1.2.840.10008.1.2.4.50", "YBR_FULL_422"),
    ("image/jp2", jpeg_2000(16, 24), "1.2.840.10008.1.2.4.90", "MONOCHROME2"),
    ("image/jp2", jpeg_2000(16, 24, is_lossy=True), "1.2.840.10008.1.2.4.91", "MONOCHROME2"),
    ("image/jp2", jpeg_2000(16, 24, is_colour=True), "1.2.840.10008.1.2.4.90", "YBR_RCT"),
    ("image/jp2", jpeg_2000(16, 24, is_boxed=True), "1.2.840.10008.1.2.4.90", "MONOCHROME2"),
    ("image/jls", jpeg_ls(), "1.2.840.10008.1.2.4.80", "MONOCHROME2"),
]


@pytest.mark.parametrize("number", range(len(STREAMS)))
@pytest.mark.parametrize("kind", [JSON, XML])
def test_compressed_pixel_data_describe_themselves(
    client: FlaskClient, kind: str, number: int
) -> None:
    part_type, stream, syntax, photometric = STREAMS[number]
    found = keep(client, metadata(T7FE00010=pixels(vr="OB")), bulk(stream, part_type), kind=kind)
    assert found.file_meta.TransferSyntaxUID == syntax
    size = (64, 64) if part_type == "image/jls" else (16, 24)
    assert (found.Rows, found.Columns) == size
    assert found.PhotometricInterpretation == photometric
    is_lossy = syntax.endswith(("50", "91"))
    assert found.get("LossyImageCompression") == ("01" if is_lossy else None)
    assert bool(found.get("LossyImageCompressionRatio")) is is_lossy
    if not syntax.endswith("80"):
        assert found.pixel_array.shape[:2] == size


def test_what_the_metadata_say_stays(client: FlaskClient) -> None:
    attributes = metadata(
        T7FE00010=pixels(vr="OB"),
        T00280004=one("CS", "MONOCHROME1"),
        T00280101=one("US", 7),
        T00282110=one("CS", "01"),
        T00282112=one("DS", 3.5),
    )
    found = keep(client, attributes, bulk(jpeg(16, 24), "image/jpeg"))
    assert found.PhotometricInterpretation == "MONOCHROME1"
    assert (found.BitsStored, found.HighBit) == (7, 6)
    assert found.LossyImageCompressionRatio == 3.5
    assert "LossyImageCompressionMethod" not in found


def test_frames_as_parts_of_one_location(client: FlaskClient) -> None:
    frames = [jpeg_2000(16, 24, seed=seed) for seed in range(3)]
    parts = [bulk(frame, "image/jp2") for frame in frames]
    found = keep(client, metadata(T7FE00010=pixels(vr="OB")), *parts)
    assert found.NumberOfFrames == 3
    assert found.pixel_array.shape == (3, 16, 24)
    first = keep(client, metadata(T7FE00010=pixels(vr="OB")), parts[0]).pixel_array
    assert np.array_equal(found.pixel_array[0], first)
    assert not np.array_equal(found.pixel_array[1], first)


def test_pixel_data_that_are_encapsulated_already(client: FlaskClient) -> None:
    value = samples.fragments([jpeg(16, 24)])
    for data in (value, value[:-8]):
        part = bulk(data, f"application/octet-stream; transfer-syntax={samples.JPEG_BASELINE}")
        found = keep(client, image(16, 24, T7FE00010=pixels(vr="OB")), part)
        assert found.pixel_array.shape == (16, 24)
    hinted = image(16, 24, T7FE00010=pixels(vr="OB"), T00020010=one("UI", samples.JPEG_BASELINE))
    assert keep(client, hinted, bulk(value)).file_meta.TransferSyntaxUID == samples.JPEG_BASELINE


def test_a_video(client: FlaskClient) -> None:
    data = mp4(320, 240, frames=50, seconds=2)
    found = keep(client, metadata(T7FE00010=pixels(vr="OB")), bulk(data, "video/mp4"))
    assert found.file_meta.TransferSyntaxUID == samples.MPEG4
    assert (found.Columns, found.Rows, found.NumberOfFrames) == (320, 240, 50)
    assert found.PhotometricInterpretation == "YBR_PARTIAL_420"
    assert found.FrameTime == 40
    assert data in found.PixelData


@pytest.mark.parametrize("kind", [JSON, XML])
def test_a_document(client: FlaskClient, kind: str) -> None:
    attributes = metadata(T00420011=pixels(vr="OB"))
    attributes["00080016"] = one("UI", "1.2.840.10008.5.1.4.1.1.104.1")
    found = keep(client, attributes, bulk(b"%PDF-1.7 odd", "application/pdf"), kind=kind)
    assert found.EncapsulatedDocument == b"%PDF-1.7 odd"
    assert found.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert found.EncapsulatedDocumentLength == 12


def test_several_instances_in_any_order_of_parts(client: FlaskClient, archive: Archive) -> None:
    documents = [image(T7FE00010=pixels(f"bulk/{n}", "OB")) for n in range(5)]
    parts = [bulk(bytes([n]) * 16, location=f"bulk/{n}") for n in (3, 0, 4, 1, 2)]
    for kind in (JSON, XML):
        response = post(client, kind, documents, parts)
        assert response.status_code == 200, response.text
        assert len(response.get_json()[STORED]["Value"]) == 5
    assert archive.spooled() == []


def test_one_part_for_several_instances_and_for_elements(client: FlaskClient) -> None:
    documents = [
        image(T7FE00010=pixels("same", "OB"), T00282000={"vr": "OB", "BulkDataURI": "same"})
        for _ in range(2)
    ]
    response = post(client, JSON, documents, [bulk(bytes(16), location="same")])
    assert len(response.get_json()[STORED]["Value"]) == 2


def test_locations_may_be_absolute_or_relative(client: FlaskClient) -> None:
    attributes = image(T7FE00010=pixels("http://localhost/dicom-web/bulk/1", "OB"))
    assert keep(client, attributes, bulk(bytes(16))).PixelData == bytes(16)


def test_a_single_part(client: FlaskClient) -> None:
    for data, kind in ((json.dumps(metadata()).encode(), JSON), (write_xml(metadata()), XML)):
        response = client.post(STUDIES, data=data, content_type=kind)
        assert stored(client, response).PatientID == "PID-1"


def test_a_json_body_of_another_study(client: FlaskClient) -> None:
    content_type = f'multipart/related; type="{JSON}"; boundary="b o"'
    data = body_of(JSON, [metadata()])
    response = client.post(f"{STUDIES}/{samples.new_uid()}", data=data, content_type=content_type)
    assert reason(response)[0] == 0xA900


@pytest.mark.parametrize(
    ("attributes", "part", "code", "text"),
    [
        (image(T7FE00010=pixels("http://elsewhere/x")), bulk(bytes(16)), 0xC000, "no part has"),
        (image(T7FE00010=pixels()), bulk(bytes(15)), 0xC000, "15 bytes"),
        (image(T7FE00010=pixels()), bulk(b"no JPEG", "image/jpeg"), 0xC000, "no codestream"),
        (image(T7FE00010=pixels()), bulk(jpeg(16, 24), "image/jpeg"), 0xC000, "contradict"),
        (image(T7FE00010=pixels()), bulk(b"x", "text/html"), 0xC122, "text/html"),
        (image(T7FE00010=pixels()), bulk(b"x", "image/jxl"), 0xC122, "transfer-syntax"),
        (
            metadata(T7FE00010=pixels()),
            bulk(jpeg(16, 24, is_progressive=True), "image/jpeg"),
            0xC122,
            "no transfer syntax in force",
        ),
        (
            metadata(T7FE00010=pixels()),
            bulk(jpeg(16, 24), "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.90"),
            0xC000,
            "not in transfer syntax",
        ),
        (
            image(T7FE00010=pixels()),
            bulk(bytes(16), "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.2"),
            0xC122,
            "little endian",
        ),
        (metadata(T7FE00010=pixels()), bulk(b"x" * 40, "video/mp4"), 0xC122, "transfer-syntax"),
        (metadata(T00280010=one("US", -1)), bulk(b"x"), 0xC000, "can't hold"),
    ],
)
def test_what_is_refused_and_why(
    client: FlaskClient, archive: Archive, attributes: Attributes, part: Part, code: int, text: str
) -> None:
    response = post(client, JSON, [attributes], [part])
    failures = response.get_json()[FAILED]["Value"]
    assert response.status_code == 409
    assert failures[0]["00081155"] == attributes["00080018"]
    assert failures[0]["00081197"]["Value"] == [code]
    assert text in failures[0]["00000902"]["Value"][0]
    assert list(archive.backend.scan()) == []
    assert archive.spooled() == []


def test_metadata_that_name_no_instance(client: FlaskClient) -> None:
    attributes = metadata()
    del attributes["00080018"]
    assert reason(post(client, JSON, [attributes]), OTHERS)[0] == 0xC000


def test_bulk_data_that_nobody_names_are_told(client: FlaskClient) -> None:
    response = post(client, JSON, [metadata()], [bulk(b"x", location="other")])
    assert response.status_code == 202
    assert "no metadata name" in response.get_json()[OTHERS]["Value"][0]["00000902"]["Value"][0]


def test_the_same_again_and_other_content_under_the_uid(
    client: FlaskClient, archive: Archive
) -> None:
    attributes = metadata()
    assert post(client, JSON, [attributes]).status_code == 200
    assert post(client, XML, [attributes]).status_code == 200
    assert len(list(archive.backend.scan())) == 1
    response = post(client, JSON, [{**attributes, "00081030": one("LO", "other")}])
    assert response.status_code == 202
    assert response.get_json()[STORED]["Value"][0]["00081196"]["Value"] == [0xB007]


DEEP = b'{"00081140":{"vr":"SQ","Value":[' * 20_000
BROKEN: list[tuple[str, bytes]] = [
    (JSON, b"["),
    (JSON, b""),
    (JSON, b"5"),
    (JSON, b'["x"]'),
    (JSON, DEEP),
    (JSON, b'[{"00080018":{"vr":"UI","Value":["\\ud800"]}}]'),
    (XML, b"<NativeDicomModel>"),
    (XML, b'<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel/>'),
    (
        XML,
        b"<NativeDicomModel>"
        + b'<DicomAttribute tag="00081140" vr="SQ"><Item number="1">' * 20_000,
    ),
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_broken_metadata(client: FlaskClient, archive: Archive, number: int) -> None:
    kind, data = BROKEN[number]
    body = b"--b\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + data + b"\r\n--b--"
    response = client.post(
        STUDIES, data=body, content_type=f'multipart/related; type="{kind}"; boundary=b'
    )
    assert "metadata" in problem(response, 400)
    assert archive.spooled() == []


def test_parts_without_a_name_or_apart_from_each_other(client: FlaskClient) -> None:
    for parts in (
        [({"Content-Type": "image/jpeg"}, b"x")],
        [bulk(b"x"), bulk(b"y", location="other"), bulk(b"z")],
    ):
        documents = [
            image(T7FE00010=pixels(), T00282000=pixels("other"), T00420011=pixels("third"))
        ]
        problem(post(client, JSON, documents, parts), 400)


def test_too_much_of_it(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    client = archive.app(WebConfig(max_metadata_bytes=2000)).test_client()
    waits = [metadata(T00420011=pixels(vr="OB")) for _ in range(9)]
    assert "max_metadata_bytes" in problem(post(client, JSON, [metadata()] * 9), 413)
    assert "max_metadata_bytes" in problem(post(client, XML, waits), 413)
    assert post(client, XML, [metadata() for _ in range(50)]).status_code == 200
    for size, limit, value in ((10, "MAX_SMALL_BYTES", 4000), (100_000, "MAX_SPOOLED", 3)):
        monkeypatch.setattr(stow_metadata, limit, value)
        parts = [bulk(b"x" * size, location=f"waits/{n}") for n in range(5)]
        assert "too many parts" in problem(post(client, JSON, [], parts), 400)
        assert post(client, JSON, [], parts[:1]).status_code == 409
        monkeypatch.undo()
    assert archive.spooled() == []


def test_what_broke_off_is_not_stored(client: FlaskClient, archive: Archive) -> None:
    documents = [image(T7FE00010=pixels(f"bulk/{n}", "OB")) for n in range(2)]
    data = body_of(JSON, documents, [bulk(bytes(16), location=f"bulk/{n}") for n in range(2)])
    content_type = f'multipart/related; type="{JSON}"; boundary="b o"'
    response = client.post(STUDIES, data=data[:-20], content_type=content_type)
    problem(response, 400)
    result: dict[str, Any] = response.get_json()["result"]
    assert [item["00081155"] for item in result[STORED]["Value"]] == [documents[0]["00080018"]]
    assert [item["00081155"] for item in result[FAILED]["Value"]] == [documents[1]["00080018"]]
    assert len(list(archive.backend.scan())) == 1
    assert archive.spooled() == []


def test_the_answer_as_xml(client: FlaskClient) -> None:
    content_type = f'multipart/related; type="{JSON}"; boundary="b o"'
    response = client.post(
        STUDIES,
        data=body_of(JSON, [metadata()]),
        content_type=content_type,
        headers={"Accept": XML},
    )
    assert response.mimetype == XML
    assert b'keyword="ReferencedSOPSequence"' in response.data


def test_an_instance_of_very_many_parts(client: FlaskClient, archive: Archive) -> None:
    """1 000 small ones and one that lies in the spool, each before and behind the others."""
    private: Attributes = {
        f"0009{block:02X}{number:02X}": {"vr": "OB", "BulkDataURI": f"{block}/{number}"}
        for block in range(0x10, 0x14)
        for number in range(250)
    }
    creators = {f"000900{block:02X}": one("LO", f"C{block}") for block in range(0x10, 0x14)}
    attributes = {**metadata(T00420011=pixels("large", "OB")), **creators, **private}
    parts = [
        bulk(f"{element['BulkDataURI']:8}".encode(), location=str(element["BulkDataURI"]))
        for element in private.values()
    ]
    parts.insert(500, bulk(bytes(200_000), "application/pdf", "large"))
    found = keep(client, attributes, *parts)
    assert found[0x000912F9].value == b"18/249  "
    assert found.EncapsulatedDocumentLength == 200_000
    assert archive.spooled() == []
