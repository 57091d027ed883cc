"""What the JavaScript library dicomweb-client asks for when it is told more: types, ranges, parameters, hooks."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pydicom
import pytest
from PIL import Image

from tests import reports, samples
from tests.interop import viewer
from tests.interop.js_client import FILE, Client, running_client, text
from tests.interop.programs import sample

pytestmark = [viewer.needed(viewer.CLIENT), pytest.mark.slow, pytest.mark.timeout(300)]

FRAMES = 3
FILM = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 8
PDF = b"%PDF-1.4\n%%EOF\n\n"
J2K = sample("MR_small_jp2klossless.dcm")
LARGE = 2_000_000


def uids(number: int) -> dict[str, Any]:
    """Those of a series of one's own in the study 1.2.7, by keyword."""
    return {
        "StudyInstanceUID": "1.2.7",
        "SeriesInstanceUID": f"1.2.7.{number}",
        "SOPInstanceUID": f"1.2.7.{number}.1",
    }


def named(number: int) -> dict[str, str]:
    """The same as the library calls them."""
    return {
        "studyInstanceUID": "1.2.7",
        "seriesInstanceUID": f"1.2.7.{number}",
        "sopInstanceUID": f"1.2.7.{number}.1",
    }


def of_file(path: Path) -> dict[str, str]:
    header = pydicom.dcmread(path, stop_before_pixels=True)
    return {
        "studyInstanceUID": str(header.StudyInstanceUID),
        "seriesInstanceUID": str(header.SeriesInstanceUID),
        "sopInstanceUID": str(header.SOPInstanceUID),
    }


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    film: Mapping[str, Any] = {
        "SOPClassUID": reports.VIDEO,
        "transfer_syntax_uid": samples.MPEG4,
        "table": b"",
    }
    files = [
        J2K.read_bytes(),
        samples.multiframe(FRAMES, rows=16, columns=8, **uids(1)),
        reports.document(PDF, **uids(2)),
        reports.report(reports.item("TEXT", "Finding", TextValue="nothing new"), **uids(3)),
        samples.encapsulated([[FILM]], **uids(4), **film),
    ]
    with running_client(tmp_path_factory.mktemp("client")) as running:
        running.call("storeInstances", datasets=[text(file) for file in files])
        yield running


def decoded(answer: Any) -> list[bytes]:
    parts = answer if isinstance(answer, list) else [answer]
    return [base64.b64decode(part) for part in parts]


def one(answer: Any) -> bytes:
    (part,) = decoded(answer)
    return part


@pytest.mark.parametrize(
    ("kind", "syntax"),
    [
        ("image/jls", samples.JPEG_LS),
        ("image/x-jls", samples.JPEG_LS),
        ("image/jp2", samples.JPEG_2000),
        ("image/x-dicom-rle", samples.RLE),
        ("application/octet-stream", samples.EXPLICIT),
        ("image/*", "*"),
    ],
)
def test_frames_of_a_wanted_kind(client: Client, kind: str, syntax: str) -> None:
    wanted = [{"mediaType": kind, "transferSyntaxUID": syntax}]
    path = J2K if kind == "image/*" else FILE
    found = one(
        client.call("retrieveInstanceFrames", **of_file(path), frameNumbers=[1], mediaTypes=wanted)
    )
    expected = pydicom.dcmread(path)
    if syntax in {samples.EXPLICIT, "*"}:
        native = syntax == samples.EXPLICIT
        stored = bytes(expected.PixelData) if native else _only_frame(expected)
        assert found == stored
        return
    description = {
        name: expected[name].value
        for name in (
            *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated"),
            *("BitsStored", "HighBit", "PixelRepresentation"),
        )
    }
    made = samples.encapsulated([[found]], transfer_syntax_uid=syntax, **description)
    assert (pydicom.dcmread(io.BytesIO(made)).pixel_array == expected.pixel_array).all()


def _only_frame(dataset: pydicom.Dataset) -> bytes:
    (frame,) = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)
    return frame


