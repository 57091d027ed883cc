"""Searching page by page, in XML, in other time zones, and within limits."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, get_parts, problem, split, values
from vna.config import WebConfig
from vna.dicom.native_xml import read_xml

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
XML = 'multipart/related; type="application/dicom+xml"'


@pytest.fixture
def seven(keep: Keep) -> list[str]:
    """Seven studies of one instance each, the newest first, three of them of the same day."""
    days = ["20240105", "20240103", "20240103", "20240103", "20240101", "", ""]
    uids = [f"1.2.{n}" for n in range(7)]
    keep(
        *(
            samples.small(
                StudyInstanceUID=uid,
                SeriesInstanceUID=f"{uid}.1",
                SOPInstanceUID=f"{uid}.1.1",
                PatientID=f"P{number}",
                PatientName=f"Page^{number}",
                StudyDate=day,
                StudyTime=f"{20 - number}0000",
            )
            for number, (uid, day) in enumerate(zip(uids, days, strict=True))
        )
    )
    return uids


def following(response: TestResponse) -> str | None:
    """Path and query of the next page."""
    link = response.headers.get("Link")
    if link is None:
        return None
    found = re.fullmatch(r'<([^>]+)>; rel="next"', link)
    assert found is not None, link
    url = urlsplit(found[1])
    assert url.netloc.startswith("localhost")
    return f"{url.path}?{url.query}"


def walk(client: FlaskClient, path: str) -> list[list[dict[str, Any]]]:
    """The pages behind each other's links."""
    pages: list[list[dict[str, Any]]] = []
    url: str | None = ROOT + path
    while url is not None:
        response = client.get(url)
        assert response.status_code == 200, response.text
        pages.append(response.get_json())
        url = following(response)
    return pages


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/studies?limit=2", STUDY),
        ("/series?limit=3", SERIES),
        ("/instances?limit=1", INSTANCE),
        ("/instances?limit=3&PatientName=page*&includefield=all", INSTANCE),
        ("/studies?limit=4&offset=0&fuzzymatching=true&PatientName=Page", STUDY),
    ],
)
def test_links_lead_through_all_matches_once(
    client: FlaskClient, seven: list[str], path: str, key: str
) -> None:
    pages = walk(client, path)
    found = [uid for page in pages for uid in values(page, key)]
    suffix = {STUDY: "", SERIES: ".1", INSTANCE: ".1.1"}[key]
    assert sorted(map(str, found)) == [uid + suffix for uid in seven]
    assert found == values(client.get(ROOT + path.partition("?")[0]).get_json(), key)


def test_what_comes_in_between_moves_nothing(
    client: FlaskClient, keep: Keep, seven: list[str]
) -> None:
    first = client.get(f"{ROOT}/studies?limit=3")
    keep(samples.small(StudyInstanceUID="9.9", StudyDate="20250101"))
    url = following(first)
    assert url is not None
    second = client.get(url)
    assert values(second.get_json(), STUDY) == seven[3:6]
    assert second.headers["X-Total-Count"] == "8"


def test_the_last_page_has_no_link(client: FlaskClient, seven: list[str]) -> None:
    assert "Link" not in client.get(f"{ROOT}/studies?limit={len(seven)}").headers
    assert "Link" in client.get(f"{ROOT}/studies?limit={len(seven) - 1}").headers


def test_an_offset_is_continued_by_a_cursor(client: FlaskClient, seven: list[str]) -> None:
    pages = walk(client, "/studies?limit=2&offset=3")
    assert [uid for page in pages for uid in values(page, STUDY)] == seven[3:]


@pytest.mark.usefixtures("seven")
def test_a_cut_answer_links_to_the_rest(archive: Archive) -> None:
    client = archive.app(WebConfig(max_results=3)).test_client()
    assert [len(page) for page in walk(client, "/studies")] == [3, 3, 1]
    assert [len(page) for page in walk(client, "/instances?limit=50000")] == [3, 3, 1]


