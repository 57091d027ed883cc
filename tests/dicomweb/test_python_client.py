"""Every call of Python's dicomweb-client, with its options, over HTTP."""

from __future__ import annotations

import inspect
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from requests.exceptions import HTTPError

from tests import reports, samples
from tests.dicomweb.viewer_site import ViewerSite, viewer_site
from tests.interop.programs import sample

pytestmark = pytest.mark.slow

COMPRESSED = sample("MR_small_jp2klossless.dcm")
RLE = sample("SC_rgb_rle_2frame.dcm")
JPEG = sample("SC_rgb_jpeg_dcmtk.dcm")
STUDY = "1.2.7"
PATH = (STUDY, f"{STUDY}.1", f"{STUDY}.1.1")
FRAMES, SIDE, COUNT = 3, 16, 30
PDF = b"%PDF-1.4\n%%EOF\n\n"
FILM = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 8


def uids(series: int, instance: int = 1) -> dict[str, Any]:
    return {
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.{series}",
        "SOPInstanceUID": f"{STUDY}.{series}.{instance}",
    }


def path_of(file: Path) -> tuple[str, str, str]:
    header = dcmread(file, stop_before_pixels=True)
    found = (header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID)
    return str(found[0]), str(found[1]), str(found[2])


@pytest.fixture(scope="module")
def site(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewerSite]:
    film: dict[str, Any] = {
        "SOPClassUID": reports.VIDEO,
        "transfer_syntax_uid": samples.MPEG4,
        "table": b"",
    }
    variables = {"VNA__WEB__PUBLIC_URL": "", "VNA__WEB__MAX_RESULTS": "10"}
    with viewer_site(database_url, tmp_path_factory.mktemp("client"), variables) as running:
        running.keep(
            COMPRESSED.read_bytes(),
            RLE.read_bytes(),
            JPEG.read_bytes(),
            samples.multiframe(FRAMES, rows=SIDE, columns=SIDE, Modality="US", **uids(1)),
            reports.document(PDF, **uids(2)),
            reports.report(reports.item("TEXT", "Finding", TextValue="nothing"), **uids(3)),
            samples.encapsulated([[FILM]], **film, **uids(4)),
            *(samples.small(Modality="XA", **uids(5, number)) for number in range(1, COUNT + 1)),
        )
        yield running


@pytest.fixture(scope="module")
def client(site: ViewerSite) -> DICOMwebClient:
    return DICOMwebClient(site.server.url)


def test_every_call_is_made_here() -> None:
    calls = {name for name, _ in inspect.getmembers(DICOMwebClient, inspect.isfunction)}
    wanted = {
        name for name in calls if name.startswith(("search", "retrieve", "iter", "store", "delete"))
    }
    assert len(wanted) > 20
    text = Path(__file__).read_text()
    assert [name for name in sorted(wanted) if f".{name}(" not in text] == []


# --- search ---


def values(found: list[dict[str, Any]], tag: str) -> list[Any]:
    return [match[tag]["Value"][0] for match in found]


def test_searching_studies(client: DICOMwebClient) -> None:
    filters = {"PatientName": "*comp*"}
    assert values(client.search_for_studies(search_filters=filters), "00100020") == ["4MR1"]
    fuzzy = {"PatientName": "compressed samples"}
    found = client.search_for_studies(fuzzymatching=True, search_filters=fuzzy)
    assert values(found, "00100020") == ["4MR1"]
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []
    fields = ["StudyDescription", "00100030"]
    (study,) = client.search_for_studies(fields=fields, search_filters=filters)
    assert {"00081030", "00100030"} <= set(study)
    assert len(client.search_for_studies(limit=1, offset=1)) == 1
    extra = {"includefield": "PatientAge"}
    assert "00101010" in client.search_for_studies(additional_params=extra, limit=1)[0]


