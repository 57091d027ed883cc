"""Storing metadata and bulk data that come apart: what is built is what was meant."""

from __future__ import annotations

import json

import numpy as np
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from pydicom.dataset import Dataset

from tests import samples
from tests.dicomweb.conftest import Archive
from tests.dicomweb.metadata_requests import (
    FAILED,
    JSON,
    OTHERS,
    STORED,
    STUDIES,
    XML,
    Attributes,
    Part,
    body_of,
    bulk,
    image,
    keep,
    metadata,
    one,
    pixels,
    post,
    reason,
    stored,
)
from tests.dicomweb.streams import jpeg, jpeg_2000, jpeg_ls, mp4
from tests.unit.dicom.datasets import datasets
from vna.dicom.native_xml import write_xml


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


@pytest.mark.parametrize("kind", ["application/octet-stream", "image/jpeg"])
@pytest.mark.parametrize("parameter", ["", "; transfer-syntax=*"])
def test_a_codestream_whose_transfer_syntax_is_not_told(
    client: FlaskClient, kind: str, parameter: str
) -> None:
    part = bulk(jpeg(16, 24), kind + parameter)
    found = keep(client, metadata(T7FE00010=pixels(vr="OB")), part)
    assert found.file_meta.TransferSyntaxUID == samples.JPEG_BASELINE
    assert found.pixel_array.shape == (16, 24)


def test_frames_in_several_transfer_syntaxes(client: FlaskClient) -> None:
    parts = [bulk(jpeg(16, 24), "image/jpeg"), bulk(jpeg_2000(16, 24), "image/jp2")]
    response = post(client, JSON, [metadata(T7FE00010=pixels(vr="OB"))], parts)
    assert "several transfer syntaxes" in reason(response)[1]


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
        (
            image(T7FE00010=pixels()),
            bulk(bytes(16), "application/octet-stream; transfer-syntax=foo"),
            0xC122,
            "no transfer syntax",
        ),
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
