"""From the parameters of a search to a Query."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from dicomweb.errors import BadRequest
from dicomweb.search_parameters import Search, Within, read_search
from vna.errors import InvalidQuery
from vna.model.identifiers import Level
from vna.model.query import AnyOf, Filter, ItemMatch, Range, SingleValue, Wildcard


def search(text: str, level: Level = Level.STUDY, within: Within | None = None) -> Search:
    return read_search(parse_qsl(text, keep_blank_values=True), level, within or Within())


def test_the_study_list_of_a_viewer() -> None:
    found = search(
        "limit=101&offset=0&fuzzymatching=false"
        "&includefield=00081030%2C00080060%2C00080090%2C00100030"
    )
    query = found.query
    assert (query.limit, query.offset, query.filters) == (101, 0, ())
    assert query.return_tags is not None
    assert {0x00081030, 0x00080090, 0x00100030, 0x0020000D} <= query.return_tags
    assert 0x00080060 not in query.return_tags, "of a series; without a value it would hurt"
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PatientName=*phan*", Filter(0x00100010, Wildcard("*phan*"))),
        ("00100020=A%3F%5E", Filter(0x00100020, Wildcard("A?^"))),
        ("00100020=100%25_", Filter(0x00100020, SingleValue("100%_"))),
        ("StudyInstanceUID=1.2%5C1.3", Filter(0x0020000D, AnyOf(("1.2", "1.3")))),
        ("StudyInstanceUID=1.2,1.3", Filter(0x0020000D, AnyOf(("1.2", "1.3")))),
        ("ModalitiesInStudy=MR%2CCT", Filter(0x00080061, AnyOf(("MR", "CT")))),
        ("StudyDate=20200101-20201231", Filter(0x00080020, Range("20200101", "20201231"))),
        ("00100020=", Filter(0x00100020, AnyOf(()))),
        ("StudyInstanceUID=", Filter(0x0020000D, AnyOf(()))),
        (
            "00400275.00400009=X",
            Filter(0x00400275, ItemMatch((Filter(0x00400009, SingleValue("X")),))),
        ),
    ],
)
def test_matching_keys(text: str, expected: Filter) -> None:
    assert search(text).query.filters == (expected,)


@pytest.mark.parametrize("text", ["PatientName=", "PatientName=*", "StudyDate="])
def test_universal_keys_filter_nothing_but_are_answered(text: str) -> None:
    query = search(text).query
    assert query.filters == ()
    assert query.return_tags is not None
    assert len(query.return_tags) >= len(search("").query.return_tags or ())


def test_a_long_list_of_uids_filters() -> None:
    uids = [f"1.2.{n}" for n in range(2000)]
    assert search("StudyInstanceUID=" + ",".join(uids)).query.filters == (
        Filter(0x0020000D, AnyOf(tuple(uids))),
    )


@pytest.mark.parametrize(
    "text",
    [
        "includefield=PatientSize&includefield=00101030",
        "includefield=PatientSize,PatientWeight",
        "includeField=00101020%2C00101030",
        "INCLUDEFIELD= PatientSize , PatientWeight ,",
        "PatientSize=&00101030=",
    ],
)
def test_included_fields(text: str) -> None:
    assert {0x00101020, 0x00101030} <= (search(text).query.return_tags or frozenset())


@pytest.mark.parametrize("text", ["includefield=all", "includefield=PatientSize,all"])
def test_all_fields(text: str) -> None:
    assert search(text).query.return_tags is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Nonsense=1", "Nonsense"),
        ("limit=1&0010=x", "0010"),
        ("includefield=Nonsense", "Nonsense"),
        ("PatientName.PatientID=1", "PatientName"),
        ("StudyDate=yesterday", "StudyDate"),
    ],
)
def test_what_names_no_attribute_is_refused_by_name(text: str, name: str) -> None:
    with pytest.raises(InvalidQuery, match=name):
        search(text)


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "%2B1", "1e3", "١"])
@pytest.mark.parametrize("name", ["limit", "offset"])
def test_numbers(name: str, value: str) -> None:
    with pytest.raises(BadRequest, match=name):
        search(f"{name}={value}")


def test_absurdly_large_numbers_are_bounded() -> None:
    query = search(f"limit={'9' * 5000}&offset={'9' * 30}").query
    assert (query.limit, query.offset) == (2**31 - 1, 2**31 - 1)


def test_empty_numbers_are_none() -> None:
    query = search("limit=&offset=").query
    assert (query.limit, query.offset) == (None, 0)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("multiplevaluematching=true&00091001=x", "0009,1001"),
        ("00091001=x", "0009,1001"),
    ],
)
def test_what_cannot_be_done_is_said(text: str, word: str) -> None:
    (warning,) = search(text).warnings
    assert word in warning


def test_fuzzy_matching_is_passed_on() -> None:
    assert search("fuzzymatching=true").query.fuzzy
    assert not search("fuzzymatching=false").query.fuzzy
    assert not search("").query.fuzzy
    assert not search("fuzzymatching=").query.fuzzy
    with pytest.raises(BadRequest, match="fuzzymatching"):
        search("fuzzymatching=perhaps")


def test_the_path_narrows_and_is_not_split() -> None:
    found = search("SeriesInstanceUID=1.5", Level.IMAGE, Within("1,2", "1.4"))
    assert found.is_within_study
    assert found.query.filters == (
        Filter(0x0020000D, SingleValue("1,2")),
        Filter(0x0020000E, SingleValue("1.4")),
        Filter(0x0020000E, SingleValue("1.5")),
    )


def test_attributes_of_higher_levels_come_where_the_path_leaves_them_open() -> None:
    patient_name, modality = 0x00100010, 0x00080060
    everywhere = search("", Level.IMAGE).query.return_tags or frozenset()
    in_study = search("", Level.IMAGE, Within("1")).query.return_tags or frozenset()
    in_series = search("", Level.IMAGE, Within("1", "2")).query.return_tags or frozenset()
    assert {patient_name, modality} <= everywhere
    assert patient_name not in in_study
    assert modality in in_study
    assert modality not in in_series
    assert {0x0020000D, 0x0020000E, 0x00080018} <= in_series


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("ContrastBolusAgent=x", "0018,0010"),
        ("RequestAttributesSequence.ScheduledStationAETitle=x", "0040,0001"),
        ("InstanceAvailability=OFFLINE", "0008,0056"),
        ("RetrieveURL=x", "0008,1190"),
    ],
)
def test_what_is_not_matched_is_told_and_filters_nothing(text: str, word: str) -> None:
    found = search(text)
    assert found.query.filters == ()
    assert word in found.warnings[0]


@pytest.mark.parametrize(
    "text", ["InstanceAvailability=", "InstanceAvailability=*", "TimezoneOffsetFromUTC=%2B0100"]
)
def test_what_asks_for_no_match_is_not_warned_of(text: str) -> None:
    assert search(text).warnings == ()


@pytest.mark.parametrize(
    ("level", "below"),
    [
        (Level.STUDY, {0x00080060, 0x00201209, 0x00080018, 0x00280010}),
        (Level.SERIES, {0x00080018, 0x00280010}),
        (Level.IMAGE, frozenset()),
    ],
)
def test_what_belongs_to_lower_levels_is_not_answered(level: Level, below: set[int]) -> None:
    asked = {0x00080060, 0x00201209, 0x00080018, 0x00280010, 0x00101030, 0x00080056}
    names = ",".join(f"{tag:08X}" for tag in asked)
    for text in (f"includefield={names}", "&".join(f"{tag:08X}=" for tag in asked - {0x00080018})):
        tags = search(text, level).query.return_tags or frozenset()
        assert not tags & below
        assert {0x00101030, 0x00080056} <= tags


@pytest.mark.parametrize(
    ("text", "cuts"),
    [
        ("includefield=ProcedureCodeSequence.CodeValue", {0x00081032: {0x00080100: None}}),
        ("00081032.00080100=x", {0x00081032: {0x00080100: None}}),
        ("00081032.00080100=x&includefield=ProcedureCodeSequence", {}),
        ("00081032.00080100=x&includefield=all", {}),
        ("includefield=ProcedureCodeSequence", {}),
        ("includefield=PatientName", {}),
    ],
)
def test_members_of_sequences_may_be_asked_for(text: str, cuts: dict[int, object]) -> None:
    found = search(text)
    assert found.cuts == cuts
    if "all" not in text and "PatientName" not in text:
        assert 0x00081032 in (found.query.return_tags or ())


def test_what_a_level_always_answers_is_whole() -> None:
    name = "includefield=RequestAttributesSequence.ScheduledProcedureStepID"
    assert search(name, Level.SERIES).cuts == {}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("includefield=ProcedureCodeSequence.Nonsense", "Nonsense"),
        ("includefield=PatientName.PatientID", "PatientName"),
        ("includefield=" + ".".join(["00081032"] * 40), "parts"),
    ],
)
def test_paths_of_included_fields_are_checked(text: str, name: str) -> None:
    with pytest.raises(InvalidQuery, match=name):
        search(text)


@pytest.mark.parametrize("text", ["limit=1&limit=2", "offset=1&OFFSET=2", "cursor=a&cursor=b"])
def test_what_steers_is_given_once(text: str) -> None:
    with pytest.raises(BadRequest, match="twice"):
        search(text)


def test_what_is_given_alike_is_given_once() -> None:
    assert search("limit=3&limit= 3 &offset=1&offset=1").query.limit == 3
