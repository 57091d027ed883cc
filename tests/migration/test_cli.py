"""`vna migrate` as a person, or a program, uses it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from tests import samples
from tests.migration.conftest import Site, Vna, study
from vna.cli import main
from vna.model.campaign import CampaignState


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of two studies."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(6):
        study_uid = f"1.2.{number % 2}"
        data = samples.ct_at(study_uid, f"{study_uid}.1", f"{study_uid}.1.{number}")
        (folder / f"{number}.dcm").write_bytes(data)
    return folder


def last_json(result: Result) -> dict[str, object]:
    document: dict[str, object] = orjson.loads(result.stdout.splitlines()[-1])
    return document


def test_a_campaign_from_its_beginning_to_its_end(vna: Vna, site: Site, folder: Path) -> None:
    added = vna("add", "silo", "--kind", "folder", "--option", f"path={folder}", "--json")
    assert (added.exit_code, last_json(added)["state"]) == (0, "new")
    campaign = site.campaigns.find("silo")
    assert campaign.source.options == {"path": str(folder)}
    assert vna("inventory", "silo").exit_code == 0
    assert vna("start", "silo").exit_code == 0
    assert vna("work", "silo", "--until-done").exit_code == 0
    status = last_json(vna("status", "silo", "--json"))
    assert status["state"] == "done"
    assert status["studies"] == {"verified": 2}
    assert status["instances"] == {"verified": 6}
    assert status["remaining_instances"] == 0
    assert "6 verified" in vna("status").stdout
    clean = vna("exceptions", "silo")
    assert (clean.exit_code, clean.stdout) == (0, "no exceptions\n")
    assert vna("finish", "silo").exit_code == 0
    assert "finish     passed" in vna("status", "silo").stdout
    assert "say --yes" in vna("remove", "silo").stderr
    assert vna("remove", "silo", "--yes").exit_code == 0
    assert "no campaigns" in vna("status").stdout
    assert site.rows("SELECT count(*) FROM migration_instance") == [(0,)]
    assert site.rows("SELECT count(*) FROM instance") == [(6,)]
    told = site.rows(
        "SELECT detail ->> 'what' FROM audit WHERE action = 'migration.changed' ORDER BY id"
    )
    assert [what for (what,) in told] == ["added", "running", "done", "finished", "removed"]


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--kind", "carrier-pigeon"), "there are dicom"),
        (("--kind", "folder"), "path"),
        (("--kind", "folder", "--option", "path"), "KEY=VALUE"),
        (("--kind", "folder", "--option", "path=/x", "--option", "pth=/x"), "pth"),
        (("--kind", "folder", "--option", "path=/x", "--window", "always"), "write it like"),
        (("--kind", "folder", "--option", "path=/x", "--timezone", "Moon/Sea"), "Europe/Berlin"),
        (
            (
                "--kind",
                "folder",
                "--option",
                "path=/x",
                "--from",
                "2020-01-02",
                "--to",
                "2020-01-01",
            ),
            "before --from",
        ),
        (("--kind", "folder", "--option", "path=/x", "--allow-difference", "Rows"), "PatientID"),
        (("--kind", "dicom", "--option", "host=h"), "called_ae_title"),
    ],
)
def test_what_is_wrong_with_a_new_campaign_is_said_in_a_line(
    vna: Vna, site: Site, words: tuple[str, ...], remedy: str
) -> None:
    result = vna("add", "silo", *words)
    assert result.exit_code == 2
    assert remedy in result.stderr
    assert site.campaigns.all() == []


def test_a_second_campaign_of_the_same_name(vna: Vna, folder: Path) -> None:
    words = ("add", "silo", "--kind", "folder", "--option", f"path={folder}")
    assert vna(*words).exit_code == 0
    again = vna(*words)
    assert (again.exit_code, "already" in again.stderr) == (2, True)


def test_nothing_is_started_that_can_t_go_on(vna: Vna, site: Site, folder: Path) -> None:
    vna("add", "silo", "--kind", "folder", "--option", f"path={folder}")
    early = vna("start", "silo")
    assert (early.exit_code, "inventory" in early.stderr) == (2, True)
    vna("inventory", "silo")
    for path in [*folder.iterdir()]:
        path.unlink()
    folder.rmdir()
    away = vna("start", "silo")
    assert (away.exit_code, "nothing was started" in away.stderr) == (2, True)
    assert site.campaigns.find("silo").state is CampaignState.NEW


def test_a_campaign_is_finished(vna: Vna, site: Site, folder: Path) -> None:
    vna("add", "silo", "--kind", "folder", "--option", f"path={folder}")
    vna("inventory", "silo")
    early = vna("finish", "silo")
    assert (early.exit_code, "vna migrate start silo" in early.stderr) == (2, True)
    vna("start", "silo")
    open_still = vna("finish", "silo", "--json")
    assert (open_still.exit_code, last_json(open_still)["finished"]) == (1, False)
    assert "2 studies are still" in str(last_json(open_still)["why_not"])
    vna("work", "silo", "--until-done")
    finished = vna("finish", "silo", "--reread")
    assert (finished.exit_code, finished.stdout.splitlines()[-1]) == (0, "silo is finished")
    assert "6 verified instances, 0.00 GiB, 6 of them read again" in finished.stdout
    check = last_json(vna("status", "silo", "--json"))["final_check"]
    assert isinstance(check, dict)
    assert (check["result"], check["reread"]) == ("passed", True)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    away = vna("finish", "silo")
    assert (away.exit_code, "nothing was started" in away.stderr) == (2, True)


@pytest.mark.parametrize(
    "verb", ["start", "pause", "resume", "status", "exceptions", "retry", "finish"]
)
def test_a_campaign_that_is_not_there(vna: Vna, verb: str) -> None:
    result = vna(verb, "nothing")
    assert (result.exit_code, "vna migrate status" in result.stderr) == (2, True)


def test_exceptions_are_listed_and_tried_again(vna: Vna, site: Site) -> None:
    uids = study(2, "1.2.1", site.source.add)
    site.source.sends = lambda data: None if data == site.source.objects[uids[0]] else data
    site.work(site.begin())
    listed = vna("exceptions", "silo")
    assert listed.exit_code == 1
    assert "study 1.2.1: parked, not-delivered" in listed.stdout
    assert f"instance {uids[0]}: parked, not-delivered" in listed.stdout
    document = last_json(vna("exceptions", "silo", "--json"))
    assert document["study_instance_uid"] == "1.2.1"
    assert vna("retry", "silo", "--reason", "uid-collision").stdout == "0 studies are tried again\n"
    assert vna("retry", "silo", "--study", "1.2.1").stdout == "1 studies are tried again\n"
    site.source.sends = lambda data: data
    site.work(site.campaigns.find("silo"))
    assert vna("exceptions", "silo").exit_code == 0


def test_pausing_changing_and_choosing(vna: Vna, site: Site, tmp_path: Path) -> None:
    study(1, "1.2.1", site.source.add)
    study(1, "1.2.2", site.source.add)
    site.begin()
    assert vna("pause", "silo").stdout == "campaign silo is paused\n"
    assert vna("pause", "silo").exit_code == 0
    changed = vna(
        "change", "silo", "--associations", "2", "--window", "mon 07:00-18:00 associations=0"
    )
    assert changed.exit_code == 0
    settings = site.campaigns.find("silo").settings
    assert (settings.ceilings.associations, len(settings.windows)) == (2, 1)
    assert vna("change", "silo", "--window", "none").exit_code == 0
    assert site.campaigns.find("silo").settings.windows == ()
    wanted = tmp_path / "first"
    wanted.write_text("# the clinic needs them\n1.2.2  by noon\n\n1.2.9\n")
    assert "1 of 2 studies go first" in vna("prioritise", "silo", "--file", str(wanted)).stdout
    wanted.write_text("1.2.2\nDoe^Jane\n")
    wrong = vna("prioritise", "silo", "--file", str(wanted))
    assert (wrong.exit_code, "line 2" in wrong.stderr) == (2, True)
    assert "1 of 1" in vna("exclude", "silo", "1.2.1", "--because", "not ours").stdout
    assert "running: vna migrate pause" not in vna("remove", "silo").stderr
    assert vna("resume", "silo").stdout == "campaign silo is running\n"
    assert "vna migrate pause silo" in vna("remove", "silo", "--yes").stderr
    site.work(site.campaigns.find("silo"))
    assert site.study_states() == {"1.2.1": "excluded", "1.2.2": "verified"}
    assert "(not ours)" in vna("exceptions", "silo").stdout


def test_kinds_are_listed() -> None:
    result = CliRunner().invoke(main, ["migrate", "kinds"])
    assert result.exit_code == 0
    assert "called_ae_title" in result.stdout
