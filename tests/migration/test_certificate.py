"""The ledger as a signed file: all of it is in there, and nothing in it can be changed unnoticed."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.migration.conftest import WHO, Site, study
from vna.errors import ConfigError, VnaError
from vna.index.database import Database
from vna.index.ledger_export import LedgerExport
from vna.index.ledger_status import LedgerStatusIndex
from vna.index.snapshot import snapshot
from vna.index.sql import load
from vna.migration.account import source_document
from vna.migration.certificate import keys
from vna.migration.certificate.certifying import Order, certify
from vna.migration.certificate.chain import ChainWriter, NotProven
from vna.migration.certificate.checking import Checked, check_certificate
from vna.migration.certificate.form import FORMAT, Tally
from vna.migration.certificate.text import checked_lines
from vna.migration.certificate.writing import write_certificate
from vna.migration.source_options import WebOptions, read
from vna.migration.status_text import status_document
from vna.model.campaign import Campaign, CampaignState, NewCampaign
from vna.model.migration import SourceSettings

KEY = Ed25519PrivateKey.generate()
HEAD: dict[str, Any] = {
    "line": "head",
    "format": FORMAT,
    "version": 1,
    "made_at": "2026-01-02T03:04:05Z",
    "made_by": {"software": "vna 1", "operator": "tester"},
    "campaign": {"name": "silo"},
    "counts": Tally().counts(),
    "final_check": None,
}
_NOT_TOLD = {
    "migration_study": {"id", "campaign", "holder", "rank", "found"},
    "migration_instance": {"id", "campaign", "study"},
    "migration_attempt": {"campaign", "study"},
}
"""Columns that certificates do not carry: numbers of the index, and what `found` is taken apart into."""


def entries() -> list[dict[str, Any]]:
    """A ledger of two studies."""
    lines: list[dict[str, Any]] = []
    for number in ("1.2.1", "1.2.2"):
        lines.append({"line": "study", "study_instance_uid": number, "state": "verified"})
        lines += (
            {
                "line": "instance",
                "study_instance_uid": number,
                "sop_instance_uid": f"{number}.{instance}",
                "state": "verified",
                "received_size": 10,
            }
            for instance in range(2)
        )
        lines.append({"line": "attempt", "study_instance_uid": number, "taken": 2})
    return lines


def made(
    lines: list[dict[str, Any]], key: Ed25519PrivateKey = KEY, /, **foot: object
) -> list[bytes]:
    """The lines of a certificate with these between head and foot, all in order but for what `foot` says."""
    chain, tally = ChainWriter(), Tally()
    for line in lines:
        tally.add(line["line"], line)
    counts = tally.counts()
    texts = [chain.line(HEAD | {"counts": counts}), *map(chain.line, lines)]
    values = {
        "line": "foot",
        "lines": len(texts) + 1,
        "counts": counts,
        "attempts": tally.attempts,
        "public_key": keys.text_of(key.public_key()),
    }
    texts.append(chain.seal(values | foot, lambda last: keys.sign(key, last)))
    return texts


def made_of(head: dict[str, Any], lines: list[dict[str, Any]]) -> list[bytes]:
    """Well chained and signed, whatever it says."""
    chain, count = ChainWriter(), len(lines)
    texts = [chain.line(head), *map(chain.line, lines)]
    foot = {"line": "foot", "lines": count + 2, "counts": Tally().counts(), "attempts": 0}
    foot["public_key"] = keys.text_of(KEY.public_key())
    return [*texts, chain.seal(foot, lambda last: keys.sign(KEY, last))]


def checked(data: bytes | list[bytes], key: Ed25519PrivateKey | None = None) -> Checked:
    text = data if isinstance(data, bytes) else b"".join(data)
    return check_certificate(io.BytesIO(text), None if key is None else key.public_key())


def written(site: Site, campaign: Campaign) -> bytes:
    file = io.BytesIO()
    with snapshot(site.database) as moment:
        write_certificate(moment, campaign, KEY, file, operator="tester")
    return file.getvalue()


def lines_of(data: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in data.splitlines()]


def test_one_that_nobody_touched() -> None:
    found = checked(made(entries()), KEY)
    assert (found.lines, found.is_expected_key) == (10, True)
    assert found.fingerprint == keys.fingerprint(KEY.public_key())
    assert checked(made(entries())).is_expected_key is None


def changes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Every byte of `data` replaced, left out and doubled: (where, what became of it)."""
    for at, byte in enumerate(data):
        for other in {byte ^ 0x01, byte ^ 0x20, 0x0A} - {byte}:
            yield at, data[:at] + bytes((other,)) + data[at + 1 :]
        yield at, data[:at] + data[at + 1 :]
        yield at, data[: at + 1] + data[at:]


