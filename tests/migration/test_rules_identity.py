"""Tag rules and who a patient is: what they may not make one, and texts that they may not garble."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import samples
from tests.migration.test_rules import corrected, corrector, ct, values
from vna.errors import ConfigError
from vna.migration.rules.correcting import Corrector, NotCorrectable, Terms
from vna.migration.rules.declaration import parse_rules, read_rules
from vna.migration.rules.preview import Previewer
from vna.migration.rules.preview_text import preview_lines
from vna.model.rules import RulesText

IDS = ("PatientID", "AccessionNumber")
KEEP = '[[rule]]\nattribute = "{}"\nmap = "m.csv"\nunmapped = "keep"'
PREFIX = '[[rule]]\nattribute = "{}"\nmap = "m.csv"\nunmapped = "prefix"\nprefix = "S-"'


@pytest.mark.parametrize("attribute", IDS)
@pytest.mark.parametrize(("text", "rows"), [(KEEP, "1,2"), (PREFIX, "1,S-2")])
def test_what_a_map_lacks_is_not_taken_for_what_it_gives_to_another(
    attribute: str, text: str, rows: str
) -> None:
    rule, own = text.format(attribute), {attribute: "2"}
    with pytest.raises(NotCorrectable, match=f"{attribute}.*a row of its own") as told:
        corrected(rule, ct(**own), m=rows)
    assert "S-2" not in str(told.value)
    assert list(values(corrected(rule, ct(**{attribute: "1"}), m=rows)).values()) == [rows[2:]]
    found = corrected(
        rule, ct(**own), m=f"{rows}\n2,{rows[2:]}"
    )  # somebody says that it is the same
    assert (found is None) == (text is KEEP)


def test_names_of_institutions_may_become_one() -> None:
    rule = KEEP.format("InstitutionName")
    assert corrected(rule, ct(InstitutionName="North"), m="Nord,North") is None


@given(
    st.dictionaries(
        st.sampled_from("ABCDE"), st.sampled_from(["A", "B", "S-A", "S-B", "X"]), min_size=1
    ),
    st.sampled_from([KEEP, PREFIX]),
)
def test_only_rows_of_a_map_make_two_patients_one(table: dict[str, str], text: str) -> None:
    rows = "\n".join(f"{old},{new}" for old, new in table.items())
    using = corrector(text.format("PatientID"), m=rows)
    became: dict[str, str] = {}
    for own in "ABCDE":
        try:
            found = using.correction(ct(PatientID=own))
        except NotCorrectable:
            continue
        new = own if found is None else str(values(found)["00100020"])
        other = became.setdefault(new, own)
        assert other == own or (table.get(other), table.get(own)) == (new, new)


@pytest.mark.parametrize("attribute", IDS)
def test_all_without_an_id_do_not_become_one_patient(attribute: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    text = f'[[rule]]\nattribute = "{attribute}"\ndefault = "UNKNOWN"\n'
    file.write_text(text)
    with pytest.raises(ConfigError, match="default without when would make all"):
        read_rules(file, "HERE")
    file.write_text(f'{text}when.StationName = "CT1"')
    read_rules(file, "HERE")


def test_an_expression_may_have_flags_and_groups() -> None:
    text = '[[rule]]\nattribute = "IssuerOfPatientID"\nset = "A"\nwhen.InstitutionName = [{}]'
    using = corrector(text.format(r'"/(?P<x>a)b/", "/(?i)north/", "/(?P<x>c)\\1/", "/x|y/"'))
    for name, fits in {
        "NORTH": True,
        "AB": False,
        "ab": True,
        "cc": True,
        "ca": False,
        "yz": False,
    }.items():
        assert (using.correction(ct(InstitutionName=name)) is not None) == fits, name


def test_a_first_value_that_is_empty_is_not_a_missing_value() -> None:
    """Japanese texts name their set behind an empty value: no rule for objects without one is for them."""
    text = '[[rule]]\nattribute = "SpecificCharacterSet"\nset = "ISO_IR 100"\nwhen.SpecificCharacterSet = ""'
    data = ct(SpecificCharacterSet="\\ISO 2022 IR 87", PatientName="QQQQQQQQ")
    assert corrected(text, data.replace(b"Q" * 8, b"\x1b$B;3\x1b(B")) is None
    found = corrected(
        text, ct(SpecificCharacterSet="\\", PatientName="QQ").replace(b"QQ", b"M\xfc")
    )
    assert found is not None


UTF8 = '[[rule]]\nattribute = "SpecificCharacterSet"\nname = "r"\nset = "ISO_IR 192"\n'


@pytest.mark.parametrize("label", ["ISO_IR 100", ""])
@pytest.mark.parametrize("keyword", ["PatientName", "PatientID", "StudyDescription"])
def test_a_declared_character_set_that_can_t_be_true_garbles_nobody(
    label: str, keyword: str
) -> None:
    data = ct(SpecificCharacterSet=label, **{keyword: "QQQQQQ"})
    right, wrong = (data.replace(b"Q" * 6, t) for t in ("Müllö".encode()[:6], b"M\xfcller"))
    with pytest.raises(NotCorrectable, match=r"rule r: .* not in ISO_IR 192"):
        corrected(UTF8, wrong)
    found = corrected(UTF8, right)
    assert found is not None
    assert found.character_set == ("ISO_IR 192",)


def test_a_text_that_was_cut_within_a_character_is_still_in_its_set() -> None:
    data = ct(SpecificCharacterSet="", PatientName="QQQQQQ")
    found = corrected(UTF8, data.replace(b"Q" * 6, "Müllä".encode()[:6]))
    assert found is not None


def test_what_could_not_be_read_does_not_become_a_patient_id() -> None:
    data = ct(SpecificCharacterSet="ISO_IR 192", PatientID="QQQQQQ")
    with pytest.raises(NotCorrectable, match="could not be read"):
        corrected(
            '[[rule]]\nattribute = "PatientID"\nprefix = "N-"',
            data.replace(b"Q" * 6, b"\xc3\xbclla\xc3"),
        )


@pytest.mark.parametrize(
    "syntax", [samples.IMPLICIT, samples.EXPLICIT, samples.BIG_ENDIAN, samples.DEFLATED]
)
def test_every_encoding_is_read(syntax: str) -> None:
    data = samples.small(syntax, PatientID="0012 ", InstitutionName="North")
    text = '[[rule]]\nattribute = "PatientID"\nprefix = "N-"\nwhen.InstitutionName = "N*"'
    assert values(corrected(text, data)) == {"00100020": "N-0012"}


def test_values_stay_in_their_places() -> None:
    text = PREFIX.format("PatientID")
    found = corrected(text, ct(PatientID="1\\\\2"), m="1,A")
    assert found is not None
    assert found.elements["00100020"]["Value"] == ["A", "", "S-2"]


@pytest.mark.parametrize(
    "text", ['prefix = " "', 'prefix = " "\nmap = "m.csv"\nunmapped = "prefix"']
)
def test_a_prefix_of_spaces_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("from,to\na,b\n")
    file = tmp_path / "rules.toml"
    file.write_text(f'[[rule]]\nattribute = "PatientID"\n{text}')
    with pytest.raises(ConfigError, match="prefix: the new value is empty"):
        read_rules(file, "HERE")


def test_an_editor_may_mark_a_file_as_utf_8(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('\N{BYTE ORDER MARK}source = "x"\n', encoding="utf-8")
    assert read_rules(file, "HERE").text == 'source = "x"\n'


def test_what_a_source_writes_does_not_command_a_terminal() -> None:
    rules = parse_rules(RulesText("", {}, "HERE"))
    previewer = Previewer(rules, Corrector(rules, Terms()))
    data = ct(SpecificCharacterSet="ISO_IR 192", PatientName="Q" * 12)
    previewer.look(data.replace(b"Q" * 12, b"\x1b]0;x\x07\n\xc3\xbc\xe2\x80\xae"[:12]))
    assert all(line.isprintable() for line in preview_lines(previewer.preview))