def test_frames_in_whatever_they_are_stored(client: Client) -> None:
    wanted = [
        {"mediaType": "application/octet-stream", "transferSyntaxUID": samples.EXPLICIT},
        {"mediaType": "image/jls", "transferSyntaxUID": samples.JPEG_LS},
        {"mediaType": "image/jp2", "transferSyntaxUID": samples.JPEG_2000},
        {"mediaType": "image/jhc", "transferSyntaxUID": "1.2.840.10008.1.2.4.201"},
    ]
    for path, stored in ((J2K, True), (FILE, False)):
        found = one(
            client.call(
                "retrieveInstanceFrames", **of_file(path), frameNumbers=[1], mediaTypes=wanted
            )
        )
        dataset = pydicom.dcmread(path)
        assert found == (_only_frame(dataset) if stored else bytes(dataset.PixelData))


def test_frames_in_high_throughput_jpeg_2000(client: Client) -> None:
    """The library says image/jhc, which the standard does not know, and only in a mixed list."""
    wanted = [
        {"mediaType": "image/jhc", "transferSyntaxUID": "1.2.840.10008.1.2.4.201"},
        {"mediaType": "text/none"},
    ]
    options = {**of_file(FILE), "frameNumbers": [1], "mediaTypes": wanted}
    answer = client.call("retrieveInstanceFrames", **options)
    assert one(answer)[:4] == b"\xff\x4f\xff\x51"


def test_several_frames_in_the_order_asked_for(client: Client) -> None:
    options = {**named(1), "frameNumbers": [3, 1]}
    found = decoded(client.call("retrieveInstanceFrames", **options))
    assert found == [bytes([number]) * 128 for number in (3, 1)]


def test_a_video_has_no_frames_but_bulk_data(client: Client) -> None:
    kinds = [{"mediaType": "video/mp4", "transferSyntaxUID": samples.MPEG4}]
    options = {**named(4), "frameNumbers": [1], "mediaTypes": kinds}
    assert client.watch("retrieveInstanceFrames", **options)["seen"]["errors"] == [404]
    (metadata,) = client.call("retrieveInstanceMetadata", **named(4))
    uri = metadata["7FE00010"]["BulkDataURI"]
    single = client.configured(singlepart="bulkdata,video")
    assert one(single.call("retrieveBulkData", BulkDataURI=uri)) == FILM


def test_bulk_data_as_a_single_part(client: Client) -> None:
    (metadata,) = client.call("retrieveInstanceMetadata", **named(1))
    uri = metadata["7FE00010"]["BulkDataURI"]
    single = client.configured(singlepart="bulkdata")
    whole = one(single.call("retrieveBulkData", BulkDataURI=uri))
    assert whole == b"".join(bytes([number]) * 128 for number in range(1, FRAMES + 1))
    headers = {"Range": "bytes=120-139", "Accept": "application/octet-stream"}
    part = one(single.call("retrieveBulkData", BulkDataURI=uri, headers=headers))
    assert part == whole[120:140]


def test_bulk_data_by_media_type(client: Client) -> None:
    (metadata,) = client.call("retrieveInstanceMetadata", **named(1))
    uri = metadata["7FE00010"]["BulkDataURI"]
    wanted = [{"mediaType": "application/octet-stream", "transferSyntaxUID": samples.EXPLICIT}]
    found = one(client.call("retrieveBulkData", BulkDataURI=uri, mediaTypes=wanted))
    assert len(found) == 128 * FRAMES


def test_a_document_by_its_bulk_data_uri(client: Client) -> None:
    (metadata,) = client.call("retrieveInstanceMetadata", **named(2))
    element = metadata["00420011"]
    if "InlineBinary" in element:
        assert base64.b64decode(element["InlineBinary"]) == PDF
        return
    assert one(client.call("retrieveBulkData", BulkDataURI=element["BulkDataURI"])) == PDF


@pytest.mark.parametrize(
    ("number", "kind", "start"),
    [
        (1, "image/gif", b"GIF89a"),
        (1, "image/*", b"\xff\xd8\xff"),
        (1, "video/mp4", b"\0\0\0"),
        (3, "text/html", b"<!"),
        (3, "text/plain", b""),
        (4, "video/mp4", FILM),
    ],
)
def test_looking_at_anything(client: Client, number: int, kind: str, start: bytes) -> None:
    wanted = [{"mediaType": kind}]
    found = one(client.call("retrieveInstanceRendered", **named(number), mediaTypes=wanted))
    assert found.startswith(start)
    assert found


def test_a_document_without_a_wish(client: Client) -> None:
    assert one(client.call("retrieveInstanceRendered", **named(2))) == PDF


