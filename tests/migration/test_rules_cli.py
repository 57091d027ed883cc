"""`vna migrate add|change --rules`, `rules` and `preview` as a person, or a program, uses them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import Result

from tests import samples
from tests.migration.conftest import Site, Vna

RULES = """
[[rule]]
name = "issuer"
attribute = "IssuerOfPatientID"
default = "NORTH"

[[rule]]
name = "numbers"
attribute = "AccessionNumber"
map = "numbers.csv"
unmapped = "keep"

[[rule]]
name = "elsewhere"
attribute = "InstitutionName"
set = "Nowhere"
when = { StationName = "MR*" }
"""


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    """A file with rules, its map beside it."""
    (tmp_path / "numbers.csv").write_text("from,to\nA0,N-A0\n")
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of three studies, the first of which has two series."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(4):
        study = f"1.2.{max(number - 1, 0)}"
        data = samples.small(
            StudyInstanceUID=study,
            SeriesInstanceUID=f"{study}.{number}",
            SOPInstanceUID=f"{study}.{number}.1",
            AccessionNumber=f"A{max(number - 1, 0)}",
            SpecificCharacterSet="ISO_IR 100",
            StudyDescription="QQQQQQ",
        )
        (folder / f"{number}.dcm").write_bytes(
            data.replace(b"QQQQQQ", "Больша".encode("iso8859-5"))
        )
    return folder


def add(vna: Vna, folder: Path, *words: str) -> Result:
    return vna("add", "silo", "--kind", "folder", "--option", f"path={folder}", *words)


def test_rules_are_declared_with_a_campaign_changed_and_listed(
    vna: Vna, site: Site, folder: Path, declared: Path
) -> None:
    assert add(vna, folder, "--rules", str(declared)).exit_code == 0
    (first,) = orjson.loads(vna("rules", "silo", "--json").stdout)
    assert first["version"] == 1
    assert first["text"] == RULES
    assert first["maps"] == {"numbers.csv": 1}
    assert first["system"] == "VNA"
    assert vna("rules", "silo", "--show", "1").stdout == RULES
    assert "numbers.csv (1 rows)" in vna("rules", "silo").stdout
    again = vna("change", "silo", "--rules", str(declared))
    assert again.stdout == "campaign silo changed; version 1 of its rules is in force\n"
    off = vna("change", "silo", "--rules", "none")
    assert off.stdout == "campaign silo changed; version 2 of its rules is in force\n"
    assert "version 2" in vna("rules", "silo").stdout
    assert "no rules; sha256:" in vna("rules", "silo").stdout.splitlines()[1]
    wrong = vna("rules", "silo", "--show", "3")
    assert (wrong.exit_code, "no version 3" in wrong.stderr) == (2, True)
    told = site.rows(
        "SELECT detail ->> 'version' FROM audit WHERE detail ->> 'what' = 'rules' ORDER BY id"
    )
    assert told == [("2",)]


def test_a_bad_row_of_a_map_is_one_line_and_nothing_is_started(
    vna: Vna, site: Site, folder: Path, declared: Path
) -> None:
    (declared.parent / "numbers.csv").write_text("from,to\nA0,N-A0\nA1\n")
    result = add(vna, folder, "--rules", str(declared))
    assert result.exit_code == 2
    assert f"{declared.parent / 'numbers.csv'} line 3: 2 columns are wanted" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert site.campaigns.all() == []
    assert add(vna, folder).exit_code == 0
    assert vna("change", "silo", "--attempts", "9", "--rules", str(declared)).exit_code == 2
    assert site.campaigns.find("silo").settings.attempts == 5
    assert "has no rules" in vna("rules", "silo").stdout


@pytest.mark.parametrize("is_listed", [False, True])
def test_a_preview_shows_what_each_rule_changes_and_stores_nothing(
    vna: Vna, site: Site, folder: Path, declared: Path, *, is_listed: bool
) -> None:
    add(vna, folder, "--rules", str(declared))
    corrections = site.rows("SELECT count(*) FROM correction")
    if is_listed:
        assert vna("inventory", "silo").exit_code == 0
    result = vna("preview", "silo", "--json")
    assert result.exit_code == 0
    found = orjson.loads(result.stdout)
    changes = {
        item["study_instance_uid"]: [
            (change["attribute"], change["before"], change["after"], change["rule"])
            for change in item["changes"]
        ]
        for item in found["samples"]
    }
    issuer = ("IssuerOfPatientID", "", "NORTH", "issuer")
    assert changes == {
        "1.2.0": [("AccessionNumber", "A0", "N-A0", "numbers"), issuer],
        "1.2.1": [issuer],
        "1.2.2": [issuer],
    }
    assert [(r["name"], r["decided"], r["changed"]) for r in found["rules"]] == [
        ("issuer", 3, 3),
        ("numbers", 3, 1),
        ("elsewhere", 0, 0),
    ]
    text = vna("preview", "silo", "--study", "1.2.0").stdout
    assert text.count("study 1.2.0, instance") == 2
    assert '"A0"' in text
    assert "rule elsewhere: matched none of the samples" in text
    assert vna("preview", "silo", "--count", "1").stdout.count("study 1.2.") == 1
    assert site.rows("SELECT count(*) FROM instance") == [(0,)]
    assert site.rows("SELECT count(*) FROM correction") == corrections
    assert not [path for path in (folder.parent / "data" / "store").rglob("*") if path.is_file()]
    assert len([*folder.iterdir()]) == 4


def test_rules_may_be_tried_before_they_are_declared(
    vna: Vna, site: Site, folder: Path, tmp_path: Path
) -> None:
    add(vna, folder)
    without = vna("preview", "silo")
    assert (without.exit_code, "--rules FILE" in without.stderr) == (2, True)
    (tmp_path / "numbers.csv").write_text("from,to\nA0,N-A0\nA7,N-A0\n")
    tried = tmp_path / "tried.toml"
    tried.write_text(
        '[[rule]]\nattribute = "SpecificCharacterSet"\nset = "ISO_IR 144"\n'
        '[[rule]]\nname = "numbers"\nattribute = "AccessionNumber"\nmap = "numbers.csv"\nunmapped = "park"'
    )
    result = vna("preview", "silo", "--rules", str(tried))
    assert result.exit_code == 1
    assert '"Больша"' in result.stdout
    assert (
        "would be parked: rule numbers: numbers.csv does not have AccessionNumber" in result.stdout
    )
    assert "rule numbers: applied to 3, changed 1, would park 2" in result.stdout
    assert "rule numbers: 1 values of its map become what others become, too" in result.stdout
    assert "3 samples have no issuer" in result.stdout
    tried.write_text(RULES)
    said = vna("preview", "silo", "--rules", str(tried)).stdout
    assert (
        'StudyDescription             "±ÞÛìèÐ"' in said
    )  # nothing tells that it is wrong, but a person
    assert site.rows("SELECT count(*) FROM migration_rules") == [(0,)]


def test_a_preview_without_its_source_is_one_line(
    vna: Vna, site: Site, folder: Path, declared: Path
) -> None:
    add(vna, folder, "--rules", str(declared))
    vna("inventory", "silo")
    (folder / "3.dcm").unlink()
    gone = vna("preview", "silo")
    assert gone.exit_code == 1
    assert "study 1.2.2: no sample: " in gone.stdout
    for path in [*folder.iterdir()]:
        path.unlink()
    folder.rmdir()
    away = vna("preview", "silo")
    assert (away.exit_code, "nothing was started" in away.stderr) == (2, True)
