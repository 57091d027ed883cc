"""What viewers send to open what they found, request by request over HTTP, and what each answer must be."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pydicom
import pytest
from PIL import Image
from pydicom.pixels.utils import pixel_array

from tests import reports, samples
from tests.dicomweb.viewer_site import CHROME, ORIGIN, PUBLIC, Answer, ViewerSite, viewer_site
from tests.interop.programs import sample

pytestmark = pytest.mark.slow

A, B, C = "1.2.826.1", "1.2.826.2", "1.2.826.3"
INSTANCE = f"/studies/{A}/series/{A}.1/instances/{A}.1.1"
ECG = f"/studies/{B}/series/{B}.1/instances/{B}.1.1"
SHOWN = f"/studies/{C}/series/{C}.1"
JPEG_FRAMES = [[b"\xff\xd8" + bytes([n]) * 30 + b"\xff\xd9"] for n in (1, 2, 3)]
WAVEFORM = b"\x01\x02" * 2000
PDF = b"%PDF-1.4 %%EOF\n\n"
FILM = b"film" * 64
JSON = "application/dicom+json"
ANY_FRAME = "multipart/related; type=application/octet-stream; transfer-syntax=*"
SLIDE = (
    "image/jls, image/jp2; transfer-syntax=1.2.840.10008.1.2.4.90, image/jpx, "
    "application/octet-stream; transfer-syntax=*, image/jpeg"
)
IMG_TAG = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
OCTETS = "application/octet-stream"
UNUSUAL = ("MR_small_bigendian.dcm", "image_dfl.dcm", "rtdose_rle_1frame.dcm")


def uids(study: str, number: int = 1) -> dict[str, Any]:
    return {
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.1",
        "SOPInstanceUID": f"{study}.1.{number}",
    }


@pytest.fixture(scope="module")
def site(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewerSite]:
    waveform: dict[Any, Any] = {
        "WaveformBitsAllocated": 16,
        "WaveformData": samples.Typed("OW", WAVEFORM),
    }
    film: dict[str, Any] = {
        "SOPClassUID": reports.VIDEO,
        "transfer_syntax_uid": samples.MPEG4,
        "table": b"",
    }
    with viewer_site(database_url, tmp_path_factory.mktemp("viewers")) as running:
        running.keep(
            samples.encapsulated(JPEG_FRAMES, Modality="CT", **uids(A)),
            samples.small(Modality="ECG", WaveformSequence=[waveform], **uids(B)),
            samples.ct_at(C, f"{C}.1", f"{C}.1.1", rows=300, columns=300),
            reports.document(PDF, **uids(C, 2)),
            samples.encapsulated([[FILM]], **film, **uids(C, 3)),
            *(sample(name).read_bytes() for name in UNUSUAL),
        )
        yield running


@pytest.mark.parametrize("level", ["series", "study", "instance"])
@pytest.mark.parametrize(
    "accept",
    [
        JSON,
        f"{JSON}, {ANY_FRAME}",
        f"{JSON}, application/json",
        f'{JSON}, multipart/related; type="application/octet-stream"; transfer-syntax=*',
    ],
)
def test_metadata(site: ViewerSite, accept: str, level: str) -> None:
    path = {"study": f"/studies/{A}", "series": f"/studies/{A}/series/{A}.1", "instance": INSTANCE}
    url = f"{path[level]}/metadata"
    coded = {"Accept": accept, "Accept_Encoding": "gzip, deflate, br", **CHROME}
    answer = site.ask(url, **coded)
    assert answer.kind == JSON
    body = answer.body
    if answer.headers.get("content-encoding"):
        assert answer.headers["content-encoding"] == "gzip"
        body = gzip.decompress(body)
    (dataset,) = orjson.loads(body)
    assert dataset["00080018"]["Value"] == [f"{A}.1.1"]
    again = site.ask(url, **coded, If_None_Match=answer.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_metadata_of_a_series_are_compressed(site: ViewerSite) -> None:
    url = f"/studies/{C}/series/{C}.1/metadata"
    answer = site.ask(url, Accept=JSON, Accept_Encoding="gzip, deflate, br, zstd", **CHROME)
    assert answer.headers["content-encoding"] in {"gzip", "zstd"}
    assert "accept-encoding" in answer.headers["vary"].lower()
    plain = site.ask(url, Accept=JSON, **CHROME)
    assert "content-encoding" not in plain.headers
    assert len(plain.body) > 2 * len(answer.body)


def test_frames_as_they_are_stored(site: ViewerSite) -> None:
    for number in (1, 2, 3):
        answer = site.ask(f"{INSTANCE}/frames/{number}", Accept=ANY_FRAME, **CHROME)
        (part,) = answer.parts()
        assert part.data == JPEG_FRAMES[number - 1][0]
        assert f"transfer-syntax={samples.JPEG_BASELINE}" in part.headers["content-type"]
        tag = answer.headers["etag"]
        again = site.ask(f"{INSTANCE}/frames/{number}", Accept=ANY_FRAME, If_None_Match=tag)
        assert again.status == 304


@pytest.mark.parametrize("name", UNUSUAL)
def test_frames_that_no_viewer_could_read(site: ViewerSite, name: str) -> None:
    """Big endian, deflated and RLE of 32 bits go out in explicit little endian."""
    file = pydicom.dcmread(sample(name))
    url = (
        f"/studies/{file.StudyInstanceUID}/series/{file.SeriesInstanceUID}"
        f"/instances/{file.SOPInstanceUID}/frames/1"
    )
    (part,) = site.ask(url, Accept=ANY_FRAME, **CHROME).parts()
    assert f"transfer-syntax={samples.EXPLICIT}" in part.headers["content-type"]
    expected = pixel_array(file, index=0, raw=True)
    found = np.frombuffer(part.data, expected.dtype.newbyteorder("<"), expected.size)
    assert (found == expected.ravel()).all()


def test_frames_for_a_slide_viewer(site: ViewerSite) -> None:
    answer = site.ask(f"{INSTANCE}/frames/1", Accept=SLIDE, **CHROME)
    assert answer.body == JPEG_FRAMES[0][0]
    kinds = ("image/jls", "image/jp2", OCTETS, "image/jpeg")
    as_parts = ", ".join(f'multipart/related; type="{kind}"; transfer-syntax=*' for kind in kinds)
    (part,) = site.ask(f"{INSTANCE}/frames/1", Accept=as_parts, **CHROME).parts()
    assert part.data == JPEG_FRAMES[0][0]


def test_an_instance_as_parts(site: ViewerSite) -> None:
    accept = 'multipart/related; type="application/dicom"'
    (part,) = site.ask(f"{SHOWN}/instances/{C}.1.1", Accept=accept, **CHROME).parts()
    assert part.data[128:132] == b"DICM"
    (part,) = site.ask(INSTANCE, Accept=f"{accept}; transfer-syntax=*", **CHROME).parts()
    assert f"transfer-syntax={samples.JPEG_BASELINE}" in part.headers["content-type"]


def test_a_pdf_in_a_browser(site: ViewerSite) -> None:
    path = f"{SHOWN}/instances/{C}.1.2/rendered"
    for accept in (PAGE, "*/*", "text/html, image/gif, */*; q=.2", "application/pdf"):
        answer = site.ask(path, Accept=accept)
        assert (answer.kind, answer.body) == ("application/pdf", PDF)
        assert answer.headers["content-disposition"].startswith("inline")


LEVELS = (f"/studies/{C}", SHOWN, f"{SHOWN}/instances/{C}.1.1")


@pytest.mark.parametrize("level", LEVELS, ids=["study", "series", "instance"])
@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        ("/thumbnail?accept=image%2Fjpeg", "*/*", "image/jpeg"),
        ("/thumbnail?accept=image%2Fjpeg", "image/png", "image/jpeg"),
        ("/thumbnail?accept=image/png", IMG_TAG, "image/png"),
        ("/thumbnail?viewport=256%2C256", "*/*", "image/jpeg"),
        ("/thumbnail?viewport=64,64&accept=image%2Fpng", "*/*", "image/png"),
        ("/thumbnail", IMG_TAG, "image/jpeg"),
        ("/rendered?accept=image%2Fjpeg", "*/*", "image/jpeg"),
        ("/rendered?accept=image%2Fjpeg&viewport=64%2C64", "*/*", "image/jpeg"),
        ("/rendered", IMG_TAG, "image/jpeg"),
        ("/rendered", "image/png", "image/png"),
    ],
)
def test_pictures(site: ViewerSite, level: str, path: str, accept: str, kind: str) -> None:
    answer = site.ask(level + path, Accept=accept, **CHROME)
    assert (answer.status, answer.kind) == (200, kind)
    picture = Image.open(io.BytesIO(answer.body))
    most = 64 if "64" in path else 256 if "thumbnail" in path else 300
    assert max(picture.size) == most
    assert np.asarray(picture).std() > 1


def test_a_video_in_a_browser(site: ViewerSite) -> None:
    path = f"{SHOWN}/instances/{C}.1.3/rendered"
    for accept in ("*/*", "video/mp4", PAGE):
        answer = site.ask(path, Range="bytes=0-", Accept=accept, Accept_Encoding="identity;q=1")
        assert (answer.status, answer.kind) == (206, "video/mp4")
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["content-range"] == f"bytes 0-{len(FILM) - 1}/{len(FILM)}"
        assert answer.body == FILM
    part = site.ask(path, Range="bytes=100-109", Accept="*/*")
    assert (part.status, part.body) == (206, FILM[100:110])
    assert site.ask(path, Range="bytes=9999-", Accept="*/*").status == 416


def waveform_uri(site: ViewerSite) -> str:
    (dataset,) = site.ask(f"{ECG}/metadata", Accept=JSON, **CHROME).json()
    (item,) = dataset["54000100"]["Value"]
    uri = item["54001010"]["BulkDataURI"]
    assert uri.startswith(f"{PUBLIC}{ECG}/bulkdata/")
    return str(uri)


@pytest.mark.parametrize("accept", [OCTETS, "*/*", "", "text/html, image/gif, */*; q=.2"])
def test_the_waveform_of_an_ecg(site: ViewerSite, accept: str) -> None:
    answer = site.ask(waveform_uri(site), Accept=accept, **CHROME)
    assert (answer.kind, answer.body) == (OCTETS, WAVEFORM)


@pytest.mark.parametrize(
    "accept", [f"multipart/related; type={OCTETS}", f'multipart/related; type="{OCTETS}"']
)
def test_the_waveform_in_a_part(site: ViewerSite, accept: str) -> None:
    (part,) = site.ask(waveform_uri(site), Accept=accept, **CHROME).parts()
    assert (part.headers["content-type"], part.data) == (OCTETS, WAVEFORM)


def test_bulk_data_by_range(site: ViewerSite) -> None:
    answer = site.ask(waveform_uri(site), Accept="*/*", Range="bytes=10-19", **CHROME)
    assert (answer.status, answer.body) == (206, WAVEFORM[10:20])
    assert answer.headers["content-range"] == f"bytes 10-19/{len(WAVEFORM)}"


@pytest.mark.parametrize("head", ["Content-Type: application/dicom\r\n", ""])
@pytest.mark.parametrize("study", ["", "/1.2.826.9"])
def test_storing(site: ViewerSite, head: str, study: str) -> None:
    file = samples.small(**uids("1.2.826.9", 7))
    boundary = "7d5a1c0e-49bd-4f11-a9b6-d2c0e1c9ad3f"
    body = f"\r\n--{boundary}\r\n{head}\r\n".encode() + file + f"\r\n--{boundary}--".encode()
    answer = site.ask(
        f"/studies{study}",
        "POST",
        body,
        Content_Type=f'multipart/related; type="application/dicom"; boundary="{boundary}"',
        **CHROME,
    )
    assert answer.status in {200, 202}, answer.body
    (item,) = answer.json()["00081199"]["Value"]
    assert item["00081190"]["Value"][0].startswith(f"{PUBLIC}/studies/1.2.826.9/")


def preflight(site: ViewerSite, path: str, headers: str, method: str = "GET") -> Answer:
    return site.ask(
        path,
        "OPTIONS",
        Origin=ORIGIN,
        Access_Control_Request_Method=method,
        Access_Control_Request_Headers=headers,
        Sec_Fetch_Mode="cors",
    )


@pytest.fixture(scope="module")
def guarded(
    database_url: str, tmp_path_factory: pytest.TempPathFactory, site: ViewerSite
) -> Iterator[ViewerSite]:
    """A gateway that wants credentials."""
    users = {"VNA__WEB__USERS__ann": "scrypt:32768:8:1$a$b"}
    with viewer_site(database_url, tmp_path_factory.mktemp("guarded"), users) as running:
        yield running


@pytest.mark.parametrize(
    "path",
    [
        "/studies",
        f"{INSTANCE}/frames/1",
        f"{INSTANCE}/bulkdata/7FE00010",
        f"/studies/{A}/metadata",
        f"/studies/{A}/thumbnail",
        "/studies/not-there",
    ],
)
def test_a_preflight_for_each_url(guarded: ViewerSite, path: str) -> None:
    wanted = ("accept", "authorization", "content-type", "range", "if-none-match")
    answer = preflight(guarded, path, ",".join(wanted))
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert int(answer.headers["access-control-max-age"]) >= 600
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert set(wanted) <= {name.strip() for name in allowed.split(",")}
    refused = guarded.ask(path, Accept="*/*", **CHROME)
    assert refused.status == 401
    assert refused.headers["access-control-allow-origin"] == ORIGIN


def test_a_preflight_of_a_store_and_of_a_deletion(guarded: ViewerSite) -> None:
    for path, method in (("/studies", "POST"), (f"/studies/{A}", "DELETE")):
        answer = preflight(guarded, path, "content-type", method)
        assert method in answer.headers["access-control-allow-methods"]


def test_the_uri_service_at_the_root_wants_credentials_too(guarded: ViewerSite) -> None:
    names = f"studyUID={A}&seriesUID={A}.1&objectUID={A}.1.1"
    for target in ("", "/", "/wado"):
        assert guarded.ask(f"{target}?requestType=WADO&{names}", Accept="*/*").status == 401


def test_what_a_page_may_read(site: ViewerSite) -> None:
    answer = site.ask(f"/studies/{A}/metadata", Accept=JSON, **CHROME)
    exposed = {
        n.strip() for n in answer.headers["access-control-expose-headers"].lower().split(",")
    }
    assert {"etag", "content-location", "content-range"} <= exposed
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "origin" in answer.headers["vary"].lower()


def test_a_stranger_page_reads_nothing(site: ViewerSite) -> None:
    answer = site.ask("/studies", Accept=JSON, Origin="https://evil.example")
    assert "access-control-allow-origin" not in answer.headers


def test_there_are_the_files_that_this_needs() -> None:
    assert all(Path(sample(name)).exists() for name in UNUSUAL)