def test_every_change_of_a_byte_is_found_in_its_line() -> None:
    data = b"".join(made(entries()))
    for at, changed in changes(data):
        with pytest.raises(NotProven) as caught:
            checked(changed)
        number = data[:at].count(b"\n") + 1
        # One line end too many is an empty line behind it.
        allowed = {number, number + 1} if data[at : at + 1] == b"\n" else {number}
        assert int(str(caught.value).split()[1].rstrip(":")) in allowed, (at, str(caught.value))


@given(st.integers(0, 9), st.integers(0, 9))
def test_lines_in_another_order(first: int, second: int) -> None:
    lines = made(entries())
    lines[first], lines[second] = lines[second], lines[first]
    if first == second:
        checked(lines)
        return
    with pytest.raises(NotProven, match=rf"line {min(first, second) + 1}\b"):
        checked(lines)


@pytest.mark.parametrize("number", range(10))
def test_lines_that_are_missing_doubled_or_foreign(number: int) -> None:
    lines = made(entries())
    with pytest.raises(NotProven, match=rf"line {number + 1}\b"):
        checked(lines[:number] + lines[number + 1 :])
    with pytest.raises(NotProven, match=rf"line {number + 2}\b"):
        checked([*lines[: number + 1], *lines[number:]])
    with pytest.raises(NotProven, match=rf"line {number + 1}\b"):
        checked(lines[:number])
    foreign = made([*entries()[4:], *entries()[:4]])[number]
    if foreign != lines[number]:  # the first that differs may follow a head that is the same
        with pytest.raises(NotProven, match=rf"line ({number + 1}|{number + 2})\b"):
            checked([*lines[:number], foreign, *lines[number:]])


@given(st.binary(max_size=400))
def test_anything_else_is_no_certificate(data: bytes) -> None:
    with pytest.raises(NotProven):
        checked(data)


def test_one_that_another_key_has_signed() -> None:
    other = Ed25519PrivateKey.generate()
    with pytest.raises(NotProven, match="another key"):
        checked(made(entries(), other), KEY)
    assert checked(made(entries(), other)).fingerprint != keys.fingerprint(KEY.public_key())
    claimed = made(entries(), other, public_key=keys.text_of(KEY.public_key()))
    with pytest.raises(NotProven, match="line 10: the signature"):
        checked(claimed)
    with pytest.raises(NotProven, match="line 10 is signed with"):
        checked(made(entries(), public_key="AAAA"))


def test_one_that_was_signed_and_says_what_is_not_so() -> None:
    with pytest.raises(NotProven, match="line 10 counts other lines"):
        checked(made(entries(), lines=11))
    with pytest.raises(NotProven, match="line 10 counts other lines"):
        checked(made(entries(), counts={}))
    stray = entries()
    stray[5]["study_instance_uid"] = "1.2.1"
    with pytest.raises(NotProven, match="line 7 does not belong"):
        checked(made(stray))


@pytest.mark.parametrize("number", range(9))
def test_nothing_can_be_put_behind_the_hash_of_a_line(number: int) -> None:
    lines = made(entries())
    for extra in (b',"signature":"%b"' % (b"0" * 128), b',"state":"verified"', b" "):
        changed = lines[number][:-2] + extra + lines[number][-2:]
        with pytest.raises(NotProven, match=rf"line {number + 1}\b"):
            checked([*lines[:number], changed, *lines[number + 1 :]])


@pytest.mark.parametrize(
    "odd",
    [
        {"received_size": "x"},
        {"received_size": None},
        {"received_size": 1.5},
        {"received_size": True},
        {"received_size": []},
        {"size": {}},
        {"state": []},
        {"study_instance_uid": []},
    ],
)
def test_values_that_no_archive_writes_are_told_by_their_line(odd: dict[str, object]) -> None:
    """Anybody can chain and sign with a key of his own."""
    good = entries()
    lines = [good[0], {"line": "instance", "study_instance_uid": "1.2.1"} | odd]
    if "study_instance_uid" in odd:
        lines = [good[0] | odd]
    with pytest.raises(NotProven, match=r"line [234]\b"):
        checked(made_of(HEAD, lines))


