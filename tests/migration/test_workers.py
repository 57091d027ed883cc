"""Several workers on one campaign; pausing; workers that vanish."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests import samples
from tests.migration.conftest import AT_ONCE, WHO, Site, study
from tests.migration.paper_source import take_stock
from vna.index import transfer_ledger
from vna.index.transfer_ledger import MOST_LOSSES
from vna.migration.sources.base import MigrationSource, SourceBusy
from vna.migration.workers import MigrationWorkers
from vna.model.campaign import (
    Campaign,
    CampaignSettings,
    CampaignState,
    Ceilings,
    ItemState,
    StudyEnd,
    Window,
    WorkerPulse,
)
from vna.model.migration import SourceSettings

PULSE = WorkerPulse(0, 1.0)
ALL_WEEK = tuple(range(7))


@contextmanager
def working(site: Site, campaign: Campaign) -> Iterator[threading.Thread]:
    """A worker in a thread, which has ended behind the block."""
    thread = threading.Thread(target=site.worker(campaign).run, args=(site.stopping.is_set,))
    thread.start()
    try:
        yield thread
    finally:
        site.stopping.set()
        thread.join(30)
    assert not thread.is_alive()


def enlist(site: Site, campaign: Campaign) -> int:
    number = site.ledger.enlist(campaign, "one of many")
    assert number is not None
    return number


def test_no_study_is_claimed_twice(site: Site) -> None:
    for _ in range(30):
        study(1, add=site.source.add)
    campaign = site.begin()
    claimed: list[int] = []

    def claim() -> None:
        worker = enlist(site, campaign)
        while (item := site.ledger.claim(campaign, worker)) is not None:
            claimed.append(item.study_id)

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 30


def test_workers_keep_the_ceiling_together(site: Site) -> None:
    for _ in range(24):
        study(1, add=site.source.add)
    campaign = site.begin(CampaignSettings(Ceilings(associations=3)))
    threads = [
        threading.Thread(target=site.worker(campaign).run, args=(site.stopping.is_set,))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(site.states().values()) == {"verified"}
    assert site.source.most_at_once <= 3
    assert len(site.source.asked) == 24
    site.assert_counts_agree()


def test_a_pause_takes_effect_at_once_and_loses_nothing(site: Site) -> None:
    uids = study(200, add=site.source.add)
    campaign = site.begin()
    some, stored = threading.Event(), threading.Semaphore(0)

    def slow() -> None:
        stored.release()
        some.set()
        threading.Event().wait(0.02)

    site.source.before_object = slow
    with working(site, campaign) as thread:
        assert some.wait(30)
        assert site.campaigns.set_state(campaign, CampaignState.PAUSED, WHO)
        thread.join(30)
    came = set(site.rows("SELECT state FROM migration_instance"))
    assert ("transferring",) not in came
    assert site.study_states().popitem()[1] == "queued"
    kept = {uid for uid, state in site.states().items() if state in {"landed", "verified"}}
    assert 0 < len(kept) < 200
    assert site.rows("SELECT attempts FROM migration_study") == [(0,)]
    site.source.before_object = lambda: None
    site.source.asked.clear()
    site.stopping.clear()
    assert site.campaigns.set_state(campaign, CampaignState.RUNNING, WHO)
    site.work(site.campaigns.find("silo"))
    assert site.states() == dict.fromkeys(uids, "verified")
    assert not kept.intersection(*site.source.asked)
    site.assert_counts_agree()


def test_a_study_for_which_the_source_is_busy_holds_up_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_REST", "_LONGEST_REST"):
        monkeypatch.setattr(f"vna.migration.campaign_worker.{name}", 0.1)
    monkeypatch.setattr("vna.migration.campaign_worker._PATIENCE", 3)
    study(1, "1.2.1", site.source.add)
    study(1, "1.2.2", site.source.add)

    def refuse(study_uid: str) -> None:
        if study_uid == "1.2.1":
            raise SourceBusy("later")

    site.source.before_fetch = refuse
    done = site.work(site.begin())
    assert done.state is CampaignState.DONE
    assert site.study_states() == {"1.2.1": "parked source-busy", "1.2.2": "verified"}


def test_hours_without_transfer(site: Site) -> None:
    study(1, add=site.source.add)
    closed = Window(ALL_WEEK, 0, 24 * 60, Ceilings(0))
    campaign = site.begin(CampaignSettings(windows=(closed,)))
    with working(site, campaign):
        while not (notes := site.rows("SELECT note FROM migration_worker")) or not notes[0][0]:
            threading.Event().wait(0.02)
        assert notes == [("no transfer at this hour of the calendar",)]
        assert site.source.asked == []
        site.campaigns.change(campaign, AT_ONCE, WHO)
        while site.campaigns.find("silo").state is not CampaignState.DONE:
            threading.Event().wait(0.02)
    assert set(site.states().values()) == {"verified"}


def test_what_a_dead_worker_held_is_taken_over(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    study(1, add=site.source.add)
    campaign = site.begin()
    dead = enlist(site, campaign)
    item = site.ledger.claim(campaign, dead)
    assert item is not None
    assert site.ledger.tidy(campaign) == 0
    monkeypatch.setattr(transfer_ledger, "LEASE_SECONDS", -1.0)
    assert site.ledger.tidy(campaign) == 1
    monkeypatch.undo()
    assert site.ledger.pulse(dead, PULSE) is None
    assert site.ledger.claim(campaign, dead) is None
    assert not site.ledger.finish(item.study_id, dead, [], StudyEnd(ItemState.VERIFIED))
    assert set(site.study_states().values()) == {"queued"}
    assert site.rows("SELECT attempts, losses FROM migration_study") == [(0, 1)]


def test_a_study_over_which_all_workers_end_is_parked(site: Site) -> None:
    study(1, "1.2.1", site.source.add)
    study(1, "1.2.2", site.source.add)
    campaign = site.begin()
    site.campaigns.prioritise(campaign, ["1.2.1"], WHO)
    for _ in range(MOST_LOSSES):
        worker = enlist(site, campaign)
        item = site.ledger.claim(campaign, worker)
        assert item is not None
        assert item.found.study_instance_uid == "1.2.1"
        site.ledger.resign(worker)
        site.ledger.tidy(campaign)
    assert site.study_states() == {"1.2.1": "parked worker-lost", "1.2.2": "queued"}


def test_a_worker_that_is_taken_for_dead_begins_anew(site: Site) -> None:
    uids = study(30, add=site.source.add)
    campaign = site.begin()
    some, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        some.set()
        assert go_on.wait(30)

    site.source.before_object = hold
    with working(site, campaign):
        assert some.wait(30)
        site.rows("DELETE FROM migration_worker RETURNING id")
        go_on.set()
        while site.campaigns.find("silo").state is not CampaignState.DONE:
            threading.Event().wait(0.02)
    assert site.states() == dict.fromkeys(uids, "verified")
    site.assert_counts_agree()


def test_campaigns_are_worked_on_as_they_come_and_go(site: Site) -> None:
    study(2, add=site.source.add)
    opened: list[str] = []

    def open_source(settings: SourceSettings) -> MigrationSource:
        opened.append(settings.kind)
        return site.source

    workers = MigrationWorkers(site.campaigns, lambda: site.tools, open_source)
    thread = threading.Thread(target=workers.run, args=(site.stopping,))
    thread.start()
    campaign = site.begin()
    while site.campaigns.find("silo").state is not CampaignState.DONE:
        threading.Event().wait(0.02)
    assert site.campaigns.set_state(campaign, CampaignState.RUNNING, WHO)
    while site.campaigns.find("silo").state is not CampaignState.DONE:
        threading.Event().wait(0.02)
    site.stopping.set()
    thread.join(30)
    assert opened == ["paper", "paper"]
    assert site.source.is_closed


def test_the_next_look_comes_also_after_a_source_that_can_t_be_opened(site: Site) -> None:
    from vna.errors import ConfigError

    study(1, add=site.source.add)
    site.begin()
    tried = threading.Event()

    def open_source(_: SourceSettings) -> MigrationSource:
        tried.set()
        raise ConfigError("no such host")

    workers = MigrationWorkers(site.campaigns, lambda: site.tools, open_source)
    thread = threading.Thread(target=workers.run, args=(site.stopping,))
    thread.start()
    assert tried.wait(30)
    site.stopping.set()
    thread.join(30)
    assert not thread.is_alive()


def test_a_campaign_that_is_removed_under_its_worker(site: Site) -> None:
    study(5, add=site.source.add)
    campaign = site.begin()
    some, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        some.set()
        assert go_on.wait(30)

    site.source.before_object = hold
    thread = threading.Thread(target=site.worker(campaign).run, args=(site.stopping.is_set,))
    thread.start()
    assert some.wait(30)
    site.campaigns.remove(campaign, WHO)
    go_on.set()
    thread.join(30)
    assert not thread.is_alive()
    assert site.rows("SELECT count(*) FROM migration_count") == [(0,)]


def test_what_else_the_archive_has_of_a_study_is_told(site: Site) -> None:
    study(1, "1.2.1", site.source.add)
    site.bench.keep(samples.small(StudyInstanceUID="1.2.1"))
    site.work(site.begin())
    assert site.rows("SELECT state, detail FROM migration_study") == [
        ("verified", "1 more instances in the archive are not from this source")
    ]


def test_what_an_inventory_lists_while_a_study_is_verified_comes_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    study(2, "1.2.1", site.source.add)
    campaign = site.begin()
    proven = site.tools.prover.prove
    late: list[str] = []

    def prove(*arguments: Any) -> Any:
        if not late:
            late.extend(study(1, "1.2.1", site.source.add))
            take_stock(site.source, site.inventory, campaign)
        return proven(*arguments)

    monkeypatch.setattr(site.tools.prover, "prove", prove)
    assert site.work(campaign).state is CampaignState.DONE
    assert site.states()[late[0]] == "verified"
    site.assert_counts_agree()
