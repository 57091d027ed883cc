"""`vna migrate certificate` and `report` as a person, an auditor and a program use them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests import samples
from tests.migration.conftest import WHO, Site, Vna, study
from vna.cli import main
from vna.migration.certificate import keys
from vna.migration.certificate.certifying import Order, certify


@pytest.fixture
def done(site: Site) -> Site:
    """A campaign that has brought two of three instances."""
    uids = study(3, "1.2.1", site.source.add)
    site.source.sends = lambda data: None if data == site.source.objects[uids[0]] else data
    site.work(site.begin())
    return site


def auditor(*words: str, data: bytes | None = None) -> Result:
    """Checks with no archive, no database and no configuration."""
    nowhere = {"VNA_CONFIG": "/nowhere/vna.toml", "VNA__DATABASE__URL": "postgresql://nowhere/x"}
    command = ["migrate", "certificate", *words]
    return CliRunner().invoke(main, command, env=nowhere, input=data)


def test_a_certificate_for_an_auditor(vna: Vna, done: Site, tmp_path: Path) -> None:
    path, public = tmp_path / "silo.jsonl", tmp_path / "archive.pem"
    written = vna("certificate", "silo", "-o", str(path), "--public-key", str(public))
    assert written.exit_code == 0, written.output
    assert "1 studies, 3 instances (1 parked, 2 verified)" in written.stdout
    own = tmp_path / "data" / "certificate.key"
    assert own.stat().st_mode & 0o777 == 0o600
    known = keys.fingerprint(keys.public_key_of(public))
    assert known in written.stdout
    ((told,),) = done.rows(
        "SELECT detail FROM audit WHERE action = 'migration.changed' AND detail ->> 'what' = 'certified'"
    )
    assert (told["campaign"], told["key"], told["lines"]) == (
        "silo",
        known,
        len(path.read_bytes().splitlines()),
    )

    alone = auditor("--check", str(path))
    assert alone.exit_code == 0
    assert "whose key that is, is not proven" in alone.stdout
    by_whom = auditor("--check", str(path), "--public-key", str(public), "--json")
    document = orjson.loads(by_whom.stdout)
    assert (by_whom.exit_code, document["proven"], document["expected_key"]) == (0, True, True)
    assert document["instances"] == {"parked": 1, "verified": 2}
    assert document["key"] == known
    piped = auditor("--check", "-", data=path.read_bytes())
    assert piped.exit_code == 0

    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    number = damaged[: len(damaged) // 2].count(b"\n") + 1
    found = auditor("--check", str(tmp_path / "damaged"))
    assert (found.exit_code, f"NOT PROVEN. line {number} was changed" in found.stdout) == (1, True)
    document = orjson.loads(auditor("--check", str(tmp_path / "damaged"), "--json").stdout)
    assert document["proven"] is False

    again = vna("certificate", "silo", "-o", str(path))
    assert (again.exit_code, "choose another name" in again.stderr) == (2, True)
    assert [found.name for found in tmp_path.glob(".*.jsonl*")] == []


def test_a_key_that_the_administrator_brings(vna: Vna, done: Site, tmp_path: Path) -> None:
    key, path, other = tmp_path / "ours.pem", tmp_path / "silo.jsonl", tmp_path / "other.pem"
    keys.own_key(key)
    keys.keep_public_key(keys.own_key(tmp_path / "another.pem").public_key(), other)
    written = vna("certificate", "silo", "-o", str(path), "--key", str(key), "--json")
    document = orjson.loads(written.stdout)
    assert document["key"] == keys.fingerprint(keys.given_key(key).public_key())
    assert not (tmp_path / "data" / "certificate.key").exists()
    stranger = auditor("--check", str(path), "--public-key", str(other))
    assert (stranger.exit_code, "signed with another key" in stranger.stdout) == (1, True)


def test_what_can_t_be_meant(vna: Vna, done: Site, tmp_path: Path) -> None:
    rsa = generate_private_key(65537, 2048)
    secret, public = tmp_path / "rsa.pem", tmp_path / "rsa-public.pem"
    pem = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    secret.write_bytes(pem)
    secret.chmod(0o600)
    spki = PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(rsa.public_key().public_bytes(Encoding.PEM, spki))
    out = ("-o", str(tmp_path / "a.jsonl"))
    for words, remedy in (
        (("silo",), "-o FILE"),
        (out, "name a campaign"),
        (("silo", "--check", str(secret)), "nothing else"),
        (("nothing", *out), "vna migrate status"),
        (("silo", *out, "--key", str(tmp_path / "none")), "cannot be read"),
        (("silo", *out, "--key", str(secret)), "not of Ed25519"),
        (("silo", "-o", str(tmp_path / "none" / "a.jsonl")), "cannot be written"),
        (("--check", str(tmp_path / "none")), "cannot be read"),
        (("--check", str(secret), "--public-key", str(public)), "not of Ed25519"),
    ):
        found = vna("certificate", *words)
        assert (found.exit_code, remedy in found.stderr) == (2, True), (words, found.output)
        assert found.stderr.count("\n") == 1
    assert not (tmp_path / "a.jsonl").exists()
    assert auditor("--check", str(secret)).exit_code == 1


def test_a_report_for_everybody(vna: Vna, done: Site, tmp_path: Path) -> None:
    found = vna("report", "silo", "-o", str(tmp_path / "reports"))
    assert found.exit_code == 0, found.output
    assert "2 of 3 instances verified, 2 exceptions" in found.stdout
    assert (tmp_path / "reports" / "report.html").read_bytes().startswith(b"<!DOCTYPE html>")
    one = vna("report", "silo", "-o", str(tmp_path / "a.csv"), "--json")
    assert orjson.loads(one.stdout) == {
        "files": [str(tmp_path / "a.csv")],
        "instances": 3,
        "verified": 2,
        "exceptions": 2,
    }
    formed = vna("report", "silo", "silo", "-o", str(tmp_path / "b"), "--format", "json")
    assert formed.exit_code == 0
    assert len(orjson.loads((tmp_path / "b").read_bytes())["campaigns"]) == 1
    missing = vna("report", "silo", "nothing", "-o", str(tmp_path / "c.html"))
    assert (missing.exit_code, "vna migrate status" in missing.stderr) == (2, True)
    assert not (tmp_path / "c.html").exists()


def test_rules_and_the_final_check_are_shown_and_signed(
    vna: Vna, site: Site, tmp_path: Path
) -> None:
    folder, rules = tmp_path / "files", tmp_path / "rules.toml"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(samples.ct_at("1.2.1", "1.2.1.1", "1.2.1.1.1"))
    rules.write_text(
        '[[rule]]\nattribute = "AccessionNumber"\nmap = "numbers.csv"\nunmapped = "keep"\n'
    )
    (tmp_path / "numbers.csv").write_text("from,to\nA1,N-A1\n")
    option = ("--option", f"path={folder}")
    assert vna("add", "silo", "--kind", "folder", *option, "--rules", str(rules)).exit_code == 0
    for words in (("inventory",), ("start",), ("work", "--until-done"), ("finish", "--reread")):
        done = vna(words[0], "silo", *words[1:])
        assert done.exit_code == 0, done.output
    assert vna("report", "silo", "-o", str(tmp_path / "a.html")).exit_code == 0
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "The final check passed. 1 of 1 instances are verified (100.00 %)" in page
    assert "# map numbers.csv: sha256:" in page
    assert vna("certificate", "silo", "-o", str(tmp_path / "a.jsonl")).exit_code == 0
    checked = auditor("--check", str(tmp_path / "a.jsonl"))
    assert (checked.exit_code, "final check passed" in checked.stdout) == (0, True)
    head, _, instance, *_ = map(orjson.loads, (tmp_path / "a.jsonl").read_bytes().splitlines())
    assert head["rules"][0]["text"] == rules.read_text()
    assert list(head["rules"][0]["maps"]) == ["numbers.csv"]
    assert head["final_check"]["findings"]["reread"] == 1
    assert instance["rules"] == 1


def test_what_the_documents_tell_an_auditor_to_run(done: Site, tmp_path: Path) -> None:
    documents = Path(__file__).parents[2] / "docs"
    texts = [path.read_text(encoding="utf-8") for path in documents.glob("*.md")]
    blocks = [
        block for text in texts for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    ]
    (script,) = [block for block in blocks if "vna migration certificate" in block]
    path = tmp_path / "silo.jsonl"
    order = Order("silo", path, Ed25519PrivateKey.generate(), WHO)
    written = certify(done.database, order, lambda _: None)

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, str(path)]
        return subprocess.run(command, capture_output=True, text=True)

    good = run()
    assert (good.returncode, good.stdout) == (0, f"signed by {written.fingerprint}\n"), good.stderr
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"state":"verified"', b'"state":"verifieD"', 1))
    assert run().returncode == 1
    behind = b'","signature":"%b"}\n' % (b"0" * 128)
    path.write_bytes(data.replace(b'"}\n', behind, 1))
    assert run().returncode == 1