@pytest.mark.parametrize(
    "odd",
    [
        {"counts": []},
        {"counts": {"instances": 3}},
        {"campaign": "silo"},
        {"campaign": {}},
        {"made_by": None},
        {"made_at": {}},
        {"final_check": "passed"},
        {"final_check": {"result": "splendid"}},
    ],
)
def test_a_head_that_no_archive_writes_is_refused(odd: dict[str, object]) -> None:
    with pytest.raises(NotProven, match=r"line 1\b"):
        checked(made_of(HEAD | odd, []))


def test_what_a_stranger_writes_does_not_command_a_terminal() -> None:
    evil = "\x1b]0;gone\x07\u202e"
    made_by = {"software": evil, "operator": evil}
    head = HEAD | {"made_at": evil, "made_by": made_by, "campaign": {"name": evil}}
    text = "\n".join(checked_lines(Path("c.jsonl"), checked(made_of(head, []))))
    assert text.replace("\n", "").isprintable()
    with pytest.raises(ConfigError) as told:
        checked(made_of(HEAD | {"version": evil}, []))
    assert str(told.value).isprintable()


def test_one_of_a_later_archive() -> None:
    chain = ChainWriter()
    head = chain.line({"line": "head", "format": FORMAT, "version": 2})
    with pytest.raises(ConfigError, match="newer archive"):
        checked([head])


def test_the_whole_ledger_is_in_it(site: Site) -> None:
    first, second = study(3, "1.2.1", site.source.add), study(2, "1.2.2", site.source.add)
    site.source.sends = lambda data: None if data == site.source.objects[second[0]] else data
    campaign = site.work(site.begin())
    data = written(site, campaign)
    assert checked(data, KEY).foot["counts"] == {
        "studies": {"parked": 1, "verified": 1},
        "instances": {"parked": 1, "verified": 4},
        "bytes": {
            "parked": len(site.source.objects[second[0]]),
            "verified": sum(len(site.source.objects[uid]) for uid in first + second[1:]),
        },
    }
    head, *middle, _foot = lines_of(data)
    assert head["campaign"]["name"] == "silo"
    assert head["source"] == {"kind": "paper", "options": {}}
    assert [inventory["number"] for inventory in head["inventories"]] == [1]
    assert head["made_by"]["operator"] == "tester"
    instances = {line["sop_instance_uid"]: line for line in middle if line["line"] == "instance"}
    assert set(instances) == {*first, *second}
    assert instances[second[0]]["reason"] == "not-delivered"
    assert instances[first[0]]["received"].startswith("blake3:")
    assert instances[first[0]]["study_instance_uid"] == "1.2.1"
    attempts = [line for line in middle if line["line"] == "attempt"]
    ((kept,),) = site.rows("SELECT count(*) FROM migration_attempt")
    assert len(attempts) == kept
    assert {line["said"] for line in attempts} == {"all went well"}


@pytest.mark.parametrize("table", list(_NOT_TOLD))
def test_no_column_of_the_ledger_is_forgotten(site: Site, table: str) -> None:
    kind = table.removeprefix("migration_")
    rows = site.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s", table
    )
    with snapshot(site.database) as moment:
        values = {"campaign": 0, "after": 0, "limit": 1, "studies": []}
        query = {"study": "studies", "instance": "instances", "attempt": "attempts"}[kind]
        with moment.connection() as connection:
            cursor = connection.execute(load(f"queries/migration_export_{query}"), values)
            told = {column.name for column in cursor.description or ()}
    assert {name for (name,) in rows} - _NOT_TOLD[table] <= told


def test_it_is_of_one_moment(site: Site) -> None:
    study(2, "1.2.1", site.source.add)
    campaign = site.begin()
    file = io.BytesIO()
    with snapshot(site.database) as moment:
        site.work(campaign)
        study(1, "1.2.2", site.source.add)
        write_certificate(moment, campaign, KEY, file)
    assert checked(file.getvalue()).foot["counts"]["instances"] == {"discovered": 2}
    assert checked(written(site, campaign)).foot["counts"]["instances"] == {"verified": 2}


def test_one_connection_is_enough(site: Site, tmp_path: Path) -> None:
    site.campaigns.add(NewCampaign("silo", SourceSettings("paper")), WHO)
    with closing(Database(site.database.url, pool_size=1, connect_timeout=0.2)) as database:
        order = Order("silo", tmp_path / "silo.jsonl", KEY, WHO)
        certify(database, order, lambda _: None)
    assert checked((tmp_path / "silo.jsonl").read_bytes()).head["campaign"]["name"] == "silo"


