"""The end of a campaign: nothing new at the source, all of it in the archive, and every exception looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests import samples
from tests.migration.conftest import WHO, Site, study
from vna.dicom.header import read_header
from vna.errors import ConfigError
from vna.index.final_checks import FinalCheckIndex
from vna.migration.final_check_text import check_line, check_lines, result_of
from vna.migration.finishing import Finish, Finishing, FinishOptions, Watcher
from vna.model.campaign import Campaign, CampaignState, ItemState
from vna.model.final_check import FinalCheck, Findings


def finish(
    site: Site, campaign: Campaign, *, watcher: Watcher | None = None, **options: bool
) -> Finish:
    finishing = Finishing(site.database, site.tools, watcher or Watcher())
    return finishing.run(campaign, site.source, FinishOptions(threads=2, **options), WHO)


def newest(site: Site) -> FinalCheck:
    check = FinalCheckIndex(site.database).newest(site.campaigns.find("silo"))
    assert check is not None
    return check


def object_of(site: Site, uid: str) -> Path:
    """The file of an instance in the store."""
    query = "SELECT l.key FROM location l JOIN instance i ON i.id = l.instance WHERE i.sop_instance_uid = %s"
    ((key,),) = site.rows(query, uid)
    (found,) = site.bench.store_directory.rglob(str(key).rsplit("/", 1)[-1])
    return found


def test_a_campaign_is_finished_when_nothing_is_left(site: Site) -> None:
    uids = study(3, "1.2.1", site.source.add) + study(2, "1.2.2", site.source.add)
    done = site.work(site.begin())
    site.source.asked.clear()
    finished = finish(site, done, rereads=True)
    check = finished.check
    assert (finished.why_not, site.source.asked) == ("", [])
    assert check is not None
    assert result_of(check) == "passed"
    assert (check.inventory, check.operator) == (2, "tester")
    found = check.findings
    assert (found.studies, found.instances) == ({"verified": 2}, {"verified": 5})
    assert found.sizes == {"verified": sum(len(site.source.objects[uid]) for uid in uids)}
    assert (found.checked, found.reread, found.faults, found.to_accept) == (5, 5, 0, 0)
    assert "every object read again; 0 exceptions" in check_line(check)
    told = site.rows(
        "SELECT detail ->> 'what', detail ->> 'verified' FROM audit"
        " WHERE action = 'migration.changed' ORDER BY id DESC LIMIT 1"
    )
    assert told == [("finished", "5")]


def test_what_is_new_goes_first(site: Site) -> None:
    study(1, "1.2.1", site.source.add)
    done = site.work(site.begin())
    study(1, "1.2.1", site.source.add)
    study(1, "1.2.2", site.source.add)
    early = finish(site, done)
    assert early.check is None
    assert early.why_not.startswith("2 studies are still to be worked on")
    running = site.campaigns.find("silo")
    assert running.state is CampaignState.RUNNING
    assert finish(site, site.work(running)).why_not == ""


def do_not_count(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the source not tell how many instances a study has."""
    counted = site.source.studies
    monkeypatch.setattr(
        site.source,
        "studies",
        lambda scope: (replace(found, number_of_instances=None) for found in counted(scope)),
    )


def test_a_source_that_does_not_count_is_listed_again_and_no_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    study(2, "1.2.1", site.source.add)
    do_not_count(site, monkeypatch)
    done = site.work(site.begin())
    finished = finish(site, done)
    assert (finished.why_not, finished.stock.instances, finished.stock.changed_studies) == (
        "",
        2,
        0,
    )
    study(1, "1.2.1", site.source.add)
    assert finish(site, done).why_not.startswith("1 studies are still")


def test_an_object_that_has_another_size_now_is_fetched_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    do_not_count(site, monkeypatch)
    changed, same = study(2, "1.2.1", site.source.add)
    done = site.work(site.begin())
    uids = read_header(site.source.objects[changed]).uids
    elements = samples.identity(
        SOPInstanceUID=changed,
        StudyInstanceUID=uids.study_instance_uid,
        SeriesInstanceUID=uids.series_instance_uid,
        StudyDescription="Rewritten since",
    )
    site.source.add(samples.part10(elements))
    assert finish(site, done).why_not.startswith("1 studies are still")
    site.source.asked.clear()
    site.work(site.campaigns.find("silo"))
    assert site.source.asked == [(changed,)]
    assert site.states() == {changed: "mismatched uid-collision", same: "verified"}
    site.assert_counts_agree()


