"""What libraries, gateways and other viewers send, request by request over HTTP, and what each answer must be."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from tests import samples
from tests.dicomweb.viewer_site import PUBLIC, ViewerSite, viewer_site

pytestmark = pytest.mark.slow

A, LARGE = "1.2.826.1", "1.2.826.5"
SERIES = f"/studies/{A}/series/{A}.1"
INSTANCE = f"{SERIES}/instances/{A}.1.1"
JSON = "application/dicom+json"
ANYTHING = 'multipart/related; type="*/*"'
ADAPTER = "application/dicom; transfer-syntax=*"
BROWSER = "text/html, image/gif, */*; q=.2"
MOST, MANY = 10, 600
"""Matches that an answer may hold at most, and the instances of a large series."""


def instance(study: str, number: int, **overrides: Any) -> bytes:
    return samples.ct_at(
        study,
        f"{study}.1",
        f"{study}.1.{number}",
        rows=overrides.pop("rows", 8),
        columns=8,
        **overrides,
    )


@pytest.fixture(scope="module")
def site(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewerSite]:
    variables = {"VNA__WEB__MAX_RESULTS": str(MOST)}
    folder = tmp_path_factory.mktemp("viewers")
    with viewer_site(database_url, folder, variables) as running:
        running.keep(*(instance(A, number) for number in (1, 2, 3)))
        running.keep(*(instance(LARGE, number) for number in range(1, MANY + 1)))
        yield running


def uids(site: ViewerSite, path: str, tag: str, accept: str = JSON) -> list[str]:
    return [match[tag]["Value"][0] for match in site.ask(path, Accept=accept).json()]


class TestPythonDicomwebClient:
    """What the library from PyPI sends."""

    accept = "application/dicom+json, application/json"

    def test_frames(self, site: ViewerSite) -> None:
        (part,) = site.ask(f"{INSTANCE}/frames/1", Accept=ANYTHING).parts()
        assert part.data == samples._ct_pixels(128)
        assert f"transfer-syntax={samples.EXPLICIT}" in part.headers["content-type"]

    def test_bulk_data(self, site: ViewerSite) -> None:
        (dataset,) = site.ask(f"{INSTANCE}/metadata", Accept=self.accept).json()
        uri = dataset["7FE00010"]["BulkDataURI"]
        assert uri.startswith(PUBLIC)
        (part,) = site.ask(uri, Accept=ANYTHING).parts()
        assert part.data == samples._ct_pixels(128)

    def test_a_range_of_bulk_data(self, site: ViewerSite) -> None:
        """Parts have no ranges: what it gets is whole, and says so."""
        answer = site.ask(f"{INSTANCE}/bulkdata/7FE00010", Accept=ANYTHING, Range="bytes=0-9")
        assert answer.status == 200
        assert answer.parts()[0].data == samples._ct_pixels(128)

    def test_repeated_includefield(self, site: ViewerSite) -> None:
        query = f"StudyInstanceUID={A}&includefield=StudyDescription&includefield=00100030"
        (study,) = site.ask(f"/studies?{query}", Accept=self.accept).json()
        assert {"00081030", "00100030"} <= set(study)

    def test_pages_by_offset_alone(self, site: ViewerSite) -> None:
        for path, expected in ((f"/studies/{LARGE}/instances", MANY), ("/instances", MANY + 3)):
            found: list[str] = []
            while page := uids(site, f"{path}?offset={len(found)}", "00080018", self.accept):
                found += page
            assert len(found) == len(set(found)) == expected

    def test_a_study_by_parts(self, site: ViewerSite) -> None:
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        parts = site.ask(f"/studies/{A}", Accept=accept).parts()
        assert {part.data for part in parts} == {instance(A, number) for number in (1, 2, 3)}


class TestGoogleAdapter:
    """What a DICOM adapter of a cloud service sends."""

    def test_an_instance_as_a_single_part(self, site: ViewerSite) -> None:
        answer = site.ask(INSTANCE, Accept=ADAPTER)
        assert (answer.kind, answer.body) == ("application/dicom", instance(A, 1))
        assert f"transfer-syntax={samples.EXPLICIT}" in answer.headers["content-type"]

    @pytest.mark.parametrize(
        "path", [f"/studies/{LARGE}/instances", f"/studies/{LARGE}/series/{LARGE}.1/instances"]
    )
    def test_more_instances_than_a_page_has(self, site: ViewerSite, path: str) -> None:
        """It asks once and takes what comes for all there is."""
        found = uids(site, f"{path}?limit=50000", "00080018")
        assert len(found) == len(set(found)) == MANY
        assert uids(site, f"{path}?limit=50000&offset=590", "00080018") == found[590:]
        assert uids(site, f"{path}?limit=550&offset=20", "00080018") == found[20:570]

    def test_more_studies_than_a_page_has(self, site: ViewerSite) -> None:
        answer = site.ask("/instances?limit=50000", Accept=JSON)
        assert len(answer.json()) == MOST
        assert answer.headers["warning"].startswith("299 ")
        assert 'rel="next"' in answer.headers["link"]

    def test_nothing_found(self, site: ViewerSite) -> None:
        answer = site.ask("/studies?PatientID=nobody&limit=50000", Accept=JSON)
        assert (answer.status, answer.body) in {(200, b"[]"), (204, b"")}


class TestWeasis:
    """What a desktop viewer sends: it follows what searches give."""

    def test_from_the_patient_to_the_files(self, site: ViewerSite) -> None:
        query = "PatientID=PID-0001&includefield=00201206,00201208,00081190&limit=5"
        studies = site.ask(f"/studies?{query}", Accept=JSON).json()
        study = next(study for study in studies if study["0020000D"]["Value"] == [A])
        root = study["00081190"]["Value"][0]
        assert root == f"{PUBLIC}/studies/{A}"
        for series in site.ask(f"{root}/series?includefield=0008103E", Accept=JSON).json():
            url = series["00081190"]["Value"][0]
            files = site.ask(url, Accept='multipart/related; type="application/dicom"').parts()
            assert len(files) == series["00201209"]["Value"][0] == 3
            for found in site.ask(f"{url}/instances", Accept=JSON).json():
                file = site.ask(found["00081190"]["Value"][0], Accept="application/dicom")
                assert file.body[128:132] == b"DICM"

    def test_a_retrieve_url_without_any_wish(self, site: ViewerSite) -> None:
        for path in (f"/studies/{A}", SERIES):
            assert len(site.ask(PUBLIC + path).parts()) == 3

    def test_a_thumbnail_or_what_stands_for_it(self, site: ViewerSite) -> None:
        """404, 405 and 501 would send it to the rendered picture instead."""
        for path in (f"{SERIES}/thumbnail?viewport=256,256", f"{INSTANCE}/rendered"):
            answer = site.ask(path, Accept="image/jpeg")
            assert (answer.status, answer.kind) == (200, "image/jpeg")
            assert Image.open(io.BytesIO(answer.body)).format == "JPEG"
        assert site.ask(f"{SERIES}9/thumbnail", Accept="image/jpeg").status == 404

    def test_the_uri_service(self, site: ViewerSite) -> None:
        names = f"studyUID={A}&seriesUID={A}.1&objectUID={A}.1.1"
        query = f"requestType=WADO&{names}&contentType=application%2Fdicom&transferSyntax=*"
        answer = site.ask(f"/wado?{query}", Accept="*/*")
        assert answer.body == instance(A, 1)


class TestJavaScriptDicomwebClient:
    """What the library from npm counts on; a browser with it is among the tests of interoperability."""

    def test_a_store_that_went_well_in_part(self, site: ViewerSite) -> None:
        """202 is a success to it."""
        other = "1.2.826.77"
        body = b"".join(
            b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\n" + file
            for file in (instance(other, 1), b"nothing")
        )
        kind = 'multipart/related; type="application/dicom"; boundary="b"'
        answer = site.ask("/studies", "POST", body + b"\r\n--b--", Content_Type=kind, Accept="*/*")
        assert answer.status == 202

    def test_a_range_as_a_single_part(self, site: ViewerSite) -> None:
        answer = site.ask(f"{INSTANCE}/bulkdata/7FE00010", Accept="*/*", Range="bytes=0-")
        assert answer.status == 206
        assert answer.body == samples._ct_pixels(128)

    @pytest.mark.parametrize("path", ["", "/"])
    def test_the_uri_service_at_the_root(self, site: ViewerSite, path: str) -> None:
        names = f"studyUID={A}&seriesUID={A}.1&objectUID={A}.1.1"
        query = f"requestType=WADO&{names}&contentType=application/dicom&transferSyntax=*"
        assert site.ask(f"{path}?{query}", Accept="*/*").body == instance(A, 1)
        assert site.ask(f"{path}?requestType=WADO", Accept="*/*").status == 400
        assert b"WADL" in site.ask(path, Accept="*/*").body.upper()


@pytest.mark.parametrize(
    ("accept", "syntax"),
    [
        ("image/jhc", "1.2.840.10008.1.2.4.201"),
        ("image/x-jls", samples.JPEG_LS),
        ("image/x-dicom-rle", samples.RLE),
        ("image/jp2", samples.JPEG_2000),
    ],
)
def test_names_of_media_types_that_libraries_use(
    site: ViewerSite, accept: str, syntax: str
) -> None:
    for wanted in (accept, f'multipart/related; type="{accept}"; transfer-syntax={syntax}'):
        answer = site.ask(f"{INSTANCE}/frames/1", Accept=wanted)
        assert answer.status == 200, answer.body
        parts = answer.parts() if "multipart" in wanted else []
        kind = parts[0].headers["content-type"] if parts else answer.headers["content-type"]
        assert kind.endswith(f"transfer-syntax={syntax}")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/studies?limit=1", JSON),
        (f"/studies/{A}/metadata", JSON),
        (f"{INSTANCE}/rendered", "image/gif"),
        (f"{INSTANCE}/thumbnail", "image/gif"),
        (f"{INSTANCE}/bulkdata/7FE00010", "application/octet-stream"),
        (f"{INSTANCE}/frames/1", "multipart/related"),
        (INSTANCE, "multipart/related"),
    ],
)
def test_a_browser_follows_any_link(site: ViewerSite, path: str, kind: str) -> None:
    answer = site.ask(path, Accept=BROWSER)
    assert (answer.status, answer.kind) == (200, kind)
