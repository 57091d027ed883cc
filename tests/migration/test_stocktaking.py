"""Inventories of whole sources, written into the ledger, and what a second one finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.migration.conftest import WHO, Site, study
from tests.migration.pacs import LOOPBACK, Manners, Pacs, keep, study_of
from vna.migration import dicom_keys as tags
from vna.migration.dicom_keys import text
from vna.migration.source_options import DicomOptions, FolderOptions
from vna.migration.sources.base import MigrationSource, SourceUnavailable
from vna.migration.sources.dicom import DicomSource
from vna.migration.sources.folder import FolderSource
from vna.migration.stocktaking import Stock, Stocktaking
from vna.migration.sweep import IncompleteInventory
from vna.model.campaign import Campaign, NewCampaign
from vna.model.migration import FoundStudy, Scope, SourceSettings


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    """An archive with two studies that counts what it has."""
    objects = [*study_of(series=2, images=3), *study_of(images=2, day="20231231")]
    with Pacs(keep(objects)).listening() as running:
        yield running


def source_of(pacs: Pacs, site: Site) -> DicomSource:
    options = DicomOptions(LOOPBACK, pacs.address[1], "PACS", retrieve="get")
    return DicomSource(options, site.bench.store.spool)


def campaign_of(site: Site) -> Campaign:
    return site.campaigns.add(NewCampaign("silo", SourceSettings("dicom")), WHO)


def taken(site: Site, source: MigrationSource, campaign: Campaign, **options: bool) -> Stock:
    """An inventory, and how it went."""
    return Stocktaking(source, site.inventory, campaign).take(**options)


def numbers(site: Site) -> dict[tuple[int | None, str], tuple[int, int]]:
    """Studies and instances by year and modality."""
    campaign = site.campaigns.find("silo")
    lines = site.inventory.years(campaign)
    return {(line.year, line.modality): (line.studies, line.instances) for line in lines}


def test_an_inventory_lists_every_instance(site: Site, pacs: Pacs) -> None:
    source, campaign = source_of(pacs, site), campaign_of(site)
    stock = taken(site, source, campaign)
    assert (stock.studies, stock.new_studies, stock.instances, stock.new_instances) == (2, 2, 8, 8)
    assert (stock.is_complete, stock.problems) == (True, [])
    assert numbers(site) == {(2024, "CT"): (1, 6), (2023, "CT"): (1, 2)}
    assert site.campaigns.find("silo").inventory == stock.number == 1


def test_the_second_one_lists_only_what_has_changed(site: Site, pacs: Pacs) -> None:
    source, campaign = source_of(pacs, site), campaign_of(site)
    taken(site, source, campaign)
    grown = pacs.kept[0].uids.study_instance_uid
    pacs.kept += keep(study_of(series=3, images=3, study=grown)[6:])
    pacs.kept += keep(study_of(images=1))
    pacs.asked.clear()
    stock = taken(site, source, campaign)
    assert (stock.new_studies, stock.changed_studies) == (1, 1)
    assert (stock.new_instances, stock.gone) == (4, 0)
    assert len([asked for asked in pacs.asked if text(asked, tags.LEVEL) == "SERIES"]) == 2


def test_what_went_is_told(site: Site, pacs: Pacs) -> None:
    source, campaign = source_of(pacs, site), campaign_of(site)
    taken(site, source, campaign)
    del pacs.kept[0]
    assert taken(site, source, campaign).gone == 1


def test_a_gap_leaves_it_incomplete_until_that_is_accepted(site: Site, pacs: Pacs) -> None:
    pacs.kept = keep(study_of(images=30))
    pacs.manners = Manners(
        cap=15, counted=lambda _: None, ignores=frozenset({tags.INSTANCE_NUMBER})
    )
    source, campaign = source_of(pacs, site), campaign_of(site)
    stock = taken(site, source, campaign)
    assert (stock.is_complete, stock.instances, stock.problem_count) == (False, 15, 1)
    assert site.inventory.is_open(campaign)
    assert len(site.inventory.unlisted(campaign, stock.number)) == 1
    taken(site, source, campaign, accepts_gaps=True)
    assert not site.inventory.is_open(campaign)
    assert site.inventory.unlisted(campaign, stock.number) == []


def test_one_that_was_cut_off_goes_on(site: Site, pacs: Pacs) -> None:
    source, campaign = source_of(pacs, site), campaign_of(site)
    stopped = Stocktaking(source, site.inventory, campaign, should_stop=lambda: True).take()
    assert not stopped.is_complete
    with pytest.raises(SourceUnavailable):
        Stocktaking(
            source,
            site.inventory,
            campaign,
            on_progress=lambda _: _raise(SourceUnavailable("away")),
        ).take()
    stock = taken(site, source, campaign)
    assert (stock.number, stock.instances) == (1, 8)


def test_files_are_walked_once(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    one, two = study_of(series=2, images=2), study_of(images=3)
    for number, data in enumerate(
        data for pair in zip(one, [*two, b"junk"], strict=True) for data in pair
    ):
        (folder / f"{number}.dcm").write_bytes(data)
    (folder / "lost").symlink_to("nowhere")
    source, campaign = (
        FolderSource(FolderOptions(str(folder)), site.bench.store.spool),
        campaign_of(site),
    )
    stock = taken(site, source, campaign)
    assert (stock.studies, stock.instances, stock.problem_count) == (2, 7, 1)
    assert numbers(site) == {(2024, "CT"): (2, 7)}
    (folder / "0.dcm").unlink()
    again = taken(site, source, campaign)
    assert (again.new_instances, again.problem_count) == (0, 1)


def _raise(error: Exception) -> None:
    raise error


def test_what_was_shown_before_a_gap_counts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    study(2, "1.2.1", site.source.add)
    shown = site.source.studies

    def cut(scope: Scope) -> Iterator[FoundStudy]:
        yield from shown(scope)
        raise IncompleteInventory("there is more")

    monkeypatch.setattr(site.source, "studies", cut)
    stock = taken(site, site.source, campaign_of(site))
    assert (stock.studies, stock.instances, stock.problems) == (1, 2, ["there is more"])
    assert not stock.is_complete