def test_what_was_deleted_or_altered_since_is_an_exception(site: Site) -> None:
    deleted, altered, whole = study(3, "1.2.1", site.source.add)
    done = site.work(site.begin())
    site.bench.trash.delete(read_header(site.source.objects[deleted]).uids, WHO)
    site.rows(
        "UPDATE instance SET object_digest = '\\x00', dataset_digest = '\\x00'"
        " WHERE sop_instance_uid = %s RETURNING id",
        altered,
    )
    finished = finish(site, done)
    assert finished.why_not.startswith("2 verified instances are not in the archive")
    assert finished.why_not.endswith("vna migrate exceptions silo lists them")
    assert site.states() == {
        deleted: "mismatched not-in-archive",
        altered: "mismatched bytes-differ",
        whole: "verified",
    }
    assert site.rows("SELECT detail FROM migration_instance WHERE detail <> ''") == [
        ("it was deleted, and lies in the trash",)
    ]
    assert site.study_states() == {"1.2.1": "mismatched instances"}
    assert result_of(newest(site)) == "failed"
    site.assert_counts_agree()
    site.campaigns.retry(done, WHO, states=[ItemState.MISMATCHED])
    site.work(site.campaigns.find("silo"))
    assert site.states()[deleted] == "verified"


def test_damage_is_found_by_reading_again_and_the_object_comes_once_more(site: Site) -> None:
    broken, _ = study(2, "1.2.1", site.source.add)
    done = site.work(site.begin())
    file = object_of(site, broken)
    file.chmod(0o600)
    file.write_bytes(bytes(file.stat().st_size))
    assert finish(site, done).why_not == ""
    finished = finish(site, site.campaigns.find("silo"), rereads=True)
    assert finished.why_not.startswith("1 verified instances")
    assert "the campaign goes on with them" in finished.why_not
    assert site.states()[broken] == "failed damaged-in-storage"
    assert site.campaigns.find("silo").state is CampaignState.RUNNING


def test_exceptions_have_to_be_accepted_by_a_person(site: Site) -> None:
    lost, _ = study(2, "1.2.1", site.source.add)
    study(1, "1.2.2", site.source.add)
    site.source.claims["1.2.2"] = 2
    site.source.sends = lambda data: None if data == site.source.objects[lost] else data
    done = site.work(site.begin())
    refused = finish(site, done)
    assert refused.why_not.startswith("2 exceptions wait for a person")
    accepted = finish(site, done, accepts_exceptions=True)
    assert (accepted.why_not, newest(site).accepts_exceptions) == ("", True)
    found = newest(site).findings
    assert found.exceptions == {"parked not-delivered": 1}
    assert found.study_exceptions == {"mismatched fewer-than-claimed": 1}
    text = "\n".join(check_lines(newest(site)))
    assert "1 instances parked, not-delivered: the source did not send it" in text
    assert "2 exceptions, accepted" in check_line(newest(site))


@pytest.mark.parametrize("counts", [True, False])
def test_what_was_left_out_on_purpose_needs_nobody(
    site: Site, monkeypatch: pytest.MonkeyPatch, counts: bool
) -> None:
    if not counts:
        do_not_count(site, monkeypatch)
    study(1, "1.2.1", site.source.add)
    study(1, "1.2.2", site.source.add)
    campaign = site.begin()
    site.campaigns.exclude(campaign, ["1.2.2"], "not ours", WHO)
    assert finish(site, site.work(campaign)).why_not == ""
    assert newest(site).findings.study_exceptions == {"excluded": 1}


def test_what_came_another_way_and_what_is_gone_are_noted(site: Site) -> None:
    study(1, "1.2.1", site.source.add)
    gone = study(1, "1.2.2", site.source.add)
    done = site.work(site.begin())
    study(2, "1.2.1", site.bench.keep)
    del site.source.objects[gone[0]]
    assert finish(site, done).why_not == ""
    found = newest(site).findings
    assert (found.others, found.gone, found.checked) == (2, 1, 2)


