"""Tag rules: how they are declared, and what they make of an object."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import samples
from vna.errors import ConfigError, InvalidInstance
from vna.migration.rules.correcting import Corrector, NotCorrectable, Terms
from vna.migration.rules.declaration import parse_rules, read_rules
from vna.migration.rules.maps import parse_map
from vna.migration.rules.preview import Change, Previewer, Sample
from vna.model.corrections import Correction, correction_of, correction_tree
from vna.model.rules import RulesText

SINCE = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
WORDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), max_size=9
)
VALUES = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "Zs"), exclude_characters="\\"),
    min_size=1,
    max_size=64,
).filter(lambda text: text == text.strip() and text.isprintable())


def corrector(text: str, **maps: str) -> Corrector:
    named = {f"{name}.csv": f"from,to\n{content}" for name, content in maps.items()}
    rules = parse_rules(RulesText(text, named, "HERE"))
    return Corrector(rules, Terms("campaign silo, version 1", "silo", SINCE))


def corrected(text: str, data: bytes, **maps: str) -> Correction | None:
    return corrector(text, **maps).correction(data)


def values(correction: Correction | None) -> dict[str, object]:
    """The single new value of each element."""
    assert correction is not None
    return {key: item.get("Value", [""])[0] for key, item in correction.elements.items()}  # type: ignore[index]


def ct(**others: object) -> bytes:
    return samples.small(**({"PatientID": "123", "InstitutionName": "North"} | others))  # type: ignore[arg-type]


ISSUERS = """
source = "Clinic North"
[[rule]]
attribute = "IssuerOfPatientID"
default = "NORTH"
when = { InstitutionName = ["N?rth*", "/[Ss]outh [0-9]+/"] }
[[rule]]
attribute = "IssuerOfPatientID"
set = "OTHER"
when = { PatientID = "X*", StationName = "" }
"""


def test_a_correction_says_what_it_goes_by_and_survives_being_kept() -> None:
    found = corrected(ISSUERS, ct())
    assert found == Correction(
        "HERE",
        "Clinic North",
        "campaign silo, version 1",
        SINCE,
        {"00100021": {"vr": "LO", "Value": ["NORTH"]}},
    )
    assert correction_of(correction_tree(found)) == found


@pytest.mark.parametrize(
    ("elements", "issuer"),
    [
        ({}, "NORTH"),
        ({"InstitutionName": "North-East"}, "NORTH"),
        ({"InstitutionName": "South 12"}, "NORTH"),
        ({"InstitutionName": "South 12b"}, None),
        ({"InstitutionName": "north"}, None),
        ({"IssuerOfPatientID": "OWN"}, None),  # the first rule that applies decides, and leaves it
        ({"InstitutionName": "East", "PatientID": "X1"}, "OTHER"),
        ({"InstitutionName": "East", "PatientID": "X1", "IssuerOfPatientID": "OWN"}, "OTHER"),
        ({"InstitutionName": "East", "PatientID": "X1", "IssuerOfPatientID": "OTHER"}, None),
        ({"InstitutionName": "East", "PatientID": "X1", "StationName": "CT1"}, None),
    ],
)
def test_the_first_rule_whose_conditions_are_met_decides(
    elements: dict[str, str], issuer: str | None
) -> None:
    found = corrected(ISSUERS, ct(**elements))
    assert (None if found is None else values(found)["00100021"]) == issuer


def test_an_ae_title_of_the_file_meta_is_a_condition() -> None:
    text = '[[rule]]\nattribute = "IssuerOfPatientID"\nset = "A"\nwhen.SourceApplicationEntityTitle = "CT_*"'
    data = ct()
    meta = b"\x02\x00\x16\x00AE\x04\x00CT_1"
    end = 144 + int.from_bytes(data[140:144], "little")
    length = (end - 144 + len(meta)).to_bytes(4, "little")
    labelled = data[:140] + length + data[144:end] + meta + data[end:]
    assert corrected(text, data) is None
    assert values(corrected(text, labelled)) == {"00100021": "A"}


def test_what_describes_an_issuer_goes_with_it() -> None:
    qualifiers = [{"UniversalEntityID": "1.2.3", "UniversalEntityIDType": "ISO"}]
    text = '[[rule]]\nattribute = "IssuerOfPatientID"\nset = "NEW"'
    found = corrected(text, ct(IssuerOfPatientIDQualifiersSequence=qualifiers))
    assert found is not None
    assert found.elements["00100024"] == {"vr": "SQ"}
    assert "00100024" not in values(corrected(text, ct()))


PREFIX = '[[rule]]\nattribute = "PatientID"\nprefix = "N-"'


def test_a_prefix_never_makes_two_values_one() -> None:
    assert values(corrected(PREFIX, ct())) == {"00100020": "N-123"}
    assert values(corrected(PREFIX, ct(PatientID="N-123"))) == {"00100020": "N-N-123"}
    assert corrected(PREFIX, ct(PatientID="")) is None


def test_a_value_that_becomes_too_long_is_parked() -> None:
    text = '[[rule]]\nattribute = "AccessionNumber"\nprefix = "SILO-"'
    assert values(corrected(text, ct(AccessionNumber="12345678901"))) == {
        "00080050": "SILO-12345678901"
    }
    with pytest.raises(
        NotCorrectable, match=r"AccessionNumber.*17 characters, SH takes 16"
    ) as told:
        corrected(text, ct(AccessionNumber="123456789012"))
    assert "123456789012" not in str(told.value)


@pytest.mark.parametrize(
    ("unmapped", "number", "becomes"),
    [
        ('"keep"', "1", "A-1"),
        ('"keep"', "2", None),
        ('"prefix"\nprefix = "S-"', "1", "A-1"),
        ('"prefix"\nprefix = "S-"', "2", "S-2"),
        ('"prefix"\nprefix = "S-"', "", None),
        ('"park"', "1", "A-1"),
        ('"park"', "", None),
    ],
)
def test_what_a_map_lacks_goes_as_declared(unmapped: str, number: str, becomes: str | None) -> None:
    text = f'[[rule]]\nattribute = "AccessionNumber"\nmap = "numbers.csv"\nunmapped = {unmapped}'
    found = corrected(text, ct(AccessionNumber=number), numbers="1,A-1\n")
    assert (None if found is None else values(found)["00080050"]) == becomes


def test_what_a_map_lacks_may_be_parked_and_no_value_is_told() -> None:
    text = '[[rule]]\nattribute = "AccessionNumber"\nmap = "numbers.csv"\nunmapped = "park"'
    with pytest.raises(NotCorrectable, match=r"numbers\.csv does not have AccessionNumber") as told:
        corrected(text, ct(AccessionNumber="4711"), numbers="1,A-1\n")
    assert "4711" not in str(told.value)
    assert isinstance(told.value, InvalidInstance)


def test_a_map_may_be_looked_up_by_another_element() -> None:
    text = (
        '[[rule]]\nattribute = "IssuerOfPatientID"\nmap = "sites.csv"\nby = "InstitutionName"\n'
        'unmapped = "park"'
    )
    maps = {"sites": "North,NORTH\n"}
    assert values(corrected(text, ct(), **maps)) == {"00100021": "NORTH"}
    for name in ("East", ""):
        with pytest.raises(NotCorrectable):
            corrected(text, ct(InstitutionName=name), **maps)


def test_conditions_and_maps_see_what_came_and_not_what_other_rules_made_of_it() -> None:
    text = (
        f"{PREFIX}\n"
        '[[rule]]\nattribute = "IssuerOfPatientID"\nset = "NORTH"\nwhen.PatientID = "123"\n'
        '[[rule]]\nattribute = "InstitutionName"\nmap = "sites.csv"\nby = "PatientID"\nunmapped = "park"'
    )
    assert values(corrected(text, ct(), sites="123,West\n")) == {
        "00100020": "N-123",
        "00100021": "NORTH",
        "00080080": "West",
    }


CYRILLIC = '[[rule]]\nattribute = "SpecificCharacterSet"\nset = "ISO_IR 144"\n'


def foreign(label: str = "ISO_IR 100", **others: object) -> bytes:
    """An object whose institution is in ISO 8859-5, whatever the label says."""
    data = ct(SpecificCharacterSet=label, InstitutionName="QQQQQQ", **others)
    return data.replace(b"QQQQQQ", "Больша".encode("iso8859-5"))


def test_the_true_character_set_is_declared_and_other_rules_read_by_it() -> None:
    text = (
        CYRILLIC
        + '[[rule]]\nattribute = "IssuerOfPatientID"\nset = "B"\nwhen.InstitutionName = "Боль*"'
    )
    found = corrected(text, foreign())
    assert found is not None
    assert (found.character_set, values(found)) == (("ISO_IR 144",), {"00100021": "B"})


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (foreign("ISO_IR 144"), "it says so itself"),
        (ct(SpecificCharacterSet="ISO_IR 100"), "all its texts are ASCII"),
        (ct(ReferencedStudySequence=[{"ReferencedSOPInstanceUID": "1.2"}]), "so are its items"),
    ],
)
def test_a_character_set_is_left_where_it_means_nothing(data: bytes, why: str) -> None:
    assert corrected(CYRILLIC, data) is None, why


def test_foreign_text_inside_an_item_counts() -> None:
    item = {"ScheduledProcedureStepDescription": "QQQQQQ"}
    data = ct(SpecificCharacterSet="ISO_IR 100", RequestAttributesSequence=[item])
    data = data.replace(b"QQQQQQ", "Больша".encode("iso8859-5"))
    found = corrected(CYRILLIC, data)
    assert found is not None
    assert found.character_set == ("ISO_IR 144",)


def test_a_character_set_may_depend_on_the_label() -> None:
    text = f'{CYRILLIC}when.SpecificCharacterSet = ""\n'
    assert corrected(text, foreign()) is None
    found = corrected(text, foreign(label=""))
    assert found is not None
    assert found.character_set == ("ISO_IR 144",)


def test_a_preview_tells_texts_that_do_not_fit_and_shows_a_label_that_changes() -> None:
    data = ct(SpecificCharacterSet="", InstitutionName="Q" * 12)
    data = data.replace(b"Q" * 12, "Больша".encode())

    def look(text: str) -> Sample:
        rules = parse_rules(RulesText(text, {}, "HERE"))
        previewer = Previewer(rules, Corrector(rules, Terms()))
        previewer.look(data)
        return previewer.preview.samples[0]

    before = look(PREFIX)
    assert (before.is_odd, before.stays_odd, before.is_unicode) == (True, True, True)
    assert before.foreign == (("InstitutionName", "Больша"),)  # a good guess
    assert [change.keyword for change in before.changes] == ["PatientID"]
    after = look('[[rule]]\nattribute = "SpecificCharacterSet"\nset = "ISO_IR 192"\nname = "x"')
    assert (after.is_odd, after.stays_odd) == (True, False)
    assert after.changes == (Change("SpecificCharacterSet", "", "ISO_IR 192", "x"),)
    assert not before.has_issuer


def test_what_is_no_dicom_is_refused_as_ever() -> None:
    with pytest.raises(InvalidInstance) as told:
        corrected(PREFIX, b"GIF89a" * 100)
    assert not isinstance(told.value, NotCorrectable)
    assert corrected("", b"GIF89a" * 100) is None


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("[[rule", "is no TOML"),
        ("rules = 3", "unknown key 'rules'; there are rule, source, system"),
        ("rule = 3", "[[rule]]"),
        ('source = "a\\\\b"', "source is a text"),
        (
            '[[rule]]\nattribute = "PatientName"\nset = "X"',
            "'PatientName' is none that rules change",
        ),
        ('[[rule]]\nattribute = "StudyInstanceUID"\nset = "1"', "none that rules change"),
        ('[[rule]]\nattribute = "PatientID"', "rule 1 (PatientID): it takes one of"),
        (
            '[[rule]]\nname = "x"\nattribute = "PatientID"\nprefx = "X"',
            "rule 1 (x): unknown key 'prefx'",
        ),
        ('[[rule]]\nattribute = "PatientID"\nset = "X"\nprefix = "Y"', "it takes one of"),
        ('[[rule]]\nattribute = "PatientID"\nprefix = 3', "put it in quotes"),
        ('[[rule]]\nattribute = "PatientID"\nprefix = ""', "empty"),
        (f'[[rule]]\nattribute = "PatientID"\nprefix = "{"9" * 65}"', "65 characters, LO takes 64"),
        ('[[rule]]\nattribute = "PatientID"\nset = "9"', "make all of them one: say when"),
        ('[[rule]]\nattribute = "BodyPartExamined"\nset = "chest"', "no code"),
        (
            '[[rule]]\nattribute = "PatientID"\nprefix = "X"\nunmapped = "keep"',
            "unmapped belongs to a map",
        ),
        (
            '[[rule]]\nattribute = "PatientID"\nmap = "m.csv"',
            "unmapped is one of keep, prefix, park",
        ),
        ('[[rule]]\nattribute = "PatientID"\nmap = "m.csv"\nunmapped = "prefix"', "go together"),
        (
            '[[rule]]\nattribute = "PatientID"\nmap = "m.csv"\nunmapped = "keep"\nby = "Rows"',
            "no text",
        ),
        (
            '[[rule]]\nattribute = "PatientID"\nmap = "gone.csv"\nunmapped = "keep"',
            "gone.csv cannot be read",
        ),
        ('[[rule]]\nattribute = "PatientID"\nset = "X"\nwhen = "x"', "when is written as"),
        (
            '[[rule]]\nattribute = "PatientID"\nset = "X"\nwhen.Institution = "x"',
            "neither a keyword",
        ),
        (
            '[[rule]]\nattribute = "PatientID"\nset = "X"\nwhen.PatientID = "/(/"',
            "no regular expression",
        ),
        ('[[rule]]\nattribute = "PatientID"\nset = "X"\nwhen.PatientID = [1]', "needs a text"),
        ('[[rule]]\nattribute = "SpecificCharacterSet"\nset = "windows-1252"', "no defined term"),
        (
            '[[rule]]\nattribute = "SpecificCharacterSet"\nset = ["ISO_IR 192", "ISO_IR 100"]',
            "together",
        ),
        ('[[rule]]\nattribute = "SpecificCharacterSet"\nprefix = "ISO"', "nothing else"),
    ],
)
def test_what_is_wrong_with_rules_is_said_in_a_line(text: str, remedy: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("from,to\na,b\n")
    file = tmp_path / "rules.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as told:
        read_rules(file, "HERE")
    assert remedy in str(told.value)
    assert str(tmp_path) in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("content", "line", "remedy"),
    [
        (b"", 1, "the first line must be from,to"),
        (b"a,b\n", 1, "the first line must be from,to"),
        (b"from;to\n", 1, "the first line must be from,to"),
        (b"from,to\n", 0, "has no rows"),
        (b"from,to\na,b\nc\n", 3, "2 columns are wanted"),
        (b"from,to\na,b,c\n", 2, "2 columns are wanted"),
        (b"from,to\n ,b\n", 2, "the first column is empty"),
        (b"from,to\na,\n", 2, "the new value is empty"),
        (b"from,to\na,b\\c\n", 2, "backslash"),
        (b"from,to\na,12345678901234567\n", 2, "17 characters, SH takes 16"),
        (b"from,to\na,b\n\na,b\na,c\n", 5, "in an earlier row"),
        (b'from,to\na,b\n"c"d,e\n', 3, "mend the row"),
        (b'from,to\na,"b\n', 2, "mend the row"),
        (b"from,to\na,b\nM\xfcller,c\n", 3, "not UTF-8"),
    ],
)
def test_a_bad_row_of_a_map_is_told_by_its_line(
    content: bytes, line: int, remedy: str, tmp_path: Path
) -> None:
    (tmp_path / "numbers.csv").write_bytes(content)
    file = tmp_path / "rules.toml"
    file.write_text(
        '[[rule]]\nattribute = "AccessionNumber"\nmap = "numbers.csv"\nunmapped = "keep"'
    )
    with pytest.raises(ConfigError) as told:
        read_rules(file, "HERE")
    assert remedy in str(told.value)
    assert str(tmp_path / "numbers.csv") in str(told.value)
    assert not line or f"numbers.csv line {line}: " in str(told.value)


def test_rules_are_kept_with_their_maps_and_read_again_without_the_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "n.csv").write_bytes(b'\xef\xbb\xbffrom,to\r\n123,"4,5"\r\n')
    file = tmp_path / "rules.toml"
    file.write_text('[[rule]]\nattribute = "PatientID"\nmap = "sub/n.csv"\nunmapped = "keep"')
    kept = read_rules(file, "HERE")
    (tmp_path / "sub" / "n.csv").unlink()
    found = Corrector(parse_rules(kept), Terms()).correction(ct())
    assert found is not None
    assert (found.system, values(found)) == ("HERE", {"00100020": "4,5"})
    assert kept.digest == RulesText(kept.text, dict(kept.maps), "HERE").digest
    assert kept.digest != RulesText(kept.text, {}, "HERE").digest


@settings(max_examples=60)
@given(st.dictionaries(VALUES, VALUES, min_size=1), st.integers(0, 3))
def test_a_map_is_read_as_it_was_written(table: dict[str, str], blank: int) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerows([["from", "to"], *([] for _ in range(blank)), *table.items()])
    assert parse_map("m.csv", file.getvalue(), "LO") == table


@settings(max_examples=60)
@given(st.text(max_size=200))
def test_no_text_makes_a_map_fail_otherwise_than_by_its_line(text: str) -> None:
    try:
        parse_map("m.csv", f"from,to\n{text}", "LO")
    except ConfigError as exc:
        assert str(exc).startswith("m.csv ")


@settings(max_examples=60)
@given(st.lists(WORDS, min_size=2, max_size=6, unique=True), WORDS.filter(bool))
def test_different_patients_stay_different_under_a_prefix(ids: list[str], prefix: str) -> None:
    rules = parse_rules(RulesText(f"[[rule]]\nattribute='PatientID'\nprefix={_toml(prefix)}"))
    found = [Corrector(rules, Terms()).correction(ct(PatientID=one)) for one in ids]
    texts = [
        one if new is None else values(new)["00100020"] for one, new in zip(ids, found, strict=True)
    ]
    assert len(set(texts)) == len(ids)
    assert all(new is not None for one, new in zip(ids, found, strict=True) if one)


@settings(max_examples=60)
@given(
    WORDS,
    WORDS,
    st.sampled_from(["keep", "park", "prefix"]),
    st.dictionaries(WORDS.filter(bool), WORDS.filter(bool)),
)
def test_rules_are_a_function_of_the_object_alone(
    patient: str, issuer: str, unmapped: str, table: dict[str, str]
) -> None:
    prefix = 'prefix = "P-"\n' if unmapped == "prefix" else ""
    text = (
        f'[[rule]]\nattribute = "PatientID"\nmap = "m.csv"\nunmapped = "{unmapped}"\n{prefix}'
        '[[rule]]\nattribute = "IssuerOfPatientID"\ndefault = "I"\n'
    )
    file = io.StringIO(newline="")
    csv.writer(file).writerows([["from", "to"], *({"~": "~"} | table).items()])
    rules = parse_rules(RulesText(text, {"m.csv": file.getvalue()}))
    data = ct(PatientID=patient, IssuerOfPatientID=issuer)
    one, other = Corrector(rules, Terms()), Corrector(rules, Terms())
    other.decide(ct(PatientID="~"))
    assert one.decide(data) == other.decide(data) == one.decide(data)
    decision = one.decide(data)
    known = patient in table or patient in {"", "~"}
    assert bool(decision.obstacles) == (unmapped == "park" and not known)
    expected = table.get(patient, patient if known or unmapped != "prefix" else f"P-{patient}")
    elements = {} if decision.correction is None else values(decision.correction)
    assert elements.get("00100020", patient) == expected
    assert elements.get("00100021", issuer) == (issuer or "I")


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
