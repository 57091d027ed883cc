"""A campaign from inventory to the last verdict: everything arrives, and nothing is called verified that is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest

from tests import samples
from tests.migration.conftest import AT_ONCE, WHO, Site, kept_bytes, study
from tests.migration.paper_source import take_stock
from vna.errors import Unavailable
from vna.migration.sources.base import SourceBusy, SourceError, SourceUnavailable
from vna.model.campaign import CampaignSettings, CampaignState, Ceilings, ItemState
from vna.model.migration import FoundInstance, FoundStudy


def test_everything_arrives_and_is_verified(site: Site) -> None:
    uids = [uid for _ in range(5) for uid in study(4, add=site.source.add)]
    done = site.work(site.begin())
    assert done.state is CampaignState.DONE
    assert site.states() == dict.fromkeys(uids, "verified")
    assert set(site.study_states().values()) == {"verified"}
    assert kept_bytes(site, uids) == site.source.objects
    site.assert_counts_agree()


def test_a_second_run_moves_nothing(site: Site) -> None:
    study(3, add=site.source.add)
    done = site.work(site.begin())
    site.source.asked.clear()
    site.campaigns.set_state(done, CampaignState.RUNNING, WHO)
    assert site.work(site.campaigns.find("silo")).state is CampaignState.DONE
    assert site.source.asked == []


def test_what_does_not_come_is_asked_for_again_and_then_parked(site: Site) -> None:
    uids = study(4, add=site.source.add)
    lost = uids[1]
    site.source.sends = lambda data: None if data == site.source.objects[lost] else data
    assert site.work(site.begin()).state is CampaignState.DONE
    assert site.states() == dict.fromkeys(uids, "verified") | {lost: "parked not-delivered"}
    assert set(site.study_states().values()) == {"parked not-delivered"}
    assert site.source.asked == [tuple(uids), (lost,), (lost,)]
    site.assert_counts_agree()


def test_a_person_can_have_it_tried_again(site: Site) -> None:
    uids = study(2, add=site.source.add)
    site.source.sends = lambda _: None
    done = site.work(site.begin())
    site.source.sends = lambda data: data
    assert site.campaigns.retry(done, WHO) == 1
    assert site.work(site.campaigns.find("silo")).state is CampaignState.DONE
    assert site.states() == dict.fromkeys(uids, "verified")
    site.assert_counts_agree()


def test_one_bad_study_does_not_hold_up_the_others(site: Site) -> None:
    bad = study(2, "1.2.3", site.source.add)
    good = study(2, "1.2.4", site.source.add)

    def refuse(uid: str) -> None:
        if uid == "1.2.3":
            raise SourceError("no such study")

    site.source.before_fetch = refuse
    assert site.work(site.begin()).state is CampaignState.DONE
    assert site.study_states() == {"1.2.3": "parked source-error", "1.2.4": "verified"}
    assert site.states() == dict.fromkeys(bad, "parked source-error") | dict.fromkeys(
        good, "verified"
    )


def test_a_source_that_is_away_uses_up_no_attempts(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = study(2, add=site.source.add)
    monkeypatch.setattr("vna.migration.campaign_worker._REST", 0.0)
    campaign = site.begin()

    def fetch(_: str) -> None:
        site.source.is_away = len(site.source.asked) <= 10
        if site.source.is_away:
            raise SourceUnavailable("nobody there")

    site.source.before_fetch = fetch
    assert site.work(campaign).state is CampaignState.DONE
    assert site.states() == dict.fromkeys(uids, "verified")
    assert len(site.source.asked) == 11


def test_a_study_that_breaks_the_source_is_parked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vna.migration.campaign_worker._REST", 0.0)
    study(2, add=site.source.add)

    def break_off(_: str) -> None:
        raise SourceUnavailable("reset")

    site.source.before_fetch = break_off
    assert site.work(site.begin()).state is CampaignState.DONE
    assert set(site.study_states().values()) == {"parked source-unavailable"}
    assert len(site.source.asked) == AT_ONCE.attempts


def test_a_busy_source_is_asked_again_without_counting(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vna.migration.campaign_worker._REST", 0.0)
    uids = study(2, add=site.source.add)
    refusals = iter([SourceBusy("A700")] * 7)

    def refuse(_: str) -> None:
        for error in refusals:
            raise error

    site.source.before_fetch = refuse
    assert site.work(site.begin()).state is CampaignState.DONE
    assert site.states() == dict.fromkeys(uids, "verified")


def test_a_study_for_which_the_source_is_always_busy_holds_up_nobody(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vna.migration.campaign_worker._REST", 0.0)
    study(1, "1.2.1", site.source.add)
    for number in range(2, 9):
        study(1, f"1.2.{number}", site.source.add)

    def refuse(uid: str) -> None:
        if uid == "1.2.1":
            raise SourceBusy("A702")

    site.source.before_fetch = refuse
    campaign = site.begin(replace(AT_ONCE, ceilings=Ceilings(associations=1)))
    site.campaigns.prioritise(campaign, ["1.2.1"], WHO)
    worker = threading.Thread(target=site.work, args=(campaign,))
    worker.start()
    while list(site.study_states().values()).count("verified") < 7:
        threading.Event().wait(0.02)
    site.stopping.set()
    worker.join(30)


def test_an_archive_that_can_t_keep_more_loses_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vna.migration.campaign_worker._REST", 0.0)
    uids = study(3, add=site.source.add)
    store, failures = site.bench.store.store, iter(["full", "full", "full", "full", "full"])

    def full(*args: object) -> object:
        for text in failures:
            raise Unavailable(text)
        return store(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(site.bench.store, "store", full)
    assert site.work(site.begin()).state is CampaignState.DONE
    assert site.states() == dict.fromkeys(uids, "verified")


def test_an_empty_study_and_a_lost_one_are_told_apart(site: Site) -> None:
    empty, lost = study(1, "1.2.1", site.source.add), study(1, "1.2.2", site.source.add)
    site.source.hidden = {*empty, *lost}
    site.source.claims = {"1.2.1": 0, "1.2.2": 7}
    assert site.work(site.begin()).state is CampaignState.DONE
    assert site.study_states() == {"1.2.1": "excluded empty", "1.2.2": "parked lost-at-source"}
    assert site.source.asked == []


def test_a_study_that_lists_fewer_than_it_counts_is_an_exception(site: Site) -> None:
    uids = study(2, "1.2.1", site.source.add)
    site.source.claims = {"1.2.1": 3}
    site.work(site.begin())
    assert site.study_states() == {"1.2.1": "mismatched fewer-than-claimed"}
    assert site.states() == dict.fromkeys(uids, "verified")


def test_other_uids_at_each_retrieve_are_noticed_at_once(site: Site) -> None:
    uids = study(3, "1.2.1", site.source.add)
    made: list[str] = []

    def renamed(_: bytes) -> bytes:
        made.append(samples.new_uid())
        return samples.small(SOPInstanceUID=made[-1], StudyInstanceUID="1.2.1")

    site.source.sends = renamed
    site.work(site.begin())
    assert len(site.source.asked) == 1
    assert site.study_states() == {"1.2.1": "parked unstable-uids"}
    assert site.states() == dict.fromkeys(uids, "parked not-delivered") | dict.fromkeys(
        made, "mismatched not-listed"
    )
    assert len(kept_bytes(site, made)) == 3
    site.assert_counts_agree()


def test_what_is_new_at_the_source_comes_with_the_next_inventory(site: Site) -> None:
    old = study(2, "1.2.1", site.source.add)
    done = site.work(site.begin())
    new = study(1, "1.2.1", site.source.add) + study(2, "1.2.2", site.source.add)
    assert take_stock(site.source, site.inventory, done) == 2
    site.campaigns.set_state(done, CampaignState.RUNNING, WHO)
    site.source.asked.clear()
    site.work(site.campaigns.find("silo"))
    assert site.states() == dict.fromkeys(old + new, "verified")
    assert sorted(uid for asked in site.source.asked for uid in asked) == sorted(new)
    site.assert_counts_agree()


def test_what_is_gone_from_the_source_stays_in_the_ledger(site: Site) -> None:
    kept, gone = study(2, "1.2.1", site.source.add)
    site.source.sends = lambda data: None if data == site.source.objects[gone] else data
    done = site.work(site.begin())
    site.source.hidden = {gone}
    take_stock(site.source, site.inventory, done)
    site.campaigns.set_state(done, CampaignState.RUNNING, WHO)
    site.work(site.campaigns.find("silo"))
    assert site.states() == {kept: "verified", gone: "excluded gone-from-source"}


def test_never_more_at_once_than_the_ceiling(site: Site) -> None:
    for _ in range(12):
        study(1, add=site.source.add)
    site.work(site.begin(CampaignSettings(Ceilings(associations=3))))
    assert site.source.most_at_once <= 3
    assert set(site.states().values()) == {"verified"}


def test_the_newest_studies_come_first_but_for_those_of_a_list(site: Site) -> None:
    days = {"1.2.1": "20200101", "1.2.2": "20230101", "1.2.3": "", "1.2.4": "20210101"}
    for uid in days:
        study(1, uid, site.source.add)
    campaign = site.begin(CampaignSettings(Ceilings(associations=1)))
    site.rows(
        "UPDATE migration_study SET rank = CASE study_instance_uid WHEN '1.2.1' THEN 1"
        " WHEN '1.2.2' THEN 3 WHEN '1.2.3' THEN 0 ELSE 2 END RETURNING id"
    )
    order: list[str] = []
    site.source.before_fetch = order.append
    assert site.campaigns.prioritise(campaign, ["1.2.3", "1.2.9"], WHO) == 1
    site.work(campaign)
    assert order == ["1.2.3", "1.2.2", "1.2.4", "1.2.1"]


def test_refused_objects_are_exceptions_with_their_reason(site: Site) -> None:
    uids = study(2, "1.2.1", site.source.add)
    site.source.sends = lambda data: data if data == site.source.objects[uids[0]] else DIRECTORY
    site.work(site.begin(CampaignSettings(attempts=1)))
    assert site.states() == {uids[0]: "verified", uids[1]: "parked refused"}


def test_what_landed_before_an_error_is_verified_all_the_same(site: Site) -> None:
    first, second = study(2, "1.2.1", site.source.add)
    steps = iter([None])

    def break_down() -> None:
        for _ in steps:
            return
        raise RuntimeError("a fault of the connector")

    site.source.before_object = break_down
    site.work(site.begin(CampaignSettings(attempts=1)))
    assert site.states() == {first: "verified", second: "parked unforeseen"}
    assert site.study_states() == {"1.2.1": "parked unforeseen"}


DIRECTORY = samples.part10(
    samples.identity(SOPClassUID="1.2.840.10008.1.3.10", DirectoryRecordSequence=[])
)


def test_a_study_that_can_t_be_listed_whole_is_brought_over_and_not_called_verified(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = study(3, "1.2.1", site.source.add)
    campaign = site.begin()
    listed = site.source.instances

    def cut(found: FoundStudy) -> Iterator[FoundInstance]:
        yield from islice(listed(found), 2)
        raise SourceError("it gives two results and not more")

    monkeypatch.setattr(site.source, "instances", cut)
    site.rows("DELETE FROM migration_instance RETURNING id")
    site.rows("UPDATE migration_study SET listed = 0, claimed = NULL RETURNING id")
    site.work(campaign)
    assert site.states() == dict.fromkeys(uids[:2], "verified")
    assert site.study_states() == {"1.2.1": "mismatched not-all-listed"}


def test_what_is_verified_can_be_verified_again_without_fetching_it(site: Site) -> None:
    uids = study(3, "1.2.1", site.source.add)
    done = site.work(site.begin())
    site.source.asked.clear()
    site.rows(
        "UPDATE instance SET object_digest = '\\x00', dataset_digest = '\\x00'"
        " WHERE sop_instance_uid = %s RETURNING id",
        uids[0],
    )
    assert site.campaigns.retry(done, WHO, states=[ItemState.VERIFIED]) == 1
    assert set(site.states().values()) == {"landed"}
    site.work(site.campaigns.find("silo"))
    assert site.source.asked == []
    assert site.states() == dict.fromkeys(uids, "verified") | {uids[0]: "mismatched bytes-differ"}
    site.assert_counts_agree()