def test_nothing_is_signed_that_contradicts_itself(site: Site) -> None:
    study(2, "1.2.1", site.source.add)
    campaign = site.work(site.begin())
    with site.database.connection() as connection:
        connection.execute("UPDATE migration_count SET count = count + 1 WHERE level = 'instance'")
    with pytest.raises(VnaError, match="contradicts itself"):
        written(site, campaign)


def test_who_stops_reading_leaves_nothing_behind(site: Site) -> None:
    study(2, "1.2.1", site.source.add)
    campaign = site.begin()
    held: list[object] = []
    for _ in range(20):  # more often than there are connections
        with pytest.raises(LookupError), snapshot(site.database) as moment:
            entries = LedgerExport(moment).entries(campaign)
            held.append((next(entries), next(entries), entries))
            raise LookupError
    assert site.work(campaign).state is CampaignState.DONE


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://pacs/web", "https://pacs/web"),
        ("https://pacs:8443/web/home", "https://pacs:8443/web/home"),
        ("https://me:p@ss@pacs/web", "https://pacs/web"),
        ("https://me:p@ss:w@[::1]:8443/web", "https://[::1]:8443/web"),
        ("https://me:pa/ss@pacs/web", "(left out)"),
        ("https://me:pa?ss@pacs/web", "(left out)"),
        ("https://me:pa#ss@pacs/web", "(left out)"),
        ("https://me:1/2@pacs/web", "(left out)"),
        ("https://pacs/web?sig=s3cr3t", "https://pacs/web?(left out)"),
        ("https://pacs/web#s3cr3t", "https://pacs/web#(left out)"),
    ],
)
def test_no_part_of_a_password_is_told_with_a_url(url: str, told: str) -> None:
    source = source_document(SourceSettings("dicomweb", {"url": url}))
    assert source["options"] == {"url": told}


def test_secrets_stay_out(site: Site) -> None:
    options = {"url": "https://me:pass@pacs/web", "secret_key": "s3cr3t", "password_file": "/run/p"}
    campaign = site.campaigns.add(NewCampaign("silo", SourceSettings("dicomweb", options)), WHO)
    source = lines_of(written(site, campaign))[0]["source"]["options"]
    assert source == {
        "url": "https://pacs/web",
        "secret_key": "(left out)",
        "password_file": "/run/p",
    }
    status = LedgerStatusIndex(site.database).status(campaign)
    assert status_document(campaign, status)["source"] == {"kind": "dicomweb", "options": source}


@pytest.mark.parametrize(
    "rest", ["me:s3cr3t@pacs/web", "me:s3/cr3t@pacs", "pacs/web?key=s3cr3t", "pacs#s3cr3t"]
)
def test_a_source_takes_no_secret_within_a_url(rest: str) -> None:
    with pytest.raises(ConfigError, match="password_file") as told:
        read(WebOptions, {"url": f"https://{rest}"})
    assert "cr3t" not in str(told.value)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "own.key"


def test_the_own_key_is_made_once(key_file: Path, tmp_path: Path) -> None:
    first, second = keys.own_key(key_file), keys.own_key(key_file)
    assert keys.fingerprint(first.public_key()) == keys.fingerprint(second.public_key())
    assert key_file.stat().st_mode & 0o777 == 0o600
    public = tmp_path / "public.pem"
    keys.keep_public_key(first.public_key(), public)
    keys.keep_public_key(first.public_key(), public)
    assert keys.fingerprint(keys.public_key_of(public)) == keys.fingerprint(first.public_key())
    with pytest.raises(ConfigError, match="another public key"):
        keys.keep_public_key(KEY.public_key(), public)


Reader = Callable[[Path], object]


@pytest.mark.parametrize(
    ("read", "text", "remedy"),
    [
        (keys.own_key, b"no key", "openssl genpkey"),
        (keys.given_key, None, "cannot be read"),
        (keys.public_key_of, b"no key", "no public key"),
        (keys.public_key_of, None, "cannot be read"),
    ],
)
def test_files_that_hold_no_key(
    read: Reader, text: bytes | None, remedy: str, key_file: Path
) -> None:
    if text is not None:
        key_file.write_bytes(text)
        key_file.chmod(0o600)
    with pytest.raises(ConfigError, match=remedy):
        read(key_file)


def test_a_key_that_everybody_may_read_is_not_used(key_file: Path) -> None:
    keys.own_key(key_file)
    key_file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        keys.given_key(key_file)
    with pytest.raises(ConfigError, match="chmod 600"):
        keys.own_key(key_file)
    key_file.chmod(0o640)
    keys.given_key(key_file)