def test_searching_series_and_instances(client: DICOMwebClient) -> None:
    assert len(client.search_for_series(STUDY)) == 5
    assert values(
        client.search_for_series(STUDY, search_filters={"Modality": "US"}), "0020000E"
    ) == [PATH[1]]
    assert len(client.search_for_series(STUDY, limit=2, offset=4)) == 1
    assert len(client.search_for_series(search_filters={"Modality": "XA"})) == 1
    assert len(client.search_for_instances(STUDY)) == COUNT + 4
    assert len(client.search_for_instances(STUDY, f"{STUDY}.5")) == COUNT
    assert values(client.search_for_instances(*PATH[:2]), "00080018") == [PATH[2]]
    found = client.search_for_instances(fields=["NumberOfFrames"], search_filters={"Rows": SIDE})
    assert values(found, "00280008") == [FRAMES]


@pytest.mark.parametrize("limit", [None, 4, 20])
def test_getting_all_that_remains(client: DICOMwebClient, limit: int | None) -> None:
    """Page after page, whose length is the archive's own where the client wants more."""
    filters = {"Modality": "XA"}
    found = client.search_for_instances(limit=limit, search_filters=filters, get_remaining=True)
    assert len(set(values(found, "00080018"))) == len(found) == COUNT
    within = client.search_for_instances(STUDY, limit=limit, get_remaining=True)
    assert len(set(values(within, "00080018"))) == len(within) == COUNT + 4
    assert len(client.search_for_series(STUDY, limit=limit, get_remaining=True)) == 5
    assert len(client.search_for_studies(limit=limit, get_remaining=True)) == 3


# --- retrieve ---


def test_retrieving_instances(client: DICOMwebClient) -> None:
    stored = dcmread(COMPRESSED)
    path = path_of(COMPRESSED)
    for found in (
        client.retrieve_instance(*path),
        client.retrieve_study(path[0])[0],
        client.retrieve_series(*path[:2])[0],
        next(iter(client.iter_study(path[0]))),
        next(iter(client.iter_series(*path[:2]))),
    ):
        assert found.PixelData == stored.PixelData
        assert found.file_meta.TransferSyntaxUID == samples.JPEG_2000
    wanted = (("application/dicom", samples.EXPLICIT),)
    for found in (
        client.retrieve_instance(*path, media_types=wanted),
        client.retrieve_study(path[0], media_types=wanted)[0],
        client.retrieve_series(*path[:2], media_types=wanted)[0],
        next(iter(client.iter_study(path[0], media_types=wanted))),
        next(iter(client.iter_series(*path[:2], media_types=wanted))),
    ):
        assert found.file_meta.TransferSyntaxUID == samples.EXPLICIT
        assert (found.pixel_array == stored.pixel_array).all()
    assert client.retrieve_instance(*path, media_types=(("application/dicom", "*"),)) == stored


def test_retrieving_metadata(client: DICOMwebClient) -> None:
    assert len(client.retrieve_study_metadata(STUDY)) == COUNT + 4
    assert len(client.retrieve_series_metadata(STUDY, f"{STUDY}.5")) == COUNT
    found = client.retrieve_instance_metadata(*PATH)
    (metadata,) = found if isinstance(found, list) else [found]
    assert Dataset.from_json(metadata, lambda *_: b"").Rows == SIDE


def test_bulk_data(client: DICOMwebClient) -> None:
    found = client.retrieve_instance_metadata(*PATH)
    (metadata,) = found if isinstance(found, list) else [found]
    uri = metadata["7FE00010"]["BulkDataURI"]
    expected = b"".join(bytes([n]) * SIDE * SIDE for n in range(1, FRAMES + 1))
    octets = ("application/octet-stream",)
    for options in ({}, {"media_types": octets}, {"byte_range": (0, 9)}):
        assert client.retrieve_bulkdata(uri, **options) == [expected]
        assert list(client.iter_bulkdata(uri, **options)) == [expected]
    video = f"{client.base_url}/studies/{STUDY}/series/{STUDY}.4/instances/{STUDY}.4.1/bulkdata/7FE00010"
    assert client.retrieve_bulkdata(video, media_types=("video/mp4",)) == [FILM]
    assert list(client.iter_bulkdata(video)) == [FILM]