@pytest.mark.usefixtures("seven")
def test_a_cursor_is_for_its_search_alone(client: FlaskClient) -> None:
    url = following(client.get(f"{ROOT}/studies?limit=2&PatientName=page*"))
    assert url is not None
    cursor = url.rpartition("cursor=")[2]
    for query in (
        f"cursor={cursor}",
        f"cursor={cursor}&PatientName=other*",
        f"cursor={cursor}x&PatientName=page*",
        f"cursor={cursor}&PatientName=page*&offset=1",
        "cursor=x&PatientName=page*",
    ):
        assert "cursor" in problem(client.get(f"{ROOT}/studies?{query}"), 400)
    assert "cursor" in problem(client.get(f"{ROOT}/series?cursor={cursor}&PatientName=page*"), 400)
    assert client.get(f"{ROOT}/studies?cursor={cursor}&PatientName=page*").status_code == 200
    assert len(client.get(f"{ROOT}/studies?cursor=&limit=3").get_json()) == 3


@pytest.mark.usefixtures("seven")
@pytest.mark.parametrize(
    ("path", "total"),
    [
        ("/studies", 7),
        ("/studies?limit=2", 7),
        ("/studies?limit=0", 7),
        ("/studies?limit=2&offset=100", 7),
        ("/studies?PatientName=*age*&limit=2", 7),
        ("/studies?PatientID=P1", 1),
        ("/studies?PatientID=", 0),
        ("/studies?PatientID=nobody", 0),
        ("/studies?StudyDate=20240103", 3),
        ("/instances?limit=1", 7),
        ("/studies/1.2.0/instances", 1),
        ("/studies/1.2.0/series?limit=1", 1),
        ("/studies/9.9.9/series", 0),
    ],
)
def test_the_total_is_told(client: FlaskClient, path: str, total: int) -> None:
    for response in (client.get(ROOT + path), client.head(ROOT + path)):
        assert response.status_code == 200
        assert response.headers["X-Total-Count"] == str(total)


@pytest.mark.usefixtures("seven")
def test_counting_can_be_switched_off(archive: Archive) -> None:
    client = archive.app(WebConfig(count_timeout=0.0)).test_client()
    assert "X-Total-Count" not in client.get(f"{ROOT}/studies?limit=2").headers
    assert client.get(f"{ROOT}/studies").headers["X-Total-Count"] == "7"


def test_a_page_within_a_study_links_on_whatever_the_maximum(archive: Archive, keep: Keep) -> None:
    keep(*(samples.small(StudyInstanceUID="9", SOPInstanceUID=f"9.{n}") for n in range(5)))
    client = archive.app(WebConfig(max_results=1)).test_client()
    assert [len(page) for page in walk(client, "/studies/9/instances?limit=2")] == [2, 2, 1]
    assert [len(page) for page in walk(client, "/studies/9/instances")] == [5]


# --- XML ---


@pytest.mark.usefixtures("seven")
@pytest.mark.parametrize("path", ["/studies", "/series?limit=2", "/studies/1.2.0/instances"])
def test_xml_says_what_json_says(client: FlaskClient, path: str) -> None:
    parts = get_parts(client, path, XML)
    assert {part.headers["content-type"] for part in parts} == {"application/dicom+xml"}
    assert [read_xml(part.data) for part in parts] == client.get(ROOT + path).get_json()


@pytest.mark.usefixtures("seven")
def test_xml_is_paged_and_counted_too(client: FlaskClient) -> None:
    response = client.get(f"{ROOT}/studies?limit=3", headers={"Accept": XML})
    assert len(split(response.data, response.headers["Content-Type"])) == 3
    assert response.headers["X-Total-Count"] == "7"
    assert following(response) is not None


def test_no_match_in_xml_is_no_content(client: FlaskClient) -> None:
    response = client.get(f"{ROOT}/studies", headers={"Accept": XML})
    assert (response.status_code, response.data) == (204, b"")


# --- matching ---


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("RequestAttributesSequence.ScheduledProcedureStepID=STEP*", 1),
        ("00400275.00400009=STEP1", 1),
        ("RequestAttributesSequence.ScheduledProcedureStepID=STEP2", 0),
        ("00400275.00400009=STEP1&RequestAttributesSequence.RequestedProcedureID=REQ1", 1),
        ("00400275.00400009=STEP1&RequestAttributesSequence.RequestedProcedureID=REQ2", 0),
        ("RequestAttributesSequence=", 2),
    ],
)
def test_sequences_match_in_one_item(
    client: FlaskClient, keep: Keep, query: str, count: int
) -> None:
    items: list[samples.Elements] = [
        {"ScheduledProcedureStepID": "STEP1", "RequestedProcedureID": "REQ1"},
        {"ScheduledProcedureStepID": "STEP9", "RequestedProcedureID": "REQ2"},
    ]
    keep(
        samples.small(RequestAttributesSequence=items),
        samples.small(StudyInstanceUID="9.1", SeriesInstanceUID="9.2", SOPInstanceUID="9.3"),
    )
    found = client.get(f"{ROOT}/series?{query}").get_json()
    assert len(found) == count
    if "REQ" in query:
        assert all("00400275" in item for item in found)


