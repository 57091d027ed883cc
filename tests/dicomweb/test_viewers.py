"""What viewers send to find studies, request by request over HTTP, and what each answer must be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import samples
from tests.dicomweb.multiparts import ROOT
from tests.dicomweb.viewer_site import CHROME, PUBLIC, ViewerSite, viewer_site

pytestmark = pytest.mark.slow

A, B, C = "1.2.826.1", "1.2.826.2", "1.2.826.3"
ALL = {A, B, C}
INCLUDED = "includefield=00081030%2C00080060%2C00080090%2C00100030"
OHIF_LIST = f"limit=101&offset=0&fuzzymatching=false&{INCLUDED}"
JSON = "application/dicom+json"
BROWSER = "text/html, image/gif, */*; q=.2"
MANY = 250


def person(uid: str, **overrides: str) -> bytes:
    uids = {
        "StudyInstanceUID": uid,
        "SeriesInstanceUID": f"{uid}.1",
        "SOPInstanceUID": f"{uid}.1.1",
    }
    return samples.small(**{**uids, **overrides})


@pytest.fixture(scope="module")
def site(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewerSite]:
    with viewer_site(database_url, tmp_path_factory.mktemp("viewers")) as running:
        running.keep(
            person(
                A,
                PatientName="Elephant^Nelly",
                PatientID="E^1",
                PatientBirthDate="19700101",
                Modality="CT",
                StudyDate="20240131",
                StudyDescription="Thorax",
                ReferringPhysicianName="Doctor^Who",
            ),
            person(
                B, PatientName="Miller^Max", PatientID="M", Modality="ECG", StudyDate="20230615"
            ),
            person(
                C,
                PatientName="What?^100%_Sure",
                PatientID="Q?1",
                Modality="",
                StudyDate="20220101",
            ),
        )
        yield running


def found(site: ViewerSite, path: str, **headers: str) -> list[Any]:
    answer = site.ask(path, **{"Accept": JSON, **CHROME, **headers})
    assert answer.status == 200, answer.body
    matches = answer.json()
    assert isinstance(matches, list)
    return matches


def studies(site: ViewerSite, query: str) -> set[str]:
    return {match["0020000D"]["Value"][0] for match in found(site, f"/studies?{query}")}


def test_the_study_list(site: ViewerSite) -> None:
    listed = {m["0020000D"]["Value"][0]: m for m in found(site, f"/studies?{OHIF_LIST}")}
    assert set(listed) == ALL
    assert listed[A]["00081030"]["Value"] == ["Thorax"]
    assert listed[A]["00080090"]["Value"] == [{"Alphabetic": "Doctor^Who"}]
    assert listed[A]["00100030"]["Value"] == ["19700101"]
    assert listed[A]["00080061"]["Value"] == ["CT"]
    assert listed[A]["00201208"]["Value"] == [1]
    assert listed[A]["00081190"]["Value"] == [f"{PUBLIC}/studies/{A}"]


@pytest.mark.parametrize("includefield", ["", "&includefield=all", f"&{INCLUDED}%2C00080061"])
def test_a_study_without_modality_has_no_empty_attribute(
    site: ViewerSite, includefield: str
) -> None:
    (match,) = found(site, f"/studies?StudyInstanceUID={C}{includefield}")
    assert "00080061" not in match


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("PatientName=*phan*", {A}),
        ("PatientName=*PHAN*", {A}),
        (f"PatientName=*eLEPH*&{OHIF_LIST}", {A}),
        ("PatientName=*phan*&fuzzymatching=true", {A}),
        (f"StudyInstanceUID={A}\\{B}", {A, B}),
        (f"StudyInstanceUID={A}%5C{B}", {A, B}),
        (f"StudyInstanceUID={A},{B}", {A, B}),
        (f"StudyInstanceUID={A}%2C{B}", {A, B}),
        (f"0020000D={A}%5C9.9", {A}),
        ("00100020=M", {B}),
        ("00100020=*M*", {B}),
        ("00100020=E%5E1", {A}),
        ("00100020=E^1", {A}),
        ("00100020=Q%3F1", {C}),
        ("PatientName=What%3F%5E*", {C}),
        ("00100020=", set()),
        ("00100020=&" + OHIF_LIST, set()),
        ("StudyInstanceUID=", set()),
        ("SeriesInstanceUID=", set()),
        ("ModalitiesInStudy=MR%2CCT", {A}),
        ("ModalitiesInStudy=MR,CT", {A}),
        ("ModalitiesInStudy=MR%5CCT", {A}),
        ("ModalitiesInStudy=ECG%2CCT&limit=101", {A, B}),
        (f"ModalitiesInStudy=CT&{OHIF_LIST}", {A}),
        ("00080061=CT&limit=1", {A}),
        ("StudyDate=20240101-20241231", {A}),
        ("StudyDate=20230101-20241231&limit=101&offset=0", {A, B}),
        ("StudyDate=20230101-", {A, B}),
        ("offset=0", ALL),
        ("offset=3", set()),
        ("limit=50000", ALL),
        ("PatientName=%25", set()),
        ("PatientName=100%25_*", set()),
        ("PatientName=*100%25_S*", {C}),
        ("PatientName=_iller*", set()),
        ("PatientName=?iller*", {B}),
        ("includefield=00081030&includefield=00100030&includefield=all", ALL),
        ("includefield=StudyDescription&includefield=PatientBirthDate", ALL),
    ],
)
def test_searches(site: ViewerSite, query: str, expected: set[str]) -> None:
    assert studies(site, query) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/instances?SOPInstanceUID=",
        "/instances?StudyInstanceUID=",
        "/series?SeriesInstanceUID=",
        f"/studies/{A}/instances?SOPInstanceUID=",
        f"/studies/{A}/series?SeriesInstanceUID=&limit=10",
    ],
)
def test_an_empty_unique_key_selects_nothing(site: ViewerSite, path: str) -> None:
    assert found(site, path) == []


@pytest.mark.parametrize("separator", ["%5C", "\\", "%2C"])
def test_a_long_list_of_uids_filters(site: ViewerSite, separator: str) -> None:
    nobody = [f"1.2.840.113619.2.55.3.604688119.971.1700000000.{n}" for n in range(1000)]
    assert studies(site, "StudyInstanceUID=" + separator.join([*nobody, B])) == {B}
    assert studies(site, "StudyInstanceUID=" + separator.join(nobody)) == set()


def test_a_list_that_is_too_long_is_refused_not_dropped(site: ViewerSite) -> None:
    for count, status in ((5000, 414), (20000, 431)):
        target = "/studies?StudyInstanceUID=" + "%5C".join(["1.2.3.4.5.6.7.8.9"] * count)
        assert site.ask(target, Accept=JSON).status == status


@pytest.fixture(scope="module")
def many(site: ViewerSite) -> set[str]:
    """The UIDs of more studies than a page has."""
    uids = {f"1.2.99.{number}" for number in range(MANY)}
    site.keep(*(person(uid, PatientID="MANY", StudyDate="20200101") for uid in sorted(uids)))
    return uids


def test_the_study_list_page_by_page(site: ViewerSite, many: set[str]) -> None:
    """One more than a page is asked for, which tells whether there is another."""
    seen: list[str] = []
    page = 0
    while True:
        query = f"PatientID=MANY&limit=101&offset={100 * page}&fuzzymatching=false&{INCLUDED}"
        answer = site.ask(f"/studies?{query}", Accept=JSON, **CHROME)
        matches = answer.json()
        seen += [match["0020000D"]["Value"][0] for match in matches[:100]]
        if len(matches) < 101:
            break
        page += 1
    assert (len(seen), set(seen)) == (MANY, many)
    assert answer.headers["x-total-count"] == str(MANY)
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert "x-total-count" in exposed


def test_the_list_by_offset_alone(site: ViewerSite, many: set[str]) -> None:
    """The Python client asks until a page is empty."""
    seen: list[str] = []
    while matches := found(site, f"/studies?PatientID=MANY&offset={len(seen)}"):
        seen += [match["0020000D"]["Value"][0] for match in matches]
    assert (len(seen), set(seen)) == (MANY, many)


@pytest.mark.parametrize("accept", [BROWSER, "*/*", "", "application/json", f"{JSON}, */*;q=0.1"])
def test_whoever_asks_gets_json(site: ViewerSite, accept: str) -> None:
    answer = site.ask(f"/studies?StudyInstanceUID={A}", Accept=accept)
    assert answer.kind in {JSON, "application/json"}
    assert len(answer.json()) == 1
    assert site.ask(f"/studies?StudyInstanceUID={A}").kind == JSON


def test_the_accept_parameter_of_a_search_wins(site: ViewerSite) -> None:
    target = f"/studies?StudyInstanceUID={A}&accept=application%2Fjson"
    assert site.ask(target, Accept="image/jpeg").kind == "application/json"


def test_the_series_list_of_a_study(site: ViewerSite) -> None:
    (series,) = found(site, f"/studies/{A}/series?includefield=0008103E%2C00080021")
    assert series["00080060"]["Value"] == ["CT"]
    assert series["00201209"]["Value"] == [1]
    (instance,) = found(site, f"/studies/{A}/series/{A}.1/instances?includefield=00080016")
    assert instance["00081190"]["Value"][0].startswith(f"{PUBLIC}/studies/{A}/series/")


def test_the_root_is_that_of_the_public_address(site: ViewerSite) -> None:
    (match,) = found(site, f"/studies?StudyInstanceUID={A}", X_Forwarded_Host="evil.example")
    assert match["00081190"]["Value"] == [f"{PUBLIC}/studies/{A}"]
    assert not PUBLIC.endswith("/")
    assert ROOT in PUBLIC