@pytest.mark.parametrize(
    ("kind", "syntax"),
    [
        ("image/jls", samples.JPEG_LS),
        ("image/x-jls", samples.JPEG_LS),
        ("image/jp2", samples.JPEG_2000),
        ("image/dicom-rle", samples.RLE),
        ("image/x-dicom-rle", samples.RLE),
        ("application/octet-stream", samples.EXPLICIT),
    ],
)
def test_frames_of_a_wanted_kind(client: DICOMwebClient, kind: str, syntax: str) -> None:
    stored = dcmread(COMPRESSED)
    wanted = ((kind, syntax),)
    (frame,) = client.retrieve_instance_frames(*path_of(COMPRESSED), [1], media_types=wanted)
    assert list(client.iter_instance_frames(*path_of(COMPRESSED), [1], media_types=wanted)) == [
        frame
    ]
    if syntax == samples.EXPLICIT:
        assert frame == stored.pixel_array.astype("<i2").tobytes()
        return
    description = {
        name: stored[name].value
        for name in (
            *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated"),
            *("BitsStored", "HighBit", "PixelRepresentation"),
        )
    }
    made = samples.encapsulated([[frame]], transfer_syntax_uid=syntax, **description)
    assert (dcmread(io.BytesIO(made)).pixel_array == stored.pixel_array).all()


def test_frames_as_stored(client: DICOMwebClient) -> None:
    expected = list(generate_frames(dcmread(RLE).PixelData, number_of_frames=2))
    mixed = (
        "image/jpeg",
        ("image/jp2", samples.JPEG_2000),
        "image/dicom-rle",
        "application/octet-stream",
    )
    for media_types in (None, (("image/*", "*"),), mixed):
        found = client.retrieve_instance_frames(*path_of(RLE), [2, 1], media_types=media_types)
        assert found == [expected[1], expected[0]]
        streamed = client.iter_instance_frames(*path_of(RLE), [1, 2], media_types=media_types)
        assert list(streamed) == expected


def test_a_lossy_frame_as_it_is(client: DICOMwebClient) -> None:
    stored = dcmread(JPEG)
    (expected,) = generate_frames(stored.PixelData, number_of_frames=1)
    for media_types in (None, ("image/jpeg",), (("image/jpeg", samples.JPEG_BASELINE),)):
        assert client.retrieve_instance_frames(*path_of(JPEG), [1], media_types=media_types) == [
            expected
        ]
    with pytest.raises(HTTPError, match="406"):
        wanted = (("image/jpeg", samples.JPEG_LOSSLESS),)
        client.retrieve_instance_frames(*path_of(COMPRESSED), [1], media_types=wanted)


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "image/gif"])
def test_pictures(client: DICOMwebClient, kind: str) -> None:
    options: dict[str, Any] = {"media_types": (kind,), "params": {"viewport": "8,8"}}
    for body in (
        client.retrieve_instance_rendered(*PATH, **options),
        client.retrieve_series_rendered(*PATH[:2], **options),
        client.retrieve_instance_frames_rendered(*PATH, [2], **options),
    ):
        picture = Image.open(io.BytesIO(body))
        assert (picture.format, picture.size) == (kind.partition("/")[2].upper(), (8, 8))


def test_pictures_with_parameters(client: DICOMwebClient) -> None:
    params: dict[str, Any] = {"window": "2,1,linear", "quality": 50, "iccprofile": "no"}
    shown = client.retrieve_instance_frames_rendered(*PATH, [3], ("image/png",), params)
    assert np.asarray(Image.open(io.BytesIO(shown))).min() == 255
    assert client.retrieve_instance_rendered(*PATH)[:3] == b"\xff\xd8\xff"
    either = ("image/gif", "image/png")  # of which the library tells the archive nothing
    assert client.retrieve_instance_rendered(*PATH, either)[:3] == b"\xff\xd8\xff"
    assert client.retrieve_instance_frames_rendered(*PATH, [1, 2])
    assert client.retrieve_series_rendered(*PATH[:2])