@pytest.mark.parametrize(
    "method",
    [
        "retrieveInstanceRendered",
        "retrieveInstanceThumbnail",
        "retrieveInstanceFramesRendered",
        "retrieveInstanceFramesThumbnail",
    ],
)
def test_parameters_of_a_picture(client: Client, method: str) -> None:
    more = {"frameNumbers": [2]} if "Frames" in method else {}
    for wanted in ({}, {"mediaTypes": [{"mediaType": "image/png"}]}):
        found = one(
            client.call(method, **named(1), **more, **wanted, queryParams={"viewport": "8,8"})
        )
        picture = Image.open(io.BytesIO(found))
        assert picture.format == ("PNG" if wanted else "JPEG")
        assert picture.size == (4, 8)


def test_a_window(client: Client) -> None:
    wanted: dict[str, Any] = {"mediaTypes": [{"mediaType": "image/png"}], "frameNumbers": [2]}
    shown = [
        np.asarray(Image.open(io.BytesIO(one(client.call(method, **named(1), **wanted, **query)))))
        for method, query in (
            ("retrieveInstanceFramesRendered", {"queryParams": {"window": "2,1,linear"}}),
            ("retrieveInstanceFramesRendered", {"queryParams": {"window": "200,10,linear"}}),
        )
    ]
    assert shown[0].mean() > shown[1].mean()


def test_searches_by_parameters(client: Client) -> None:
    query = {"PatientName": "*comp*", "includefield": "00081030,00100030", "limit": 1, "offset": 1}
    assert len(client.call("searchForStudies", queryParams=query)) == 1
    fuzzy = {"PatientName": "compressed samples", "fuzzymatching": True}
    found = client.call("searchForStudies", queryParams=fuzzy)
    assert {match["00100020"]["Value"][0] for match in found} == {"1CT1", "4MR1"}
    assert client.call("searchForSeries", queryParams={"Modality": "XX"}) == []
    (series,) = client.call("searchForSeries", studyInstanceUID="1.2.7", queryParams={"limit": 1})
    assert series["0020000D"]["Value"] == ["1.2.7"]


def test_one_more_instance_for_a_study(client: Client) -> None:
    more = samples.small(**{**uids(9), "SOPInstanceUID": "1.2.7.9.2"})
    answer = client.call("storeInstances", studyInstanceUID="1.2.7", datasets=[text(more)])
    assert "00081199" in str(answer)


def test_storing_what_is_no_dicom_is_an_error(client: Client) -> None:
    answer = client.watch("storeInstances", datasets=[text(b"nothing" * 100)])
    assert "409" in answer["error"]
    assert answer["seen"]["errors"] == [409]


def test_storing_and_fetching_much_with_progress(client: Client) -> None:
    file = samples.ct(
        study_instance_uid="1.2.8",
        series_instance_uid="1.2.8.1",
        sop_instance_uid="1.2.8.1.1",
        rows=1024,
        columns=1024,
    )
    assert len(file) > LARGE
    client.call("storeInstances", datasets=[text(file)])
    names = {"studyInstanceUID": "1.2.8", "seriesInstanceUID": "1.2.8.1"}
    for method in ("retrieveStudy", "retrieveSeries"):
        answer = client.watch(method, **names, request={})
        assert one(answer["value"]) == file
        assert answer["seen"]["progress"] > 0


def test_credentials_of_a_browser_and_own_headers(client: Client) -> None:
    for options in ({"headers": {"Authorization": "Basic YTpi"}}, {}):
        answer = client.configured(**options).watch(
            "searchForStudies", request={"withCredentials": True}
        )
        assert len(answer["value"]) >= 1
        assert answer["seen"]["hooks"][0].endswith("/studies")


def test_what_is_not_there_is_told_with_its_status(client: Client) -> None:
    answer = client.watch("retrieveStudyMetadata", studyInstanceUID="1.2.3.4.5")
    assert answer["seen"]["errors"] == [404]


def test_addresses_of_the_uri_service(client: Client) -> None:
    for more in ({}, {"contentType": "image/jpeg"}, {"transferSyntax": samples.EXPLICIT}):
        url = client.call("buildInstanceWadoURIUrl", **client.uids, **more)
        with urlopen(url, timeout=60) as answer:
            body = answer.read()
        if "contentType" in more:
            assert body[:3] == b"\xff\xd8\xff"
        else:
            assert body == FILE.read_bytes()