def test_a_check_that_was_cut_off_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vna.migration.final_check.STUDIES_AT_ONCE", 1)
    for number in range(3):
        study(1, f"1.2.{number}", site.source.add)
    done = site.work(site.begin())
    told: list[int] = []
    watcher = Watcher(
        on_findings=lambda found: told.append(found.checked), should_stop=lambda: bool(told)
    )
    cut = finish(site, done, watcher=watcher)
    assert (cut.check, result_of(newest(site))) == (None, "unfinished")
    assert "stopped" in cut.why_not
    finished = finish(site, done, watcher=Watcher(on_findings=lambda f: told.append(f.checked)))
    assert (finished.why_not, told) == ("", [1, 2, 3])
    assert len(FinalCheckIndex(site.database).checks(done)) == 1
    assert newest(site).inventory == site.campaigns.find("silo").inventory


def test_a_check_that_was_cut_off_begins_anew_when_a_study_was_worked_on_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vna.migration.final_check.STUDIES_AT_ONCE", 1)
    for number in range(3):
        study(1, f"1.2.{number}", site.source.add)
    done = site.work(site.begin())
    stop: list[Findings] = []
    watcher = Watcher(on_findings=stop.append, should_stop=lambda: bool(stop))
    assert finish(site, done, watcher=watcher).check is None
    (again,) = site.rows("SELECT study_instance_uid FROM migration_study ORDER BY id LIMIT 1")
    site.campaigns.retry(done, WHO, states=[ItemState.VERIFIED], uids=list(again))
    site.work(site.campaigns.find("silo"))
    checked: list[int] = []
    whole = Watcher(on_findings=lambda found: checked.append(found.checked))
    assert finish(site, done, watcher=whole).why_not == ""
    assert checked == [1, 2, 3]


def test_instances_of_a_study_that_was_given_up_are_exceptions_like_it(site: Site) -> None:
    study(2, "1.2.1", site.source.add)
    lost, *_ = study(3, "1.2.2", site.source.add)
    done = site.work(site.begin())
    site.rows(
        "UPDATE migration_study SET state = 'parked', reason = 'worker-lost', exceptions = 1"
        " WHERE study_instance_uid = '1.2.2' RETURNING id"
    )
    site.rows(
        "UPDATE migration_instance SET state = CASE WHEN sop_instance_uid = %s THEN 'parked' ELSE 'queued' END"
        " WHERE study IN (SELECT id FROM migration_study WHERE study_instance_uid = '1.2.2') RETURNING id",
        lost,
    )
    assert finish(site, done).why_not.startswith("3 exceptions wait")
    assert newest(site).findings.exceptions == {"parked": 3}


@pytest.mark.parametrize("accepts", [True, False])
def test_a_change_during_the_check_is_told_as_such(site: Site, accepts: bool) -> None:
    study(1, "1.2.1", site.source.add)
    done = site.work(site.begin())

    def meanwhile(_: Findings) -> None:
        site.inventory.begin(done)

    watcher = Watcher(on_findings=meanwhile)
    refused = finish(site, done, watcher=watcher, accepts_exceptions=accepts)
    assert refused.why_not.startswith("something was changed while it was checked")


def test_two_at_once_do_not_get_in_each_other_s_way(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vna.migration.final_check.STUDIES_AT_ONCE", 1)
    for number in range(3):
        study(1, f"1.2.{number}", site.source.add)
    done = site.work(site.begin())

    def meanwhile(found: Findings) -> None:
        other = newest(site)
        FinalCheckIndex(site.database).went_on(other, other.position, other.position + 1, found)

    with pytest.raises(ConfigError, match="under way"):
        finish(site, done, watcher=Watcher(on_findings=meanwhile))


def test_a_check_is_outdated_by_whatever_comes_after_it(site: Site) -> None:
    study(1, "1.2.1", site.source.add)
    done = site.work(site.begin())
    finish(site, done)
    assert newest(site).is_current
    site.campaigns.set_state(done, CampaignState.RUNNING, WHO)
    site.work(site.campaigns.find("silo"))
    assert result_of(newest(site)) == "outdated"
    assert "make it again" in check_line(newest(site))


def test_what_nothing_explains_keeps_a_campaign_from_its_end(site: Site) -> None:
    forgotten, _ = study(2, "1.2.1", site.source.add)
    done = site.work(site.begin())
    site.rows(
        "UPDATE migration_instance SET state = 'queued' WHERE sop_instance_uid = %s RETURNING id",
        forgotten,
    )
    refused = finish(site, done, accepts_exceptions=True)
    assert refused.why_not.startswith("1 instances are neither verified nor exceptions")
    assert not newest(site).has_passed
    site.campaigns.retry(done, WHO, states=[ItemState.VERIFIED])
    assert finish(site, site.work(site.campaigns.find("silo"))).why_not == ""
