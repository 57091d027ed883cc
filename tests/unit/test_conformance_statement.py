"""The conformance statement of a configuration: what it tells, and what it keeps to itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from werkzeug.security import generate_password_hash

import dicomweb.conformance
from vna.cli import main
from vna.config import (
    ArchiveConfig,
    Config,
    DestinationConfig,
    DimseConfig,
    IdentityConfig,
    PeerConfig,
    WebConfig,
)
from vna.conformance.queries import matching_types
from vna.conformance.statement import Conformance, conformance
from vna.conformance.table import Table, table

PASSWORD_HASH = generate_password_hash("mellon", method="pbkdf2:sha256:1")


def stated(config: Config) -> Conformance:
    """The statement of an archive so configured."""
    return conformance(config, dicomweb.conformance.tables())


@pytest.fixture(scope="module")
def hospital() -> Conformance:
    """That of an archive with peers, users and destinations."""
    dimse = DimseConfig(
        known_ae_titles=("OLD_CT",),
        peers={
            "CT1": PeerConfig(
                hosts=("10.20.30.40",), services=("store", "commitment"), max_associations=4
            )
        },
        destinations={"PACS2": DestinationConfig("pacs2.secret.example", 104, associations=3)},
        identity=IdentityConfig(users={"technician": PASSWORD_HASH}),
        fuzzy_matching="never",
        idle_timeout=77.0,
        max_associations=12,
    )
    web = WebConfig(users={"viewer": PASSWORD_HASH})
    return stated(Config(ArchiveConfig(ae_title="HOSPITAL"), dimse, web))


def rows(conformance: Conformance, name: str) -> list[tuple[str, ...]]:
    """The rows of a table."""
    return list(conformance.tables[name].rows)


def test_the_configuration_in_force_is_told(hospital: Conformance) -> None:
    text = hospital.documents()["conformance.md"]
    assert "One application entity, `HOSPITAL`." in text
    assert rows(hospital, "peers") == [("CT1", "store, commitment", "any", "4", "yes", "no")]
    assert rows(hospital, "destinations") == [("PACS2", "3", "8, 1", "no")]
    limits = {row[0]: row[2:] for row in rows(hospital, "limits")}
    assert limits["`dimse.idle_timeout`"] == ("300 s", "77 s")
    assert limits["`dimse.max_associations`"] == ("100", "12")
    assert "OLD_CT" in text


def test_no_secret_address_or_user_is_told(hospital: Conformance) -> None:
    told = "".join(hospital.documents().values()) + hospital.json()
    for secret in ("10.20.30.40", "secret.example", PASSWORD_HASH, "technician", "viewer\n"):
        assert secret not in told


def test_extended_negotiation_follows_the_configuration(hospital: Conformance) -> None:
    find = "Study Root Query/Retrieve Information Model - FIND"
    granted = {row[0]: row[1] for row in rows(hospital, "extended")}
    assert granted[find] == "01 01 00 01 00 00 00"
    default = {row[0]: row[1] for row in rows(stated(Config()), "extended")}
    assert default[find] == "01 01 01 01 00 00 00"


def test_a_user_identity_is_checked_when_users_are_configured(hospital: Conformance) -> None:
    told = {row[0]: row[2] for row in rows(hospital, "identities")}
    assert told["2"] == "against `dimse.identity.users`"
    assert "counts as no identity" in told["5"]
    assert "counts as no identity" in told["3"]


def test_every_place_is_filled(hospital: Conformance) -> None:
    for text in hospital.documents().values():
        assert "{{" not in text
        assert text.endswith("\n")


@pytest.mark.parametrize(
    ("vr", "types"),
    [
        ("PN", ["single value", "list", "wildcards", "list with wildcards"]),
        ("UI", ["single value", "list"]),
        ("DA", ["single value", "list", "range"]),
        ("TM", ["single value", "range"]),
        ("LT", ["single value", "wildcards"]),
    ],
)
def test_matching_types_are_tried(vr: str, types: list[str]) -> None:
    assert list(matching_types(vr)) == types


def test_compressed_and_private_syntaxes_are_told_apart() -> None:
    converted = {row[3]: row[2] for row in rows(stated(Config()), "transfer_syntaxes")}
    assert converted["1.2.840.10008.1.2.4.90"] == "Explicit LE, Implicit LE"
    assert converted["1.2.840.10008.1.2.4.102"] == "–"
    assert converted["1.2.840.10008.1.2.1"] == "Implicit LE"


def test_an_archive_without_peers_has_none() -> None:
    assert stated(Config()).tables["peers"].markdown() == "None."


def test_a_table_keeps_its_form_whatever_stands_in_it() -> None:
    made = table("a | b", [("x|y", "two\nlines")])
    assert made.markdown() == "| a | b |\n|---|---|\n| x\\|y | two lines |"
    assert made.records() == [{"a": "x|y", "b": "two\nlines"}]


def test_a_row_of_another_width_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="1 values for the columns a, b"):
        table("a | b", [("x",)])


def test_a_place_that_nothing_fills_is_a_mistake() -> None:
    nothing: dict[str, Table] = {}
    with pytest.raises(KeyError):
        Conformance(nothing, {}).documents()


def test_the_command_prints_the_statement_of_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "vna.toml").write_text('[archive]\nae_title = "PRINTED"\n')
    arguments = ["conformance", "--config", str(tmp_path / "vna.toml")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("# DICOM conformance statement\n")
    assert "`PRINTED`" in result.stdout
    assert "\n# Tables of the conformance statement\n" in result.stdout
    printed = CliRunner().invoke(main, [*arguments, "--format", "json"])
    assert json.loads(printed.stdout)["facts"]["archive.ae_title"] == "PRINTED"


def test_the_command_writes_the_defaults_whatever_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VNA__ARCHIVE__AE_TITLE", "CONFIGURED")
    out = tmp_path / "new" / "folder"
    result = CliRunner().invoke(main, ["conformance", "--defaults", "--output", str(out)])
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    written = {path.name: path.read_text() for path in out.iterdir()}
    assert written == stated(Config()).documents()