def test_times_are_meant_and_shown_as_the_search_says(client: FlaskClient, keep: Keep) -> None:
    keep(samples.small(StudyDate="20240101", StudyTime="233000", TimezoneOffsetFromUTC="+0100"))
    path = f"{ROOT}/studies?StudyDate="
    assert len(client.get(f"{path}20240101").get_json()) == 1
    for query in ("TimezoneOffsetFromUTC=%2B0300", "00080201=%2B0300"):
        assert client.get(f"{path}20240101&{query}").get_json() == []
        (study,) = client.get(f"{path}20240102&{query}").get_json()
        assert study["00080020"]["Value"] == ["20240102"]
        assert study["00080030"]["Value"] == ["013000"]
        assert study["00080201"]["Value"] == ["+0300"]
    assert "TimezoneOffset" in problem(client.get(f"{path}20240102&00080201=3"), 400)


def test_a_date_and_its_time_are_one_range_when_so_asked(client: FlaskClient, keep: Keep) -> None:
    keep(samples.small(StudyDate="20240102", StudyTime="080000"))
    path = f"{ROOT}/studies?StudyDate=20240101-20240103&StudyTime=120000-180000"
    assert client.get(path).get_json() == []
    assert len(client.get(f"{path}&combineddatetimematching=true").get_json()) == 1
    late = path.replace("20240101-", "20240102-")
    assert client.get(f"{late}&combineddatetimematching=true").get_json() == []


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/studies?AccessionNumber=%22%22", {"9.1"}),
        ("/studies?00080050=%22%22&PatientName=*", {"9.1"}),
        ("/studies?PatientID=%22%22", {"9.2"}),
        ("/studies?StudyDate=%22%22", {"9.2"}),
        ("/studies?StudyDate=%22%22&00080201=%2B0100", {"9.2"}),
        ("/studies?ModalitiesInStudy=%22%22", {"9.2"}),
        ("/studies?PatientSize=%22%22", {"9.1", "9.2"}),
        ("/studies?PatientName=%22%22&fuzzymatching=true", set()),
        ("/studies?StudyInstanceUID=%22%22", set()),
        ("/studies?NumberOfStudyRelatedSeries=%22%22", set()),
        ("/studies?SeriesDescription=%22%22", {"9.1", "9.2"}),
        ("/series?RequestAttributesSequence=%22%22", {"9.2"}),
        ("/series?00400275.00400009=%22%22", set()),
        ("/series?00400275.00401001=%22%22", {"9.1"}),
    ],
)
def test_attributes_without_a_value_are_found_when_so_asked(
    client: FlaskClient, keep: Keep, path: str, found: set[str]
) -> None:
    step: samples.Elements = {"ScheduledProcedureStepID": "STEP1"}
    keep(
        samples.small(
            StudyInstanceUID="9.1",
            SeriesInstanceUID="9.1.1",
            SOPInstanceUID="9.1.1.1",
            PatientID="P1",
            AccessionNumber="",
            RequestAttributesSequence=[step],
        ),
        samples.small(
            StudyInstanceUID="9.2",
            SeriesInstanceUID="9.2.1",
            SOPInstanceUID="9.2.1.1",
            PatientID="",
            AccessionNumber="A1",
            StudyDate="",
            Modality="",
        ),
    )
    response = client.get(f"{ROOT}{path}&emptyvaluematching=true")
    assert set(values(response.get_json(), STUDY)) == found
    assert client.get(ROOT + path).status_code in {200, 400}


