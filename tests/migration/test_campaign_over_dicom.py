"""Whole campaigns over C-MOVE and C-GET, from archives that behave well and from those that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests import samples
from tests.migration.conftest import AT_ONCE, WHO, Site
from tests.migration.pacs import LOOPBACK, Manners, Pacs, keep
from vna.dicom.header import read_header
from vna.migration.campaign_worker import CampaignWorker
from vna.migration.source_options import DicomOptions
from vna.migration.sources.dicom import DicomSource
from vna.migration.stocktaking import Stocktaking
from vna.model.campaign import Campaign, CampaignState, NewCampaign
from vna.model.identifiers import Selection
from vna.model.migration import Scope, SourceSettings
from vna.spool import Spool

RETRIEVES = pytest.mark.parametrize("retrieve", ["move", "get"])
STUDIES = 12
JANUARY = Scope(date(2020, 1, 1), date(2020, 1, 31))
Migrate = Callable[..., Campaign]


def objects() -> list[bytes]:
    """Studies of two series, each of a day of its own."""
    return [
        samples.ct_at(
            f"1.2.{n}",
            f"1.2.{n}.{m % 2}",
            f"1.2.{n}.{m % 2}.{m}",
            StudyDate=f"202001{n:02}",
            patient_id=f"P{n}",
        )
        for n in range(1, STUDIES + 1)
        for m in range(2)
    ]


@pytest.fixture
def migrate(site: Site, tmp_path: Path) -> Iterator[Migrate]:
    """Brings over what an archive has: an inventory, then a campaign until it is done."""
    with ExitStack() as stack:

        def run(pacs: Pacs, retrieve: str, campaign: Campaign | None = None) -> Campaign:
            options = DicomOptions(
                host=LOOPBACK,
                port=pacs.address[1],
                called_ae_title="PACS",
                calling_ae_title="MIGRATOR",
                retrieve=retrieve,
                move_destinations=f"LANDING@{LOOPBACK}:0",
                settle_time=0.3,
            )
            source = DicomSource(options, Spool(tmp_path / "came", 65_536))
            stack.callback(source.close)
            if retrieve == "move":
                pacs.destinations["LANDING"] = source.listener().address
            if campaign is None:
                twice = replace(AT_ONCE, attempts=2)
                new = NewCampaign("silo", SourceSettings("dicom"), JANUARY, twice)
                campaign = site.campaigns.add(new, WHO)
            stock = Stocktaking(source, site.inventory, campaign).take()
            assert stock.is_complete, stock.problems
            site.campaigns.set_state(campaign, CampaignState.RUNNING, WHO)
            campaign = site.campaigns.find("silo")
            CampaignWorker(campaign, source, site.tools, site.campaigns, "here").run(
                site.stopping.is_set
            )
            return site.campaigns.find("silo")

        yield run


@pytest.fixture
def pacs(request: pytest.FixtureRequest) -> Iterator[Pacs]:
    archive = Pacs(keep(objects()), getattr(request, "param", Manners()))
    with archive.listening():
        yield archive


def datasets(site: Site) -> dict[str, bytes]:
    """What the archive keeps of all studies, without file meta."""
    uids = tuple(f"1.2.{number}" for number in range(1, STUDIES + 1))
    found = site.bench.retrieve.select(Selection(study_instance_uids=uids))
    return {
        item.uids.sop_instance_uid: bytes(site.bench.retrieve.load_dataset(item)) for item in found
    }


def originals() -> dict[str, bytes]:
    headers = {data: read_header(data) for data in objects()}
    return {
        header.uids.sop_instance_uid: data[header.layout.dataset_offset :]
        for data, header in headers.items()
    }


@RETRIEVES
def test_everything_comes_bit_for_bit(
    site: Site, pacs: Pacs, migrate: Migrate, retrieve: str
) -> None:
    done = migrate(pacs, retrieve)
    assert done.state is CampaignState.DONE
    assert site.states() == dict.fromkeys(originals(), "verified")
    assert datasets(site) == originals()
    asked = len(pacs.retrieved)
    assert migrate(pacs, retrieve, done).state is CampaignState.DONE
    assert len(pacs.retrieved) == asked
    site.assert_counts_agree()


@RETRIEVES
@pytest.mark.parametrize("pacs", [Manners(cap=10)], indirect=True)
def test_a_truncating_source_is_brought_over_whole(
    site: Site, pacs: Pacs, migrate: Migrate, retrieve: str
) -> None:
    migrate(pacs, retrieve)
    assert site.states() == dict.fromkeys(originals(), "verified")


@RETRIEVES
@pytest.mark.parametrize(
    "pacs", [Manners(withholds=frozenset({"1.2.3.0.0", "1.2.4.1.1"}))], indirect=True
)
def test_success_with_missing_instances_convinces_nobody(
    site: Site, pacs: Pacs, migrate: Migrate, retrieve: str
) -> None:
    migrate(pacs, retrieve)
    lost = dict.fromkeys(("1.2.3.0.0", "1.2.4.1.1"), "parked not-delivered")
    assert site.states() == dict.fromkeys(originals(), "verified") | lost
    assert sum(state != "verified" for state in site.study_states().values()) == 2


@RETRIEVES
def test_what_no_sub_operation_brings_is_no_lack_of_resources(
    site: Site, pacs: Pacs, migrate: Migrate, retrieve: str
) -> None:
    pacs.manners.broken = frozenset({"1.2.3.0.0"})
    assert migrate(pacs, retrieve).state is CampaignState.DONE
    states = site.states()
    assert states.pop("1.2.3.0.0") == "parked not-delivered"
    assert set(states.values()) == {"verified"}


@RETRIEVES
@pytest.mark.parametrize("pacs", [Manners(counted=lambda count: count + 3)], indirect=True)
def test_wrong_counters_are_exceptions(
    site: Site, pacs: Pacs, migrate: Migrate, retrieve: str
) -> None:
    migrate(pacs, retrieve)
    assert site.states() == dict.fromkeys(originals(), "verified")
    assert set(site.study_states().values()) == {"mismatched fewer-than-claimed"}


@RETRIEVES
@pytest.mark.parametrize("pacs", [Manners(mints=True)], indirect=True)
def test_new_uids_at_each_retrieve_verify_nothing(
    site: Site, pacs: Pacs, migrate: Migrate, retrieve: str
) -> None:
    migrate(pacs, retrieve)
    assert set(site.study_states().values()) == {"parked unstable-uids"}
    assert "verified" not in site.states().values()


def test_a_source_without_resources_for_a_while(
    site: Site, pacs: Pacs, migrate: Migrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vna.migration.campaign_worker._REST", 0.01)
    pacs.manners.statuses = [0xA701] * 5
    migrate(pacs, "get")
    assert site.states() == dict.fromkeys(originals(), "verified")
    assert site.rows("SELECT sum(asked) > sum(taken) FROM migration_attempt") == [(True,)]
