"""Matching keys, one by one and as whole queries (PS3.4 C.2.2.2, PS3.18 8.3.4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vna.dicom import times
from vna.dicom.matching import (
    MATCHABLE_VRS,
    MAX_ALTERNATIVES,
    RANGE_VRS,
    WILDCARD_VRS,
    parse_match,
)
from vna.dicom.query_keys import keys_of_identifier, keys_of_parameters
from vna.errors import InvalidQuery
from vna.model.query import (
    AnyOf,
    Filter,
    ItemMatch,
    JsonElement,
    Match,
    MomentRange,
    OneOf,
    Range,
    SingleValue,
    Wildcard,
)

STUDY_DATE = 0x00080020


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        (
            "20060705-20060707",
            "1000-1800",
            MomentRange("20060705100000.000000", "20060707180059.999999"),
        ),
        ("-20060707", "-1800", MomentRange(None, "20060707180059.999999")),
        ("20060705-", "10-", MomentRange("20060705100000.000000", None)),
        (
            "20060705-20060705",
            "101500.5-101500.5",
            MomentRange("20060705101500.500000", "20060705101500.599999"),
        ),
        ("20060705", "1000-1800", None),
        ("20060705-20060707", "1000", None),
        ("20060705-", "-1800", None),
        ("20060705-20060707", "10-", None),
        ("-", "-", None),
        ("20060705-20060707", "", None),
    ],
)
def test_ranges_of_one_form_are_combined(
    date: str, time: str, expected: MomentRange | None
) -> None:
    keys: dict[str, JsonElement] = {
        "00080020": {"vr": "DA", "Value": [date]},
        "00080030": {"vr": "TM", "Value": [time]},
        "00080060": {"vr": "CS", "Value": ["CT"]},
    }
    apart = keys_of_identifier(keys).filters
    together = keys_of_identifier(keys, combine_datetime=True).filters
    if expected is None:
        assert together == apart
    else:
        assert together == (
            Filter(STUDY_DATE, expected),
            Filter(0x00080060, SingleValue("CT")),
        )


@pytest.mark.parametrize("text", ["a\\*", "*\\b", "a\\**\\b?"])
def test_a_lone_star_in_a_list_matches_everything(text: str) -> None:
    assert parse_match("LO", text) is None


@pytest.mark.parametrize("vr", sorted(MATCHABLE_VRS))
@pytest.mark.parametrize("text", ["", " ", "\0", "*", "**", " * ", "***"])
def test_nothing_and_stars_are_universal_for_every_vr(vr: str, text: str) -> None:
    assert parse_match(vr, text) is None


@pytest.mark.parametrize(
    ("vr", "text", "expected"),
    [
        ("LO", "PID-1", SingleValue("PID-1")),
        ("LO", "  PID-1 ", SingleValue("PID-1")),
        ("LO", "a,b", SingleValue("a,b")),
        ("LO", "100%_", SingleValue("100%_")),
        ("LO", "a\\b", AnyOf(("a", "b"))),
        ("LO", "a\\a", SingleValue("a")),
        ("LT", "a\\b", SingleValue("a\\b")),
        ("UT", " free text ", SingleValue("free text")),
        ("UR", "http://a/?b=*", Wildcard("http://a/?b=*")),
        ("PN", "*phan*", Wildcard("*phan*")),
        ("PN", "D?e***", Wildcard("D?e*")),
        ("PN", "?", Wildcard("?")),
        ("PN", "Doe^Jane^^^", SingleValue("Doe^Jane")),
        ("PN", "Yamada^Tarou=山田^太郎=", SingleValue("Yamada^Tarou=山田^太郎")),
        ("PN", "^", SingleValue("^")),
        ("CS", "CT\\MR", AnyOf(("CT", "MR"))),
        ("CS", "M*", Wildcard("M*")),
        ("LO", "a*\\b\\a**", OneOf((Wildcard("a*"), SingleValue("b")))),
        ("CS", "M?\\CT", OneOf((Wildcard("M?"), SingleValue("CT")))),
        ("PN", "Doe*\\Roe^", OneOf((Wildcard("Doe*"), SingleValue("Roe")))),
        ("UI", "1.2.3\0", SingleValue("1.2.3")),
        ("UI", "1.2\\1.3\\1.2", AnyOf(("1.2", "1.3"))),
        ("UI", "1.2\\", SingleValue("1.2")),
        ("IS", " +007 ", SingleValue("7")),
        ("IS", "12.0", SingleValue("12")),
        ("IS", "1\\2", AnyOf(("1", "2"))),
        ("DS", "1.50", SingleValue("1.5")),
        ("DS", "1e2", SingleValue("100")),
        ("US", "512", SingleValue("512")),
        ("FD", "-0.25", SingleValue("-0.25")),
        ("AT", "(0028,001a)", SingleValue("0028001A")),
        ("AS", "045Y", SingleValue("045Y")),
    ],
)
def test_single_values_lists_and_wildcards(vr: str, text: str, expected: Match) -> None:
    assert parse_match(vr, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20240229", SingleValue("20240229")),
        ("1997.04.24", SingleValue("19970424")),
        ("20240101-20240131", Range("20240101", "20240131")),
        (" 20240101 - 20240131 ", Range("20240101", "20240131")),
        ("-20240131", Range(None, "20240131")),
        ("20240101-", Range("20240101", None)),
        ("1997.04.24-", Range("19970424", None)),
        ("20240201-20240231", Range("20240201", "20240229")),
        ("20230231-20230430", Range("20230301", "20230430")),
        ("-", None),
        ("20240101\\20240102", AnyOf(("20240101", "20240102"))),
    ],
)
def test_dates(text: str, expected: Match | None) -> None:
    assert parse_match("DA", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10", Range("100000.000000", "105959.999999")),
        ("1030", Range("103000.000000", "103059.999999")),
        ("103015", Range("103015.000000", "103015.999999")),
        ("103015.5", Range("103015.500000", "103015.599999")),
        ("103015.123456", SingleValue("103015.123456")),
        ("10:30:15", Range("103015.000000", "103015.999999")),
        ("235960", Range("235959.000000", "235959.999999")),
        ("10-11", Range("100000.000000", "115959.999999")),
        ("-1030", Range(None, "103059.999999")),
        ("1030-", Range("103000.000000", None)),
    ],
)
def test_times_mean_the_whole_span_that_they_name(text: str, expected: Match) -> None:
    assert parse_match("TM", text) == expected


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2024", "20240101000000.000000", "20241231235959.999999"),
        ("202402", "20240201000000.000000", "20240229235959.999999"),
        ("20240131-0500", "20240131000000.000000-0500", "20240131235959.999999-0500"),
        ("20240131+0530", "20240131000000.000000+0530", "20240131235959.999999+0530"),
        ("2010-2012", "20100101000000.000000", "20121231235959.999999"),
        (
            "20240131-0500-20240201-0500",
            "20240131000000.000000-0500",
            "20240201235959.999999-0500",
        ),
        ("20240131-0500-", "20240131000000.000000-0500", None),
        ("-20240131-0500", None, "20240131235959.999999-0500"),
        ("2024013110-", "20240131100000.000000", None),
        ("202401311030-202401311031", "20240131103000.000000", "20240131103159.999999"),
        ("20240131103015.5+0100 - ", "20240131103015.500000+0100", None),
    ],
)
def test_date_times_know_an_offset_from_a_range(
    text: str, low: str | None, high: str | None
) -> None:
    assert parse_match("DT", text) == Range(low, high)


@pytest.mark.parametrize(
    ("vr", "text"),
    [
        ("DA", "2024"),
        ("DA", "20241301"),
        ("DA", "20240230"),
        ("DA", "00000101"),
        ("DA", "2024-01-01"),
        ("DA", "202401*"),
        ("DA", "20240101-20240102-20240103"),
        ("DA", "20240101-20240102\\20240105"),
        ("DA", "yesterday"),
        ("TM", "25"),
        ("TM", "1"),
        ("TM", "1060"),
        ("TM", "10\\11"),
        ("TM", "10?"),
        ("DT", "202"),
        ("DT", "20240230"),
        ("DT", "20240101-20240102-20240103"),
        ("UI", "1.2.*"),
        ("IS", "one"),
        ("IS", "1.5"),
        ("IS", "99999999999"),
        ("US", "-1"),
        ("DS", "1_0"),
        ("DS", "nan"),
        ("DS", "1e999"),
        ("AT", "PatientID"),
        ("UI", "1.2\\*"),
        ("DA", "20240131\\*"),
        ("OB", "x"),
    ],
)
def test_malformed_values_are_refused(vr: str, text: str) -> None:
    with pytest.raises(InvalidQuery):
        parse_match(vr, text)


def test_the_message_names_attribute_and_remedy_and_not_the_value() -> None:
    with pytest.raises(InvalidQuery) as refused:
        parse_match("DA", "19470230", tag=0x00100030)
    message = str(refused.value)
    assert "PatientBirthDate (0010,0030)" in message
    assert "YYYYMMDD-YYYYMMDD" in message
    assert "1947" not in message


def test_commas_are_a_list_only_where_the_door_says_so() -> None:
    assert parse_match("UI", "1.2,1.3") == SingleValue("1.2,1.3")
    assert parse_match("UI", "1.2,1.3\\1.4", comma_lists=True) == AnyOf(("1.2", "1.3", "1.4"))
    assert parse_match("CS", "MR,CT", comma_lists=True) == AnyOf(("MR", "CT"))
    assert parse_match("PN", "Doe, Jane", comma_lists=True) == SingleValue("Doe, Jane")


def test_a_thousand_uids_all_filter() -> None:
    uids = tuple(f"1.2.{number}" for number in range(1000))
    assert parse_match("UI", "\\".join(uids)) == AnyOf(uids)


@given(st.sampled_from(sorted(MATCHABLE_VRS | {"OB", "SQ", "UN"})), st.text(max_size=40))
def test_any_text_gives_a_match_or_an_invalid_query(vr: str, text: str) -> None:
    try:
        match = parse_match(vr, text, comma_lists=True)
    except InvalidQuery:
        return
    if isinstance(match, Wildcard):
        assert vr in WILDCARD_VRS
    if isinstance(match, Range):
        assert vr in RANGE_VRS
        assert match.low or match.high


@given(st.datetimes())
def test_every_moment_is_a_span_that_holds_it(moment: object) -> None:
    text = f"{moment:%H%M%S.%f}"
    for length in (2, 4, 6, 8, 13):
        span = times.time_span(text[:length])
        assert span is not None
        assert span[0] <= text <= span[1]


# --- whole identifiers ---


def test_an_identifier_gives_filters_and_return_tags() -> None:
    keys = keys_of_identifier(
        {
            "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
            "00080020": {"vr": "DA", "Value": ["20240101-"]},
            "00080052": {"vr": "CS", "Value": ["STUDY"]},
            "00080061": {"vr": "CS", "Value": ["CT", "MR"]},
            "00080201": {"vr": "SH", "Value": ["+0100"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe*", "Phonetic": "x"}]},
            "00100020": {"vr": "LO"},
            "0020000D": {"vr": "UI", "Value": ["1.2", "1.3"]},
            "00201208": {"vr": "IS", "Value": [5.0]},
            "00280010": {"vr": "US", "Value": [512]},
        }
    )
    assert keys.filters == (
        Filter(0x00080020, Range("20240101", None)),
        Filter(0x00080061, AnyOf(("CT", "MR"))),
        Filter(0x00100010, Wildcard("Doe*==x")),
        Filter(0x0020000D, AnyOf(("1.2", "1.3"))),
        Filter(0x00201208, SingleValue("5")),
        Filter(0x00280010, SingleValue("512")),
    )
    assert 0x00100020 in keys.return_tags
    assert not {0x00080005, 0x00080052} & keys.return_tags
    assert keys.ignored == ()


def test_a_sequence_item_matches_as_a_whole() -> None:
    item = {
        "00080100": {"vr": "SH", "Value": ["T1"]},
        "00080102": {"vr": "SH"},
        "00400008": {"vr": "SQ", "Value": [{"00080104": {"vr": "LO", "Value": ["x*"]}}]},
    }
    keys = keys_of_identifier({"00400275": {"vr": "SQ", "Value": [item]}})
    inner = ItemMatch((Filter(0x00080104, Wildcard("x*")),))
    assert keys.filters == (
        Filter(
            0x00400275,
            ItemMatch((Filter(0x00080100, SingleValue("T1")), Filter(0x00400008, inner))),
        ),
    )


@pytest.mark.parametrize("items", [[], [{}], [{"00080100": {"vr": "SH"}}]])
def test_a_sequence_without_values_is_universal(items: list[object]) -> None:
    keys = keys_of_identifier({"00400275": {"vr": "SQ", "Value": items}})
    assert keys.filters == ()
    assert keys.return_tags == {0x00400275}


@pytest.mark.parametrize("items", [[{}, {}], ["text"], "text", [{"00080100": "text"}]])
def test_a_sequence_of_anything_else_is_refused(items: object) -> None:
    with pytest.raises(InvalidQuery, match="RequestAttributesSequence"):
        keys_of_identifier({"00400275": {"vr": "SQ", "Value": items}})


def test_the_standard_vr_counts_and_unknown_binary_is_read_as_text() -> None:
    keys = keys_of_identifier(
        {
            "00080020": {"vr": "LO", "Value": ["20240101"]},
            "00100020": {"vr": "UN", "InlineBinary": "UElEIA=="},
        }
    )
    assert keys.filters == (
        Filter(STUDY_DATE, SingleValue("20240101")),
        Filter(0x00100020, SingleValue("PID")),
    )


def test_what_cannot_be_matched_is_returned_and_named() -> None:
    keys = keys_of_identifier(
        {
            "00090010": {"vr": "LO", "Value": ["ACME"]},
            "00091001": {"vr": "LO", "Value": ["x"]},
            "7FE00010": {"vr": "OW", "InlineBinary": "QUJD"},
        }
    )
    assert keys.filters == ()
    assert keys.ignored == (0x00091001, 0x7FE00010)


# --- parameters ---


def test_parameters_by_keyword_and_tag() -> None:
    keys = keys_of_parameters(
        [
            ("PatientName", "*phan*"),
            ("00080020", "20240101-20240131"),
            ("ModalitiesInStudy", "MR,CT"),
            ("StudyInstanceUID", "1.2\\1.3"),
            ("StudyDescription", ""),
        ]
    )
    assert keys.filters == (
        Filter(0x00080020, Range("20240101", "20240131")),
        Filter(0x00080061, AnyOf(("MR", "CT"))),
        Filter(0x00100010, Wildcard("*phan*")),
        Filter(0x0020000D, AnyOf(("1.2", "1.3"))),
    )
    assert 0x00081030 in keys.return_tags


def test_paths_into_one_sequence_match_in_one_item() -> None:
    keys = keys_of_parameters(
        [
            ("RequestAttributesSequence.ScheduledProcedureStepID", "S1"),
            ("00400275.00401001", "R1"),
            ("ProcedureCodeSequence", ""),
        ]
    )
    inner = (Filter(0x00400009, SingleValue("S1")), Filter(0x00401001, SingleValue("R1")))
    assert keys.filters == (Filter(0x00400275, ItemMatch(inner)),)
    assert keys.return_tags == {0x00400275, 0x00081032}


@pytest.mark.parametrize(
    "name", ["PatientID", "00100020", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
)
@pytest.mark.parametrize("value", ["", " ", "\\", "\\ \\", " \\\0", ",", " , ,\\"])
def test_an_empty_unique_key_never_selects_the_archive(name: str, value: str) -> None:
    """Separators alone are empty; commas are none in a PatientID, where they are text."""
    (found,) = keys_of_parameters([(name, value)]).filters
    is_text = "," in value and name in {"PatientID", "00100020"}
    assert is_text or found.match == AnyOf(())


def test_stars_alone_still_mean_everything() -> None:
    assert keys_of_parameters([("StudyInstanceUID", "*"), ("PatientID", "**")]).filters == ()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([("PatientNam", "x")], "names no attribute"),
        ([("0010002", "x")], "names no attribute"),
        ([("", "x")], "names no attribute"),
        ([("PatientID.PatientName", "x")], "no sequence"),
        ([("RequestAttributesSequence", "x")], "member behind a dot"),
        ([("Modality", "CT"), ("Modality", "MR")], "given twice"),
        ([(".".join(["00400275"] * 40), "x")], "more than"),
        ([("StudyDate", "today")], "StudyDate"),
    ],
)
def test_parameters_that_make_no_sense(parameters: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(InvalidQuery, match=message):
        keys_of_parameters(parameters)


def test_the_same_parameter_said_twice_alike_is_fine() -> None:
    keys = keys_of_parameters([("Modality", "CT"), ("00080060", "CT")])
    assert keys.filters == (Filter(0x00080060, SingleValue("CT")),)


def test_private_parameters_are_ignored_and_named() -> None:
    assert keys_of_parameters([("00091001", "x")]).ignored == (0x00091001,)


@pytest.mark.parametrize(
    ("vr", "pattern"),
    [("LO", "{}*"), ("CS", "A{}?"), ("PN", "Doe^{}"), ("PN", "{}*"), ("IS", "{}"), ("DS", "{}.5")],
)
def test_alternatives_that_are_conditions_of_their_own_are_bounded(vr: str, pattern: str) -> None:
    values = [pattern.format(number) for number in range(1, MAX_ALTERNATIVES + 1)]
    assert isinstance(parse_match(vr, "\\".join(values)), AnyOf | OneOf)
    assert parse_match(vr, "\\".join([*values, values[0]])) is not None, "no more than before"
    with pytest.raises(InvalidQuery, match=r"PatientID .*1000 alternatives"):
        parse_match(vr, "\\".join([*values, pattern.format(0)]), tag=0x00100020)


def test_days_are_bounded_too() -> None:
    days = [f"{year}{month:02}01" for year in range(1900, 2000) for month in range(1, 13)]
    with pytest.raises(InvalidQuery, match="alternatives"):
        parse_match("DA", "\\".join(days))


@pytest.mark.parametrize("vr", ["UI", "LO", "SH", "CS"])
def test_plain_lists_of_text_may_be_long(vr: str) -> None:
    values = tuple(f"1.{number}" for number in range(100 * MAX_ALTERNATIVES))
    assert parse_match(vr, "\\".join(values)) == AnyOf(values)
