"""Campaigns of the same source bear in mind that it is one."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from tests.migration.conftest import WHO, Site, study
from tests.migration.paper_source import take_stock
from vna.migration.hours import least_at
from vna.model.campaign import (
    Campaign,
    CampaignSettings,
    CampaignState,
    Ceilings,
    NewCampaign,
    Orders,
    WorkerPulse,
)
from vna.model.migration import SourceSettings

HERE = {"host": "PACS.example.org", "port": "104", "called_ae_title": "ONE"}
ALIKE = {"host": "pacs.example.org", "port": "104", "called_ae_title": "TWO"}


def begin(
    site: Site, name: str, options: dict[str, str], associations: int, kind: str = "dicom"
) -> Campaign:
    """A campaign that runs, with an inventory of what the source has now."""
    settings = CampaignSettings(Ceilings(associations))
    new = NewCampaign(name, SourceSettings(kind, options), settings=settings)
    campaign = site.campaigns.add(new, WHO)
    take_stock(site.source, site.inventory, campaign)
    site.campaigns.set_state(campaign, CampaignState.RUNNING, WHO)
    return site.campaigns.find(name)


def enlisted(site: Site, campaign: Campaign) -> int:
    worker = site.ledger.enlist(campaign, "here")
    assert worker is not None
    return worker


def orders(site: Site, worker: int, active: int = 0) -> Orders:
    told = site.ledger.pulse(worker, WorkerPulse(active, 1.0))
    assert told is not None
    return told


@pytest.mark.parametrize(
    ("kind", "options", "is_same"),
    [
        ("dicom", ALIKE, True),
        ("dicom", {**HERE, "port": "11112"}, False),
        ("dicomweb", {"url": "http://pacs.example.org:104"}, False),
    ],
)
def test_workers_learn_of_those_of_the_same_source(
    site: Site, kind: str, options: dict[str, str], is_same: bool
) -> None:
    study(1, add=site.source.add)
    one = enlisted(site, begin(site, "one", HERE, 4))
    other = enlisted(site, begin(site, "other", options, 2, kind))
    orders(site, other, active=3)
    told = orders(site, one)
    assert (told.workers, told.others_active) == ((2, 3) if is_same else (1, 0))
    assert [s.ceilings.associations for s in told.neighbours] == ([2] if is_same else [])
    if is_same:  # the ranks go round by the minute, which may end in between
        ranks = [{orders(site, one).rank, orders(site, other).rank} for _ in range(2)]
        assert {0, 1} in ranks


def test_who_has_nothing_to_do_takes_nothing_from_the_others(site: Site) -> None:
    study(1, add=site.source.add)
    one = enlisted(site, begin(site, "one", HERE, 4))
    idle = begin(site, "idle", ALIKE, 2)
    worker = enlisted(site, idle)
    assert orders(site, one).workers == 2
    assert site.ledger.claim(idle, worker) is not None
    told = orders(site, one)
    assert (told.workers, told.rank, told.neighbours) == (1, 0, ())


def test_together_they_keep_the_lowest_ceiling(site: Site) -> None:
    for _ in range(12):
        study(1, add=site.source.add)
    campaigns = [begin(site, "one", HERE, 4), begin(site, "other", ALIKE, 2)]
    threads = [
        threading.Thread(target=site.worker(campaign).run, args=(site.stopping.is_set,))
        for campaign in campaigns
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert site.rows("SELECT DISTINCT state FROM migration_study") == [("verified",)]
    assert site.source.most_at_once <= 2


def test_the_least_of_ceilings_passes_over_what_has_no_bound() -> None:
    several = (Ceilings(4, 0, 100), Ceilings(2, 5, 0), Ceilings(3, 9, 50))
    now = datetime.now(UTC)
    assert least_at([CampaignSettings(one) for one in several], now) == Ceilings(2, 5, 50)
    assert least_at([CampaignSettings(Ceilings(4))], now) == Ceilings(4)
