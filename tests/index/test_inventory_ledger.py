"""Inventories in the ledger: what is new, what is told otherwise, what is gone; nothing is removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from vna.index.campaigns import CampaignIndex
from vna.index.database import Database
from vna.index.inventory_ledger import (
    InventoryLedger,
    RecordedInstances,
    RecordedStudies,
    YearLine,
    date_of,
    rank_of,
)
from vna.index.ledger_status import LedgerStatusIndex
from vna.model.campaign import Campaign, CampaignState, NewCampaign
from vna.model.identifiers import InstanceUids, Origin
from vna.model.migration import FoundInstance, FoundStudy, Scope, SourceSettings

WHO = Origin("cli", "tester")
STUDY = FoundStudy(
    "1.2", "PID-1", study_date="20200229", modalities=("CT", "PR"), number_of_instances=2
)


def instance(number: int, series: str = "1.2.1", place: str = "") -> FoundInstance:
    return FoundInstance(
        InstanceUids("1.2", series, f"1.2.1.{number}"), size=100, modality="CT", place=place
    )


@pytest.fixture
def ledger(database: Database) -> InventoryLedger:
    return InventoryLedger(database)


@pytest.fixture
def campaign(database: Database) -> Campaign:
    scope = Scope(date(2020, 1, 1), modalities=("CT",))
    return CampaignIndex(database).add(
        NewCampaign("silo", SourceSettings("paper", {"a": "b"}), scope), WHO
    )


Rows = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def rows(database: Database) -> Rows:
    return lambda query: database.attempt(lambda c: c.execute(query).fetchall())


def test_a_campaign_is_kept_as_it_was_asked_for(database: Database, campaign: Campaign) -> None:
    assert CampaignIndex(database).find("silo") == campaign
    assert campaign.scope == Scope(date(2020, 1, 1), modalities=("CT",))
    assert campaign.source.options == {"a": "b"}


def test_an_inventory_that_was_cut_off_goes_on(ledger: InventoryLedger, campaign: Campaign) -> None:
    assert ledger.begin(campaign) == 1
    assert ledger.begin(campaign) == 1
    assert ledger.is_open(campaign)
    ledger.end(campaign, 1)
    assert not ledger.is_open(campaign)
    assert ledger.begin(campaign) == 2


def test_studies_are_known_again(ledger: InventoryLedger, campaign: Campaign, rows: Rows) -> None:
    first = ledger.begin(campaign)
    assert ledger.studies(campaign, first, [STUDY, STUDY]) == RecordedStudies(new=1)
    ((number, found),) = ledger.unlisted(campaign, first)
    assert found == replace(STUDY, modalities=("CT", "PR"))
    listed = ledger.instances(number, first, [instance(1), instance(2), instance(2)])
    assert listed == RecordedInstances(new=2)
    assert ledger.unlisted(campaign, first) == []
    ledger.end(campaign, first)
    second = ledger.begin(campaign)
    assert ledger.studies(campaign, second, [STUDY]) == RecordedStudies(same=1)
    assert ledger.unlisted(campaign, second) == []
    changed = replace(STUDY, number_of_instances=3)
    third = second
    ledger.end(campaign, second)
    third = ledger.begin(campaign)
    assert ledger.studies(campaign, third, [changed]) == RecordedStudies(changed=1)
    assert [study for _, study in ledger.unlisted(campaign, third)] == [changed]
    assert rows("SELECT study_date, claimed FROM migration_study") == [(date(2020, 2, 29), 3)]


def test_instances_come_and_go(ledger: InventoryLedger, campaign: Campaign, rows: Rows) -> None:
    first = ledger.begin(campaign)
    ledger.studies(campaign, first, [STUDY])
    number = ledger.study_ids(campaign, ["1.2", "1.3"])["1.2"]
    ledger.instances(number, first, [instance(1), instance(2)])
    ledger.end(campaign, first)
    second = ledger.begin(campaign)
    assert ledger.instances(number, second, [instance(2), instance(3)]) == RecordedInstances(
        1, 1, 1
    )
    states = "SELECT sop_instance_uid, state, reason FROM migration_instance ORDER BY 1"
    assert rows(states) == [
        ("1.2.1.1", "excluded", "gone-from-source"),
        ("1.2.1.2", "discovered", ""),
        ("1.2.1.3", "discovered", ""),
    ]
    ledger.instances(number, second, [instance(1), instance(2), instance(3)])
    assert rows(states)[0] == ("1.2.1.1", "queued", "")


def test_the_same_uid_in_two_series_and_two_files_is_four_rows(
    ledger: InventoryLedger, campaign: Campaign, rows: Rows
) -> None:
    number = ledger.begin(campaign)
    ledger.studies(campaign, number, [STUDY])
    study_id = ledger.study_ids(campaign, ["1.2"])["1.2"]
    found = [instance(1, series, place) for series in ("1.3", "1.4") for place in ("a", "b")]
    assert ledger.instances(study_id, number, found[:3], is_whole=False) == RecordedInstances(3)
    assert ledger.instances(study_id, number, found[2:], is_whole=False) == RecordedInstances(1, 1)
    assert len(ledger.unlisted(campaign, number)) == 1
    ledger.all_listed(campaign, number)
    assert ledger.unlisted(campaign, number) == []
    assert rows("SELECT count(*) FROM migration_instance") == [(4,)]
    assert rows("SELECT listed FROM migration_study") == [(number,)]


def test_what_an_inventory_finds_of_a_running_campaign_waits_at_once(
    ledger: InventoryLedger, campaign: Campaign, database: Database, rows: Rows
) -> None:
    number = ledger.begin(campaign)
    ledger.studies(campaign, number, [STUDY])
    assert rows("SELECT state FROM migration_study") == [("discovered",)]
    assert CampaignIndex(database).set_state(campaign, CampaignState.RUNNING, WHO)
    assert rows("SELECT state FROM migration_study") == [("queued",)]
    ledger.studies(campaign, number, [replace(STUDY, study_instance_uid="1.3")])
    assert rows("SELECT DISTINCT state FROM migration_study") == [("queued",)]


def test_a_done_campaign_is_not_done_while_an_inventory_is_open(
    ledger: InventoryLedger, campaign: Campaign, database: Database
) -> None:
    index = CampaignIndex(database)
    number = ledger.begin(campaign)
    index.set_state(campaign, CampaignState.RUNNING, WHO)
    assert not index.finish(campaign)
    ledger.end(campaign, number)
    assert index.finish(campaign)


def test_numbers_by_year_and_modality(ledger: InventoryLedger, campaign: Campaign) -> None:
    number = ledger.begin(campaign)
    undated = replace(STUDY, study_instance_uid="1.9", study_date="not one")
    ledger.studies(campaign, number, [STUDY, undated])
    ids = ledger.study_ids(campaign, ["1.2"])
    ledger.instances(ids["1.2"], number, [instance(1), instance(2)])
    assert ledger.years(campaign) == [YearLine(2020, "CT", 1, 2, 200), YearLine(None, "", 1, 0, 0)]


@pytest.mark.parametrize(
    "text", ["", "2020", "20200231", "2020013a", "00000101", "２０２００１０１"]
)
def test_what_is_no_date(text: str) -> None:
    assert date_of(text) is None


def test_dates_and_their_ranks() -> None:
    old, new = date_of("1999.12.31"), date_of(" 20200101")
    assert (old, new) == (date(1999, 12, 31), date(2020, 1, 1))
    assert rank_of(new, "newest") > rank_of(old, "newest") > rank_of(None, "newest")
    assert rank_of(old, "oldest") > rank_of(new, "oldest") > rank_of(None, "oldest")


def test_texts_that_postgres_can_t_keep(ledger: InventoryLedger, campaign: Campaign) -> None:
    number = ledger.begin(campaign)
    odd = replace(STUDY, patient_id="P\0\ud800", study_description="\0")
    assert ledger.studies(campaign, number, [odd]) == RecordedStudies(new=1)
    ((study_id, found),) = ledger.unlisted(campaign, number)
    assert found.patient_id == "P?"
    assert ledger.instances(study_id, number, [instance(1, place="a\0b")]).new == 1


def test_what_can_t_be_read_is_an_exception_until_it_can(
    ledger: InventoryLedger, campaign: Campaign, database: Database, rows: Rows
) -> None:
    first = ledger.begin(campaign)
    for _ in range(2):
        ledger.unreadable(campaign, first, "a/b.dcm", "Permission denied")
    ledger.all_listed(campaign, first)
    (found,) = LedgerStatusIndex(database).exceptions(campaign)
    assert (found.study_instance_uid, found.reason) == ("", "unreadable")
    assert [(item.place, item.detail) for item in found.instances] == [
        ("a/b.dcm", "Permission denied")
    ]
    assert CampaignIndex(database).retry(campaign, WHO) == 0
    ledger.end(campaign, first)
    second = ledger.begin(campaign)
    ledger.all_listed(campaign, second)
    assert rows("SELECT state, reason FROM migration_instance") == [
        ("excluded", "gone-from-source")
    ]