def test_films_documents_and_reports(client: DICOMwebClient) -> None:
    film, video = ("video/mp4",), (STUDY, f"{STUDY}.4", f"{STUDY}.4.1")
    assert client.retrieve_instance_rendered(*PATH, film)[4:8] == b"ftyp"
    assert client.retrieve_instance_frames_rendered(*PATH, [1, 2], film)[4:8] == b"ftyp"
    assert client.retrieve_instance_rendered(*video, film) == FILM
    assert client.retrieve_series_rendered(*video[:2], film) == FILM
    document = (STUDY, f"{STUDY}.2", f"{STUDY}.2.1")
    assert client.retrieve_instance_rendered(*document, ("application/pdf",)) == PDF
    assert client.retrieve_series_rendered(*document[:2], ("application/pdf",)) == PDF
    report = (STUDY, f"{STUDY}.3", f"{STUDY}.3.1")
    for kind in ("text/html", "text/plain"):
        assert "nothing" in str(client.retrieve_instance_rendered(*report, (kind,)))
        assert "nothing" in str(client.retrieve_series_rendered(*report[:2], (kind,)))


def test_what_cannot_be_shown_is_refused(client: DICOMwebClient) -> None:
    with pytest.raises(HTTPError, match="406"):
        client.retrieve_instance_rendered(*PATH, ("image/jp2",))
    with pytest.raises(HTTPError, match="404"):
        client.retrieve_instance_frames(*PATH, [FRAMES + 1])
    with pytest.raises(HTTPError, match="404"):
        client.retrieve_study("1.2.3.4")


# --- store and delete ---


@pytest.mark.parametrize("chunk", [10**6, 1000])
def test_storing_and_deleting(site: ViewerSite, chunk: int) -> None:
    """More than a chunk goes in the chunked transfer coding, without a length."""
    client = DICOMwebClient(site.server.url, chunk_size=chunk)
    study = f"1.2.90.{chunk}"
    files = [
        dcmread(
            io.BytesIO(
                samples.ct_at(study, f"{study}.{series}", f"{study}.{series}.{number}", rows=512)
            )
        )
        for series, number in ((1, 1), (1, 2), (2, 1), (3, 1))
    ]
    answer = client.store_instances(files[:3])
    assert len(answer.ReferencedSOPSequence) == 3
    assert "FailedSOPSequence" not in answer
    answer = client.store_instances(files[3:], study_instance_uid=study)
    assert answer.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == f"{study}.3.1"
    assert sorted(f.SOPInstanceUID for f in client.iter_study(study)) == sorted(
        f.SOPInstanceUID for f in files
    )
    client.delete_instance(study, f"{study}.1", f"{study}.1.1")
    assert len(client.search_for_instances(study)) == 3
    client.delete_series(study, f"{study}.2")
    assert len(client.search_for_instances(study)) == 2
    client.delete_study(study)
    assert client.search_for_instances(study) == []
    with pytest.raises(HTTPError, match=r"404|410"):
        client.delete_study(study)


def test_storing_to_another_study_is_refused(client: DICOMwebClient) -> None:
    other = dcmread(io.BytesIO(samples.small(**uids(9))))
    with pytest.raises(HTTPError, match="409"):
        client.store_instances([other], study_instance_uid="1.2.91")


RETRIEVE = (
    *("retrieve", "instances", "--study", PATH[0], "--series", PATH[1]),
    *("--instance", PATH[2]),
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("search", "studies", "--filter", "PatientName=Comp*"), "4MR1"),
        (("search", "instances", "--study", STUDY, "--series", PATH[1]), PATH[2]),
        ((*RETRIEVE, "metadata"), PATH[2]),
    ],
)
def test_the_command_line(site: ViewerSite, words: tuple[str, ...], expected: str) -> None:
    program = Path(sys.executable).with_name("dicomweb_client")
    command = [str(program), "--url", site.server.url, *words]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert expected in orjson.dumps(orjson.loads(done.stdout)).decode()