@pytest.mark.parametrize("level", ["studies", "studies/9.1/series", "studies/9.1/instances"])
@pytest.mark.parametrize("accept", ["application/dicom+json", XML])
def test_of_a_sequence_only_the_members_that_were_asked_for_come(
    client: FlaskClient, keep: Keep, level: str, accept: str
) -> None:
    code: samples.Elements = {"CodeValue": "C1", "CodingSchemeDesignator": "L", "CodeMeaning": "M"}
    keep(samples.small(StudyInstanceUID="9.1", ProcedureCodeSequence=[code]))
    for query, members in (
        ("includefield=ProcedureCodeSequence.CodeMeaning", {"00080104"}),
        ("00081032.00080100=C1&includefield=00081032.00080102", {"00080100", "00080102"}),
        ("includefield=ProcedureCodeSequence", {"00080100", "00080102", "00080104"}),
    ):
        found: dict[str, Any]
        if accept == XML:
            (part,) = get_parts(client, f"/{level}?{query}", XML)
            found = dict(read_xml(part.data))
        else:
            (found,) = client.get(f"{ROOT}/{level}?{query}").get_json()
        assert [item.keys() for item in found["00081032"]["Value"]] == [members]


@pytest.mark.usefixtures("seven")
def test_keys_that_are_not_kept_are_named(client: FlaskClient) -> None:
    response = client.get(f"{ROOT}/studies?ContrastBolusAgent=x&00321064.00080100=y")
    assert len(response.get_json()) == 7
    assert "ContrastBolusAgent (0018,0010)" in response.headers["Warning"]
    assert "(0032,1064)" in response.headers["Warning"]


@pytest.mark.parametrize("value", ["%FF%FE", "M%FCller*", "%ED%A0%80", "a%C3"])
def test_other_character_sets_than_utf8_are_refused(client: FlaskClient, value: str) -> None:
    assert "UTF-8" in problem(client.get(f"{ROOT}/studies?PatientName={value}"), 400)


# --- limits ---


@pytest.mark.usefixtures("seven")
@pytest.mark.parametrize("limit", [10**20, 2**63, 2**31, 2**31 - 1])
def test_huge_numbers_are_harmless(client: FlaskClient, limit: int) -> None:
    assert len(client.get(f"{ROOT}/studies?limit={limit}").get_json()) == 7
    assert client.get(f"{ROOT}/studies?offset={limit}").get_json() == []


@pytest.mark.parametrize(
    "query",
    [
        "&".join(f"{n:08x}=x" for n in range(100_000)),
        "PatientID=x&" * 100_000,
        "&".join(f"0020000{n % 10}.00100020=x" for n in range(1000)),
        "includefield=" + ",".join(f"{n:08x}" for n in range(100_000)),
        "&".join(f"includefield={n:08x}" for n in range(100_000)),
        "=x",
        "PatientName=a&=",
        "00400275" + ".00400275" * 1000 + "=x",
        "limit=" + "9" * 10_000 + "x",
        "PatientID=" + "%5C".join(f"{n}*" for n in range(20_000)),
        "StudyDate=" + "%5C".join(["20240101"] * 3 + ["x"]),
    ],
    ids=range(11),
)
def test_oversized_and_odd_searches_are_refused(client: FlaskClient, query: str) -> None:
    problem(client.get(f"{ROOT}/studies?{query}"), 400)


@pytest.mark.usefixtures("seven")
@pytest.mark.parametrize("pattern", ["*p*a*g*e" * 60, "*" * 60, "*" + "?*" * 60, "*a" * 60 + "*"])
def test_patterns_of_many_stars(client: FlaskClient, pattern: str) -> None:
    for key in ("PatientName", "PatientID", "StudyDescription", "00400275.00400007"):
        assert client.get(f"{ROOT}/series?{key}={pattern}").status_code == 200


@pytest.mark.parametrize("uid", ["..", "%2e%2e", "%2e%2e%2f%2e%2e%2fetc", "1.2%00", "%2f", "a%5Cb"])
def test_traversal_in_a_path_finds_nothing(client: FlaskClient, uid: str) -> None:
    for path in (f"/studies/{uid}/series", f"/studies/1.2/series/{uid}/instances"):
        assert client.get(ROOT + path).status_code in {404, 308}


@pytest.mark.usefixtures("seven")
def test_a_search_that_takes_too_long_is_refused(archive: Archive, database_url: str) -> None:
    client = archive.app(WebConfig(search_timeout=0.02)).test_client()
    with psycopg.connect(database_url) as connection:
        connection.execute("LOCK TABLE study IN ACCESS EXCLUSIVE MODE")
        response = client.get(f"{ROOT}/studies?PatientName=*a*")
    assert "narrow" in problem(response, 413)
