"""Searching through HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, problem, values
from vna.config import WebConfig

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
UIDS = [f"1.2.826.0.1.{n}" for n in range(1, 6)]


@pytest.fixture
def three(keep: Keep) -> None:
    """Three studies: two instances in two series, one instance, one of another patient."""
    common = {"StudyInstanceUID": UIDS[0], "PatientName": "Phantom^Big", "PatientID": "A^1?"}
    keep(
        samples.small(**common, SeriesInstanceUID="1.1", SOPInstanceUID="1.1.1", Modality="CT"),
        samples.small(**common, SeriesInstanceUID="1.2", SOPInstanceUID="1.2.1", Modality="SR"),
        samples.small(
            StudyInstanceUID=UIDS[1],
            SeriesInstanceUID="2.1",
            SOPInstanceUID="2.1.1",
            PatientName="elephant",
            PatientID="B",
            StudyDate="20200601",
            Modality="MR",
        ),
        samples.small(
            StudyInstanceUID=UIDS[2], PatientName="Other", PatientID="100%", Modality="US"
        ),
    )


def search(client: FlaskClient, path: str) -> list[dict[str, Any]]:
    response = client.get(ROOT + path)
    assert response.status_code == 200, response.text
    assert response.content_type == "application/dicom+json"
    found = response.get_json()
    assert isinstance(found, list)
    return found


def uids(client: FlaskClient, path: str, key: str = STUDY) -> set[object]:
    return set(values(search(client, path), key))


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("PatientName=*phan*", {0, 1}),
        ("PatientName=*PHAN*", {0, 1}),
        ("00100010=Phantom%5EBig", {0}),
        ("PatientID=A%5E1%3F", {0}),
        ("PatientID=100%25", {2}),
        ("PatientID=1__%25", set()),
        ("PatientID=%25", set()),
        ("PatientID=", set()),
        ("StudyInstanceUID=", set()),
        ("PatientName=", {0, 1, 2}),
        (f"StudyInstanceUID={UIDS[0]}%5C{UIDS[1]}", {0, 1}),
        (f"StudyInstanceUID={UIDS[0]},{UIDS[1]}", {0, 1}),
        ("ModalitiesInStudy=MR%2CCT", {0, 1}),
        ("ModalitiesInStudy=CT&limit=1", {0}),
        ("StudyDate=20200101-20201231", {1}),
        ("StudyDate=-20201231", {1}),
        ("StudyDate=20210101-", {0, 2}),
        ("Modality=SR", {0}),
        ("", {0, 1, 2}),
    ],
)
def test_study_queries(client: FlaskClient, query: str, expected: set[int]) -> None:
    assert uids(client, f"/studies?{query}") == {UIDS[n] for n in expected}


@pytest.mark.usefixtures("three")
def test_every_path_of_the_standard(client: FlaskClient) -> None:
    assert len(search(client, "/studies")) == 3
    assert len(search(client, "/series")) == 4
    assert len(search(client, "/instances")) == 4
    assert uids(client, f"/studies/{UIDS[0]}/series", SERIES) == {"1.1", "1.2"}
    assert uids(client, f"/studies/{UIDS[0]}/instances", INSTANCE) == {"1.1.1", "1.2.1"}
    assert uids(client, f"/studies/{UIDS[0]}/series/1.1/instances", INSTANCE) == {"1.1.1"}
    assert search(client, f"/studies/{UIDS[0]}/series/2.1/instances") == []
    assert search(client, "/studies/9.9.9/series") == []
    assert uids(client, "/series?Modality=CT,MR", SERIES) == {"1.1", "2.1"}
    assert uids(client, f"/instances?StudyInstanceUID={UIDS[1]}", INSTANCE) == {"2.1.1"}


@pytest.mark.usefixtures("three")
def test_a_study_record(client: FlaskClient) -> None:
    (study,) = search(client, f"/studies?StudyInstanceUID={UIDS[0]}")
    assert study["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Phantom^Big"}]}
    assert study["00201206"]["Value"] == [2]
    assert study["00201208"]["Value"] == [2]
    assert sorted(study["00080061"]["Value"]) == ["CT", "SR"]
    assert study["00081190"] == {
        "vr": "UR",
        "Value": [f"http://localhost{ROOT}/studies/{UIDS[0]}"],
    }
    assert list(study) == sorted(study)


@pytest.mark.usefixtures("three")
def test_retrieve_urls_lead_to_what_was_found(client: FlaskClient) -> None:
    for path in ("/studies", "/series", "/instances", f"/studies/{UIDS[0]}/series/1.1/instances"):
        for record in search(client, path):
            url = record["00081190"]["Value"][0]
            assert client.get(url).status_code == 200, url


@pytest.mark.usefixtures("three")
def test_pages(client: FlaskClient) -> None:
    whole = values(search(client, "/instances"), INSTANCE)
    by_one = [values(search(client, f"/instances?limit=1&offset={n}"), INSTANCE) for n in range(5)]
    assert [uid for page in by_one for uid in page] == whole
    assert by_one[4] == []
    assert values(search(client, "/instances?offset=3"), INSTANCE) == whole[3:]
    assert search(client, "/instances?limit=0") == []
    assert search(client, "/studies?limit=101&offset=100") == []


@pytest.mark.usefixtures("three")
def test_results_beyond_the_maximum_are_cut_and_announced(archive: Archive) -> None:
    client = archive.app(WebConfig(max_results=2)).test_client()
    for query, length, is_cut in (
        ("", 2, True),
        ("?limit=50000", 2, True),
        ("?limit=2", 2, False),
        ("?offset=1", 2, False),
        ("?limit=5&offset=2", 1, False),
    ):
        response = client.get(f"{ROOT}/studies{query}")
        assert len(response.get_json()) == length
        assert ("maximum" in response.headers.get("Warning", "")) is is_cut


@pytest.mark.usefixtures("three")
def test_a_search_within_a_study_is_never_cut(archive: Archive) -> None:
    client = archive.app(WebConfig(max_results=1)).test_client()
    response = client.get(f"{ROOT}/studies/{UIDS[0]}/instances")
    assert len(response.get_json()) == 2
    assert "Warning" not in response.headers


@pytest.mark.usefixtures("three")
def test_included_fields(client: FlaskClient) -> None:
    path = f"/studies/{UIDS[0]}/series/1.1/instances"
    assert "00100010" not in search(client, path)[0]
    for query in (
        "includefield=PatientName,Modality",
        "includefield=00100010&includefield=00080060",
    ):
        (record,) = search(client, f"{path}?{query}")
        assert record["00100010"]["Value"][0]["Alphabetic"] == "Phantom^Big"
        assert record["00080060"]["Value"] == ["CT"]
    (everything,) = search(client, f"{path}?includefield=all")
    assert {"00100010", "00080060", "00080018"} <= set(everything)


@pytest.mark.usefixtures("three")
def test_fuzzy_matching_finds_names_by_their_sound(client: FlaskClient) -> None:
    for fuzzy, count in (("true", 1), ("TRUE", 1), ("false", 0)):
        response = client.get(f"{ROOT}/studies?fuzzymatching={fuzzy}&PatientName=Othar")
        assert len(response.get_json()) == count
        assert "Warning" not in response.headers


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("Nonsense=1", "Nonsense"),
        ("limit=-1", "limit"),
        ("offset=x", "offset"),
        ("includefield=Nope", "Nope"),
        ("StudyDate=2020-01-01", "StudyDate"),
        ("PatientID=A&PatientID=B", "PatientID"),
        ("PatientID=" + "%5C".join(f"{n}*" for n in range(1001)), "1000 alternatives"),
    ],
)
def test_bad_queries_name_what_is_wrong(client: FlaskClient, query: str, word: str) -> None:
    assert word in problem(client.get(f"{ROOT}/studies?{query}"), 400)


def test_a_bad_query_does_not_repeat_what_may_be_a_patient(client: FlaskClient) -> None:
    assert "Doe" not in problem(client.get(f"{ROOT}/studies?StudyDate=Doe"), 400)


def test_an_empty_archive_answers_an_empty_list(client: FlaskClient) -> None:
    assert search(client, "/studies") == []


def test_an_empty_modalities_in_study_is_left_out(client: FlaskClient, keep: Keep) -> None:
    keep(samples.small(Modality=""))
    (study,) = search(client, "/studies")
    assert "00080061" not in study
    assert study["00201206"]["Value"] == [1]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("accept", ["application/json", "text/html, */*;q=0.8", "*/*"])
def test_accepts_of_clients(client: FlaskClient, accept: str) -> None:
    response = client.get(f"{ROOT}/studies", headers={"Accept": accept})
    assert response.status_code == 200
    assert len(response.get_json(force=True)) == 3


def test_an_accept_without_json(client: FlaskClient) -> None:
    response = client.get(f"{ROOT}/studies", headers={"Accept": "application/dicom+xml"})
    assert "application/dicom+json" in problem(response, 406)


def test_names_in_other_scripts_are_found_and_told_in_utf8(client: FlaskClient, keep: Keep) -> None:
    name = "Yamada^Tarou=山田^太郎"
    keep(samples.small(SpecificCharacterSet="ISO_IR 192", PatientName=name.encode()))
    for query in ("PatientName=yamada*", "PatientName=*%E5%B1%B1%E7%94%B0*"):
        (study,) = search(client, f"/studies?{query}")
        assert study["00100010"]["Value"] == [
            {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}
        ]
