"""Sequences cut down to the members that were asked for."""

from __future__ import annotations

from vna.dicom.items_cut import cut, wanted_by
from vna.model.query import JsonElement

CODE, MEANING, INNER, OUTER, NAME = 0x00080100, 0x00080104, 0x00400008, 0x00400275, 0x00100010


def element(vr: str, *values: object) -> JsonElement:
    return {"vr": vr, "Value": list(values)}


def test_who_names_a_sequence_gets_the_whole_of_it() -> None:
    assert wanted_by([[OUTER, CODE], [OUTER, MEANING], [NAME]]) == {
        OUTER: {CODE: None, MEANING: None},
        NAME: None,
    }
    for paths in ([[OUTER], [OUTER, CODE]], [[OUTER, CODE], [OUTER]]):
        assert wanted_by(paths) == {OUTER: None}
    assert wanted_by([]) == {}


def test_items_keep_what_was_asked_for_in_the_order_of_tags() -> None:
    item = {"00080104": element("LO", "m"), "00080100": element("SH", "c"), "00080102": {}}
    found = cut(
        {"00400275": element("SQ", item, {}), "00100010": element("PN", {"Alphabetic": "A"})},
        wanted_by([[OUTER, MEANING], [OUTER, CODE], [NAME]]),
    )
    assert found["00100010"] == element("PN", {"Alphabetic": "A"})
    assert found["00400275"] == element(
        "SQ",
        {"00080100": element("SH", "c"), "00080104": element("LO", "m")},
        {"00080100": {"vr": "SH"}, "00080104": {"vr": "LO"}},
    )
    assert list(found["00400275"]["Value"][0]) == ["00080100", "00080104"]  # type: ignore[index]


def test_sequences_in_sequences_are_cut_too() -> None:
    inner = element("SQ", {"00080100": element("SH", "c"), "00080104": element("LO", "m")})
    found = cut({"00400275": element("SQ", {"00400008": inner})}, {OUTER: {INNER: {CODE: None}}})
    assert found == {
        "00400275": element("SQ", {"00400008": element("SQ", {"00080100": element("SH", "c")})})
    }


def test_what_has_no_items_stays_as_it_is() -> None:
    several: list[dict[str, JsonElement]] = [
        {},
        {"00400275": {"vr": "SQ"}},
        {"00400275": element("SQ", "odd")},
    ]
    for attributes in several:
        assert cut(attributes, {OUTER: {CODE: None}}) == attributes
