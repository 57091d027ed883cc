"""Identifiers of C-FIND, C-MOVE and C-GET, read as queries and selections."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.samples import EXPLICIT, IMPLICIT, Typed, Value, dataset
from vna.errors import InvalidQuery
from vna.model.identifiers import Level, Selection
from vna.model.query import AnyOf, Filter, ItemMatch, JsonElement, SingleValue, Wildcard
from vna.scp.identifier import (
    MAX_KEYS,
    Identifier,
    read_identifier,
    to_find_request,
    to_selection,
)
from vna.scp.policy import Model
from vna.scp.status import UndecodableIdentifier


def read(
    level: str | None,
    keys: Mapping[str, Value],
    *,
    model: Model = Model.PATIENT_ROOT,
    syntax: str = EXPLICIT,
) -> Identifier:
    elements: dict[str | int, Value | Typed] = {}
    elements.update(keys.items())
    if level is not None:
        elements["QueryRetrieveLevel"] = level
    return read_identifier(dataset(elements, syntax), syntax, model)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("text", ["STUDY", "STUDY ", "study"])
def test_the_level_is_read_leniently(text: str, syntax: str) -> None:
    assert read(text, {"PatientID": "1"}, syntax=syntax).level is Level.STUDY


@pytest.mark.parametrize("level", [None, "", "STUDIES", "FRAME"])
def test_a_missing_or_unknown_level_is_an_invalid_query(level: str | None) -> None:
    with pytest.raises(InvalidQuery, match=r"Query/Retrieve Level"):
        read(level, {"PatientID": "1"})


def test_study_root_has_no_patient_level() -> None:
    with pytest.raises(InvalidQuery, match=r"STUDY, SERIES, IMAGE"):
        read("PATIENT", {"PatientID": "1"}, model=Model.STUDY_ROOT)


@pytest.mark.parametrize("data", [b"", b"\x08\x00\x52"])
def test_bytes_without_an_element_cannot_be_decoded(data: bytes) -> None:
    with pytest.raises(UndecodableIdentifier):
        read_identifier(data, EXPLICIT, Model.STUDY_ROOT)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("cut", [1, 3, 5, 9, 12])
def test_an_identifier_that_was_cut_off_never_asks_for_more(syntax: str, cut: int) -> None:
    elements = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3.45"}
    whole = dataset(elements, syntax)
    with pytest.raises(UndecodableIdentifier):
        read_identifier(whole[:-cut], syntax, Model.STUDY_ROOT)


def test_keys_become_filters_and_everything_asked_for_is_returned() -> None:
    keys: dict[str, Value] = {
        "PatientName": "DOE*",
        "StudyInstanceUID": ["1.2", "1.3"],
        "StudyDate": "",
        "PatientID": "7",
    }
    request = to_find_request(read("STUDY", keys))
    assert set(request.query.filters) == {
        Filter(0x00100010, Wildcard("DOE*")),
        Filter(0x0020000D, AnyOf(("1.2", "1.3"))),
        Filter(0x00100020, SingleValue("7")),
    }
    assert request.query.level is Level.STUDY
    assert request.query.return_tags == frozenset(
        {0x00080005, 0x00080020, 0x00080056, 0x00100010, 0x00100020, 0x0020000D}
    )
    assert set(request.keys) == {"00080020", "00100010", "00100020", "0020000D"}
    assert request.all_supported


def test_sequences_match_by_their_item() -> None:
    keys: dict[str, Value] = {"ProcedureCodeSequence": [{"CodeValue": "P1", "CodeMeaning": ""}]}
    request = to_find_request(read("STUDY", keys))
    match = ItemMatch((Filter(0x00080100, SingleValue("P1")),))
    assert request.query.filters == (Filter(0x00081032, match),)


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({"StudyStatusID": ""}, id="not kept"),
        pytest.param({"StudyStatusID": "X"}, id="not kept, with a value"),
        pytest.param({"NumberOfFrames": ""}, id="of a level below"),
    ],
)
def test_keys_that_are_not_kept_match_everything_and_are_told(keys: dict[str, Value]) -> None:
    request = to_find_request(read("STUDY", {"PatientID": "1", **keys}))
    assert not request.all_supported
    assert request.query.filters == (Filter(0x00100020, SingleValue("1")),)


def test_keys_of_levels_above_and_the_availability_are_supported() -> None:
    keys: dict[str, Value] = {"PatientID": "", "InstanceAvailability": "", "StudyDate": ""}
    assert to_find_request(read("IMAGE", keys)).all_supported


def test_control_elements_group_lengths_and_private_keys_are_not_answered() -> None:
    elements: dict[str | int, Value | Typed] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "QueryRetrieveLevel": "STUDY",
        "RetrieveAETitle": "",
        0x00100000: b"\x10\0\0\0",
        "PatientID": "1",
    }
    data = dataset(elements)
    private = b"\x11\x00\x10\x00LO\x04\x00ACME" + b"\x11\x00\x01\x10LO\x02\x00X "
    request = to_find_request(read_identifier(data + private, EXPLICIT, Model.STUDY_ROOT))
    assert set(request.keys) == {"00100020"}


def test_a_value_that_cannot_be_matched_is_an_invalid_query() -> None:
    with pytest.raises(InvalidQuery, match="StudyDate"):
        to_find_request(read("STUDY", {"StudyDate": "31.12.2020"}))


def test_a_selection_takes_lists_of_uids_and_the_keys_above() -> None:
    keys: dict[str, Value] = {
        "PatientID": "7 ",
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": ["1.2.3", "1.2.4", ""],
    }
    assert to_selection(read("SERIES", keys)) == Selection(("7",), ("1.2",), ("1.2.3", "1.2.4"), ())


def test_relational_selections_need_no_keys_above() -> None:
    identifier = read("IMAGE", {"SOPInstanceUID": "1.2.3"})
    assert to_selection(identifier) == Selection(sop_instance_uids=("1.2.3",))


@pytest.mark.parametrize(
    ("level", "keys"),
    [
        ("PATIENT", {"PatientID": ""}),
        ("PATIENT", {"PatientID": "*"}),
        ("PATIENT", {"PatientID": "**"}),
        ("PATIENT", {"StudyInstanceUID": "1.2"}),
        ("STUDY", {}),
        ("STUDY", {"StudyInstanceUID": ""}),
        ("STUDY", {"StudyInstanceUID": "*"}),
        ("STUDY", {"StudyInstanceUID": "1.2.*"}),
        ("STUDY", {"StudyInstanceUID": "../1.2"}),
        ("STUDY", {"PatientID": "7"}),
        ("SERIES", {"StudyInstanceUID": "1.2"}),
        ("IMAGE", {"StudyInstanceUID": "1.2", "SOPInstanceUID": ["", ""]}),
    ],
)
def test_nothing_without_its_unique_key_selects_anything(
    level: str, keys: dict[str, Value]
) -> None:
    with pytest.raises(InvalidQuery):
        to_selection(read(level, keys))


def unknown_keys(count: int) -> dict[str, JsonElement]:
    return {f"{0x50001000 + number:08X}": {"vr": "LO"} for number in range(count)}


def test_keys_that_are_not_kept_are_answered_but_not_looked_up() -> None:
    keys: dict[str, JsonElement] = {"00100020": {"vr": "LO"}, **unknown_keys(MAX_KEYS - 1)}
    request = to_find_request(Identifier(Level.STUDY, keys))
    assert set(request.keys) == set(keys)
    assert not request.all_supported
    assert request.query.return_tags == frozenset({0x00100020, 0x00080005, 0x00080056})


@pytest.mark.parametrize("is_nested", [False, True])
def test_too_many_keys_are_refused_wherever_they_stand(is_nested: bool) -> None:
    keys = unknown_keys(MAX_KEYS if is_nested else MAX_KEYS + 1)
    if is_nested:
        keys = {"00081032": {"vr": "SQ", "Value": [keys]}}
    with pytest.raises(InvalidQuery, match="more than 2000 keys"):
        to_find_request(Identifier(Level.STUDY, keys))


def test_a_member_of_items_that_is_not_kept_counts_as_universal() -> None:
    step: Mapping[str, Value] = {"ScheduledProcedureStepID": "S", "ScheduledStationAETitle": "X"}
    found = to_find_request(read("SERIES", {"RequestAttributesSequence": [step]}))
    kept = ItemMatch((Filter(0x00400009, SingleValue("S")),))
    assert found.query.filters == (Filter(0x00400275, kept),)
    assert not found.all_supported
