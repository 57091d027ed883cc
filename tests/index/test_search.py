"""What a query finds: every way of matching, at every level."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.index.samples import ORIGIN, attributes, element, new_instance
from vna.errors import InvalidQuery
from vna.index.columns import is_searchable
from vna.index.conditions import MOST_VALUES
from vna.index.instances import InstanceIndex
from vna.index.search import SearchIndex
from vna.model.identifiers import Level
from vna.model.query import (
    AnyOf,
    Filter,
    ItemMatch,
    Match,
    OneOf,
    Query,
    Range,
    SingleValue,
    Wildcard,
)

NAME, PATIENT_ID, BIRTH_DATE, SEX = 0x00100010, 0x00100020, 0x00100030, 0x00100040
STUDY_DATE, STUDY_TIME, ACCESSION, DESCRIPTION = 0x00080020, 0x00080030, 0x00080050, 0x00081030
STUDY_UID, SERIES_UID, SOP_UID, SOP_CLASS = 0x0020000D, 0x0020000E, 0x00080018, 0x00080016
MODALITY, SERIES_NUMBER, INSTANCE_NUMBER, ROWS = 0x00080060, 0x00200011, 0x00200013, 0x00280010
MODALITIES, SOP_CLASSES = 0x00080061, 0x00080062
MR_CLASS = "1.2.840.10008.5.1.4.1.1.4"


def uids(records: Iterator[object], tag: int = STUDY_UID) -> list[str]:
    return [record.attributes[f"{tag:08X}"]["Value"][0] for record in records]  # type: ignore[attr-defined]


def studies(search: SearchIndex, *filters: Filter) -> list[str]:
    return sorted(uids(search.find(Query(Level.STUDY, filters, frozenset({STUDY_UID})))))


@pytest.mark.parametrize(
    ("stored", "match", "expected"),
    [
        ("Doe^John", SingleValue("DOE^JOHN"), True),
        ("Doe^John", SingleValue("doe^john^^"), True),
        ("Doe^John^^^", SingleValue("Doe^John"), True),
        ("Doe^John", SingleValue("Doe"), False),
        ("Doe^John", Wildcard("doe*"), True),
        ("Doe^John", Wildcard("*OHN"), True),
        ("Doe^John", Wildcard("D?e^J*"), True),
        ("Doe^John", Wildcard("D?^J*"), False),
        ("Doe", Wildcard("doe^*"), True),
        ("Doering", Wildcard("doe^*"), False),
        ("Doe", Wildcard("*doe^*"), True),
        ("Doe^John", Wildcard("?OE^*"), True),
        ("Doering", Wildcard("*doe^*"), False),
        ("Doe^John", Wildcard("*e^J?hn"), True),
        ("Doe^John", Wildcard("*jhn*"), False),
        ("Doe^John", Wildcard("?*O*E*J*"), True),
        ("Doe", Wildcard("doe*^^*"), True),
        ("Doe^John", Wildcard("doe*=*"), True),
        ("Doe^John", Wildcard("*=*=*"), True),
        ("Doe^John", Wildcard("d*=x*"), False),
        ("Müller^Ä", SingleValue("MÜLLER^ä"), True),
        ("ИВАНОВ^Иван", Wildcard("иванов*"), True),
        ("Mu\u0308ller", SingleValue("Müller"), True),
        ("100%_a\\b", SingleValue("100%_A\\B"), True),
        ("100x", Wildcard("100%*"), False),
        ("100%", Wildcard("1*%"), True),
        ("a_c", Wildcard("a_?"), True),
        ("abc", Wildcard("a_?"), False),
        ("a\\c", Wildcard("a\\?"), True),
        ("Doe^John", AnyOf(("x", "DOE^JOHN")), True),
        ("Doe^John", AnyOf(()), False),
        ("Doe^John", SingleValue("Doe*"), False),
        ("Doe*", SingleValue("doe*"), True),
        ("", Wildcard("*a*"), False),
        (
            {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"},
            Wildcard("山田*"),
            True,
        ),
        ({"Alphabetic": "Yamada", "Phonetic": "やまだ^たろう"}, SingleValue("やまだ^たろう"), True),
        ({"Alphabetic": "Yamada", "Ideographic": "山田"}, SingleValue("yamada=山田"), True),
        ({"Alphabetic": "Yamada", "Ideographic": "山田"}, SingleValue("=山田"), True),
        ({"Alphabetic": "Yamada", "Ideographic": "山田"}, SingleValue("yamada=太郎"), False),
        ({"Alphabetic": "Yamada", "Ideographic": "山田"}, SingleValue("=yamada"), False),
    ],
)
@pytest.mark.parametrize("tag", [NAME, 0x00080090], ids=["column", "jsonb"])
def test_names(
    index: InstanceIndex,
    search: SearchIndex,
    tag: int,
    stored: object,
    match: Match,
    expected: bool,
) -> None:
    name = element("PN", stored)
    new = new_instance(patient={"00100010": name}, study_attributes={"00080090": name})
    index.register(new, ORIGIN)
    assert bool(studies(search, Filter(tag, match))) is expected


@pytest.mark.parametrize(
    ("tag", "match", "expected"),
    [
        (PATIENT_ID, SingleValue("P1"), True),
        (PATIENT_ID, SingleValue("p1"), False),
        (PATIENT_ID, SingleValue(""), False),
        (PATIENT_ID, Wildcard("P?"), True),
        (PATIENT_ID, AnyOf(("P9", "P1")), True),
        (PATIENT_ID, AnyOf(()), False),
        (0x00100021, SingleValue(""), True),
        (STUDY_DATE, SingleValue("20240131"), True),
        (STUDY_DATE, AnyOf(("20240130", "20240131")), True),
        (STUDY_DATE, Range("20240131", "20240131"), True),
        (STUDY_DATE, Range("20240101", None), True),
        (STUDY_DATE, Range(None, "20240130"), False),
        (STUDY_DATE, Range(None, None), True),
        (0x0008002A, Range(None, None), True),
        (STUDY_TIME, Range("101500.000000", "101500.999999"), True),
        (STUDY_TIME, SingleValue("101500.5"), True),
        (STUDY_TIME, Range("110000.000000", None), False),
        (STUDY_TIME, Range(None, "101500.400000"), False),
        (BIRTH_DATE, Range("19700101", "19701231"), True),
        (SEX, SingleValue("M"), True),
        (ACCESSION, Wildcard("ACC*"), True),
        (ACCESSION, Wildcard("ACC_"), False),
        (ACCESSION, OneOf((Wildcard("X*"), SingleValue("ACC1"))), True),
        (ACCESSION, OneOf((Wildcard("X*"), SingleValue("ACC"))), False),
        (NAME, OneOf((Wildcard("x*"), Wildcard("DOE*"))), True),
        (DESCRIPTION, OneOf((Wildcard("*100%"), SingleValue("x"))), True),
        (MODALITIES, OneOf((Wildcard("M?"), Wildcard("C?"))), True),
        (MODALITIES, OneOf((Wildcard("M?"), SingleValue("C"))), False),
        (DESCRIPTION, SingleValue("Thorax 100%"), True),
        (DESCRIPTION, Wildcard("Thorax 100%"), True),
        (DESCRIPTION, Wildcard("Thorax 10%"), False),
        (DESCRIPTION, Wildcard("*100%"), True),
        (DESCRIPTION, Wildcard("thorax*"), False),
        (DESCRIPTION, AnyOf(("a", "Thorax 100%")), True),
        (STUDY_UID, AnyOf(("1.1", "1.2")), True),
        (SERIES_UID, AnyOf(("1.1.1",)), True),
        (SOP_UID, SingleValue("1.1.1.1"), True),
        (SOP_UID, SingleValue("1.1.1"), False),
        (SOP_CLASS, SingleValue(MR_CLASS), False),
        (0x00083002, SingleValue("1.2.840.10008.1.2.1"), True),
        (MODALITY, SingleValue("CT"), True),
        (MODALITY, AnyOf(("MR", "US")), False),
        (SERIES_NUMBER, SingleValue("1"), True),
        (SERIES_NUMBER, SingleValue("1.0"), True),
        (SERIES_NUMBER, AnyOf(("2", "3")), False),
        (INSTANCE_NUMBER, Range("0", "2"), True),
        (ROWS, SingleValue("512"), True),
        (ROWS, SingleValue("51"), False),
        (ROWS, Range("100", "511.5"), False),
        (0x00180050, SingleValue("2.5"), True),
        (0x00180050, SingleValue("2.50"), True),
        (0x00080008, SingleValue("PRIMARY"), True),
        (0x00080008, Wildcard("AX*"), True),
        (0x00080008, SingleValue("ORIGINAL\\PRIMARY"), False),
        (0x00080023, SingleValue("20240201"), True),
        (0x00080023, Range(None, "20240131"), False),
        (0x00080033, Range("080000.000000", "085959.999999"), True),
        (0x0008002A, Range("20240131", "20240131235959.999999"), True),
        (0x0008002A, Range("20240131091500", "20240131091500.999999"), False),
        (0x0008002A, Range("20240131101500", "20240131101500.999999"), True),
        (0x0008002A, SingleValue("never"), False),
        (0x0008002A, Range("20240131091500+0000", "20240131091500.999999+0000"), True),
        (0x0008002A, SingleValue("20240131101500+0100"), True),
        (MODALITIES, SingleValue("CT"), True),
        (MODALITIES, AnyOf(("MR", "CT")), True),
        (MODALITIES, SingleValue("MR"), False),
        (MODALITIES, Wildcard("C*"), True),
        (SOP_CLASSES, SingleValue(MR_CLASS), False),
        (SOP_CLASSES, SingleValue("1.2.840.10008.5.1.4.1.1.2"), True),
        (0x00201206, SingleValue("1"), True),
        (0x00201208, AnyOf(("2", "3")), False),
        (0x00201204, SingleValue("1"), True),
        (0x00201209, SingleValue("1"), True),
        (0x00080056, SingleValue("ONLINE"), True),
        (0x00080056, SingleValue("NEARLINE"), False),
    ],
)
@pytest.mark.parametrize("level", list(Level))
def test_matching_at_every_level(
    index: InstanceIndex,
    search: SearchIndex,
    level: Level,
    tag: int,
    match: Match,
    expected: bool,
) -> None:
    new = new_instance(
        patient=attributes(T00100030=("DA", "19700615"), T00100040=("CS", "M")),
        instance_attributes=attributes(
            T00080008=("CS", "ORIGINAL", "PRIMARY", "AXIAL"),
            T00180050=("DS", 2.5),
            T00080023=("DA", "2024.02.01"),
            T00080033=("TM", "08:30"),
            T0008002A=("DT", "20240131101500+0100"),
        ),
    )
    index.register(new, ORIGIN)
    found = list(search.find(Query(level, (Filter(tag, match),))))
    assert len(found) == int(expected)
    assert not found or found[0].level is level


@pytest.mark.parametrize(
    ("tag", "match"),
    [
        (STUDY_DATE, SingleValue("2024-01-31")),
        (STUDY_DATE, Wildcard("2024*")),
        (NAME, Range("a", "b")),
        (ACCESSION, Range("a", "b")),
        (ACCESSION, ItemMatch(())),
        (ROWS, SingleValue("many")),
        (ROWS, SingleValue("nan")),
        (ROWS, Wildcard("5*")),
        (MODALITIES, Range("A", "B")),
        (0x00201206, Wildcard("*")),
    ],
)
def test_impossible_matches_are_refused_at_once(
    search: SearchIndex, tag: int, match: Match
) -> None:
    with pytest.raises(InvalidQuery):
        search.find(Query(Level.STUDY, (Filter(tag, match),)))


def test_hostile_values_match_nothing_and_break_nothing(
    index: InstanceIndex, search: SearchIndex
) -> None:
    index.register(new_instance(), ORIGIN)
    for value in ("'; DROP TABLE study; --", "%(v0)s", "{}", "a\0b", "\ud800", "\\", "%s" * 50):
        for tag in (NAME, ACCESSION, DESCRIPTION, PATIENT_ID):
            assert studies(search, Filter(tag, SingleValue(value))) == []
            assert studies(search, Filter(tag, Wildcard(value + "*"))) == []
    assert studies(search) == ["1.1"]


def test_invalid_stored_dates_match_no_range(index: InstanceIndex, search: SearchIndex) -> None:
    odd = attributes(T00080020=("DA", "20249999"), T00080030=("TM", "noon"))
    index.register(new_instance(study_attributes=odd), ORIGIN)
    assert studies(search, Filter(STUDY_DATE, Range(None, None))) == []
    assert studies(search, Filter(STUDY_DATE, Range("00010101", "99991231"))) == []
    assert studies(search, Filter(STUDY_TIME, Range("000000", None))) == []
    assert studies(search) == ["1.1"]


def code(value: str, scheme: str, **others: object) -> dict[str, object]:
    return {"00080100": element("SH", value), "00080102": element("SH", scheme), **others}


def test_sequences_match_all_keys_in_one_item(index: InstanceIndex, search: SearchIndex) -> None:
    items = [code("A", "X"), code("B", "Y")]
    index.register(
        new_instance(
            study_attributes={"00081032": element("SQ", *items)},
            series_attributes={
                "00400275": element("SQ", {"00321064": element("SQ", code("N", "Z"))})
            },
        ),
        ORIGIN,
    )

    def item(value: str, scheme: str) -> ItemMatch:
        return ItemMatch(
            (Filter(0x00080100, SingleValue(value)), Filter(0x00080102, SingleValue(scheme)))
        )

    assert studies(search, Filter(0x00081032, item("A", "X"))) == ["1.1"]
    assert studies(search, Filter(0x00081032, item("B", "Y"))) == ["1.1"]
    assert studies(search, Filter(0x00081032, item("A", "Y"))) == []
    nested = ItemMatch((Filter(0x00321064, item("N", "Z")),))
    assert studies(search, Filter(0x00400275, nested)) == ["1.1"]
    other = ItemMatch((Filter(0x00321064, item("N", "Q")),))
    assert studies(search, Filter(0x00400275, other)) == []


def test_deeper_filters_meet_in_one_series(index: InstanceIndex, search: SearchIndex) -> None:
    index.register(new_instance(series="1", instance="1"), ORIGIN)
    second = attributes(T00080060=("CS", "SR"), T00200011=("IS", 2))
    index.register(new_instance(series="2", instance="2", series_attributes=second), ORIGIN)
    modality, number = Filter(MODALITY, SingleValue("SR")), Filter(SERIES_NUMBER, SingleValue("1"))
    assert studies(search, modality) == ["1.1"]
    assert studies(search, number) == ["1.1"]
    assert studies(search, modality, number) == []
    assert studies(search, Filter(MODALITIES, SingleValue("CT")), modality) == ["1.1"]


def test_thousands_of_uids_filter(index: InstanceIndex, search: SearchIndex) -> None:
    for number in range(3):
        index.register(new_instance(f"1.{number}", f"1.{number}.1", f"1.{number}.2"), ORIGIN)
    many = tuple(f"9.{number}" for number in range(5000))
    assert studies(search, Filter(STUDY_UID, AnyOf(many))) == []
    assert studies(search, Filter(STUDY_UID, AnyOf((*many, "1.2", "1.0")))) == ["1.0", "1.2"]


def test_unknown_attributes_are_universal(index: InstanceIndex, search: SearchIndex) -> None:
    index.register(new_instance(), ORIGIN)
    assert studies(search, Filter(0x00191001, SingleValue("x"))) == ["1.1"]
    assert not is_searchable(0x00191001)
    assert is_searchable(NAME)
    assert is_searchable(0x00081032)
    assert is_searchable(MODALITIES)


def test_computed_attributes(index: InstanceIndex, search: SearchIndex) -> None:
    mr = attributes(T00080060=("CS", "MR"))
    none = attributes(T00080060=("CS", ""))
    index.register(new_instance(series="1", instance="1"), ORIGIN)
    index.register(new_instance(series="1", instance="2"), ORIGIN)
    index.register(
        new_instance(series="2", instance="3", series_attributes=mr, sop_class_uid=MR_CLASS), ORIGIN
    )
    index.register(new_instance("1.2", "3", "4", series_attributes=none), ORIGIN)
    wanted = frozenset(
        {
            STUDY_UID,
            MODALITIES,
            SOP_CLASSES,
            0x00201206,
            0x00201208,
            0x00201200,
            0x00201202,
            0x00201204,
        }
    )
    first, second = sorted(
        (record.attributes for record in search.find(Query(Level.STUDY, (), wanted))),
        key=lambda attributes: str(attributes["0020000D"]["Value"]),
    )
    assert first["00080061"] == {"vr": "CS", "Value": ["CT", "MR"]}
    assert first["00080062"]["Value"] == ["1.2.840.10008.5.1.4.1.1.2", MR_CLASS]
    assert first["00201206"] == {"vr": "IS", "Value": [2]}
    assert first["00201208"] == {"vr": "IS", "Value": [3]}
    assert first["00201200"] == {"vr": "IS", "Value": [2]}
    assert first["00201202"] == {"vr": "IS", "Value": [3]}
    assert first["00201204"] == {"vr": "IS", "Value": [4]}
    assert second["00080061"] == {"vr": "CS"}
    (series,) = search.find(
        Query(Level.SERIES, (Filter(SERIES_UID, SingleValue("1")),), frozenset({0x00201209}))
    )
    assert series.attributes == {"00201209": {"vr": "IS", "Value": [2]}}


def test_only_what_was_asked_is_returned(index: InstanceIndex, search: SearchIndex) -> None:
    index.register(new_instance(study_attributes=attributes(T00080050=("SH", ""))), ORIGIN)
    asked = frozenset({NAME, 0x00080050, 0x00100040, 0x00080056, 0x00191001, MODALITY})
    (record,) = search.find(Query(Level.STUDY, (), asked))
    assert record.attributes == {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^John"}]},
        "00080050": {"vr": "SH"},
        "00100040": {"vr": "CS"},
        "00080056": {"vr": "CS", "Value": ["ONLINE"]},
        "00191001": {"vr": "UN"},
        "00080060": {"vr": "CS"},
    }
    (nothing,) = search.find(Query(Level.STUDY, ()))
    assert nothing.attributes == {}


def test_everything_of_a_level_and_those_above(index: InstanceIndex, search: SearchIndex) -> None:
    new = new_instance()
    index.register(new, ORIGIN)
    (record,) = search.find(Query(Level.IMAGE, (), None))
    levels = new.attributes
    for stored in (levels.patient, levels.study, levels.series, levels.instance):
        for key, value in stored.items():
            if "Value" in value:
                assert record.attributes[key] == value
    (study,) = search.find(Query(Level.STUDY, (), None))
    assert "00080060" not in study.attributes
    assert all(element.get("Value", [0]) for element in study.attributes.values())


def test_order_is_newest_first_and_stable(index: InstanceIndex, search: SearchIndex) -> None:
    days = {"1.1": "20240101", "1.2": "20240301", "1.3": "", "1.4": "20240201", "1.5": "20240201"}
    for study, day in days.items():
        when = attributes(T00080020=("DA", day))
        index.register(
            new_instance(study, study + ".1", study + ".1.1", study_attributes=when), ORIGIN
        )
    whole = Query(Level.STUDY, (), frozenset({STUDY_UID}))
    expected = ["1.2", "1.5", "1.4", "1.1", "1.3"]
    assert uids(search.find(whole)) == expected
    pages = [
        uids(search.find(Query(Level.STUDY, (), frozenset({STUDY_UID}), 2, offset)))
        for offset in (0, 2, 4, 6)
    ]
    assert pages == [["1.2", "1.5"], ["1.4", "1.1"], ["1.3"], []]
    assert uids(search.find(Query(Level.STUDY, (), frozenset({STUDY_UID}), None, 3))) == [
        "1.1",
        "1.3",
    ]
    assert list(search.find(Query(Level.STUDY, (), frozenset(), 0))) == []


def test_series_and_instances_are_ordered_by_number(
    index: InstanceIndex, search: SearchIndex
) -> None:
    for number in (10, 9, 2):
        numbered = attributes(T00200013=("IS", number))
        index.register(new_instance(instance=str(number), instance_attributes=numbered), ORIGIN)
    odd = attributes(T00200013=("IS", ""))
    index.register(new_instance(instance="none", instance_attributes=odd), ORIGIN)
    found = uids(search.find(Query(Level.IMAGE, (), frozenset({SOP_UID}))), SOP_UID)
    assert found == ["2", "9", "10", "none"]


def test_as_many_values_as_are_allowed_are_found(index: InstanceIndex, search: SearchIndex) -> None:
    index.register(new_instance(), ORIGIN)
    values = tuple(Wildcard(f"no{number}*") for number in range(MOST_VALUES - 1))
    uid = studies(search)[0]
    assert studies(search, Filter(STUDY_UID, OneOf((*values, SingleValue(uid))))) == [uid]


def test_more_values_never_reach_the_database(search: SearchIndex) -> None:
    values = tuple(Wildcard(f"no{number}*") for number in range(MOST_VALUES + 1))
    with pytest.raises(InvalidQuery, match="20000 values"):
        search.find(Query(Level.STUDY, (Filter(STUDY_UID, OneOf(values)),)))
