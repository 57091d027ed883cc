"""The tokens of person names, and what is looked up for a wanted name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vna.dicom.person_names import SCHEME, TOKEN_LEVELS, names_by_key, tokens_of, wanted
from vna.model.identifiers import Level
from vna.model.query import AnyOf, ItemMatch, JsonElement, OneOf, Range, SingleValue, Wildcard

PATIENT_NAME = 0x00100010
_SYNTAX = re.compile(r"(?:[()&| ]|'[^'\\\s()&|:*!<>]+'(?::\*)?)+")


def name(*groups: str) -> JsonElement:
    return {
        "vr": "PN",
        "Value": [dict(zip(("Alphabetic", "Ideographic", "Phonetic"), groups, strict=False))],
    }


def test_the_tokens_of_this_scheme() -> None:
    """Tokens are stored: whoever changes how they are made changes SCHEME, so that they are made anew."""
    assert SCHEME == "1"
    assert tokens_of(name("Müller^Hans-Jörg^^Dr.")) == [
        "pHNSA", "pHNSJRKA", "pJRKO", "pMLRO", "wdr", "whans", "whansjorg", "wjorg", "wmuller",
    ]  # fmt: skip
    assert tokens_of(name("O'Brien^Pat")) == ["pOBRNO", "pPTA", "wobrien", "wpat"]
    assert tokens_of(name("", "山田^太郎", "やまだ^タロウ")) == sorted(
        ["w山田", "w太郎", "w山田太郎", "wやまだ", "wたろう", "wやまだたろう"]
    )


def test_names_without_letters_have_no_tokens() -> None:
    assert tokens_of(name("^^^")) == []
    assert tokens_of({"vr": "PN"}) == []
    assert tokens_of({"vr": "PN", "Value": [None, "text", {}]}) == []


def test_names_are_kept_by_attribute() -> None:
    patient: dict[str, JsonElement] = {
        "00100010": name("Doe"),
        "00100020": {"vr": "LO", "Value": ["Doe"]},
    }
    study: dict[str, JsonElement] = {"00080090": name("Roe"), "00081060": {"vr": "PN"}}
    assert names_by_key(patient, study) == {
        "00100010": tokens_of(name("Doe")),
        "00080090": tokens_of(name("Roe")),
    }


def test_a_study_has_the_names_of_its_patient() -> None:
    assert TOKEN_LEVELS[PATIENT_NAME] is Level.STUDY
    assert TOKEN_LEVELS[0x00080090] is Level.STUDY
    assert TOKEN_LEVELS[0x00081050] is Level.SERIES


@pytest.mark.parametrize(
    "match",
    [
        Wildcard("*phan*"),
        SingleValue("***"),
        SingleValue("^"),
        OneOf((SingleValue("Doe"), Wildcard("*x"))),
        AnyOf(()),
        AnyOf(tuple(f"Doe{n}" for n in range(1000))),
        SingleValue("x" * 2000),
        Range("a", "b"),
        ItemMatch(()),
    ],
)
def test_what_tokens_cannot_find_is_matched_literally(match: object) -> None:
    assert wanted(PATIENT_NAME, match) is None  # type: ignore[arg-type]


@given(st.text(max_size=80))
def test_any_text_becomes_a_query_of_plain_words(text: str) -> None:
    for match in (SingleValue(text), Wildcard(text)):
        query = wanted(PATIENT_NAME, match)
        assert query is None or _SYNTAX.fullmatch(query)
