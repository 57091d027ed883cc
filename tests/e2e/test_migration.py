"""A campaign on a whole archive, which is killed with all its processes in the middle of it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests import samples
from tests.e2e.process import ArchiveProcess
from vna.index.campaigns import CampaignIndex
from vna.index.database import Database
from vna.index.embedded import EmbeddedPostgres
from vna.index.inventory_ledger import InventoryLedger
from vna.migration.source_options import FolderOptions
from vna.migration.sources.base import Unreadable
from vna.migration.sources.folder import FolderSource
from vna.model.campaign import CampaignSettings, CampaignState, Ceilings, NewCampaign
from vna.model.identifiers import Origin
from vna.model.migration import FoundInstance, FoundStudy, Scope, SourceSettings
from vna.spool import Spool

STUDIES, EACH = 20, 6
WHO = Origin("cli", "tester")


def write_files(folder: Path) -> None:
    folder.mkdir()
    for number in range(STUDIES * EACH):
        study = f"1.2.{number % STUDIES}"
        data = samples.ct_at(study, f"{study}.1", f"{study}.1.{number}")
        (folder / f"{number}.dcm").write_bytes(data)


def take_stock(ledger: InventoryLedger, index: CampaignIndex, folder: Path) -> None:
    """An inventory of the folder."""
    campaign = index.find("silo")
    number = ledger.begin(campaign)
    source = FolderSource(FolderOptions(str(folder)), Spool(folder.parent / "spool", 2**20))
    found: dict[FoundStudy, list[FoundInstance]] = {}
    for entry in source.walk(Scope()):
        assert not isinstance(entry, Unreadable)
        found.setdefault(entry[0], []).append(entry[1])
    ledger.studies(campaign, number, list(found))
    ids = ledger.study_ids(campaign, [study.study_instance_uid for study in found])
    for study, instances in found.items():
        ledger.instances(ids[study.study_instance_uid], number, instances)
    ledger.end(campaign, number)


@pytest.mark.crash
def test_a_campaign_goes_on_by_itself_after_a_crash_of_everything(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    write_files(folder)
    archive = ArchiveProcess(tmp_path / "data")
    archive.start()
    with EmbeddedPostgres.start(tmp_path / "data") as server, Database(server.url) as database:
        index, ledger = CampaignIndex(database), InventoryLedger(database)
        settings = CampaignSettings(Ceilings(associations=2, instances_per_second=40))
        source = SourceSettings("folder", {"path": str(folder)})
        campaign = index.add(NewCampaign("silo", source, settings=settings), WHO)
        take_stock(ledger, index, folder)
        assert index.set_state(campaign, CampaignState.RUNNING, WHO)
        while _count(database, "verified") < STUDIES * EACH // 4:
            threading.Event().wait(0.05)
        archive.kill_group()
        archive.kill_postgres()
    archive.start()
    with EmbeddedPostgres.start(tmp_path / "data") as server, Database(server.url) as database:
        index = CampaignIndex(database)
        while index.find("silo").state is not CampaignState.DONE:
            threading.Event().wait(0.05)
        assert _count(database, "verified") == STUDIES * EACH
        with database.connection() as connection:
            kept = connection.execute("SELECT count(*) FROM location").fetchone()
            assert kept == (STUDIES * EACH,)
    assert archive.stop() == 0, archive.log_path.read_text()


def _count(database: Database, state: str) -> int:
    query = "SELECT count(*) FROM migration_instance WHERE state = %s"
    rows = database.attempt(lambda c: c.execute(query, [state]).fetchall())
    return int(rows[0][0])
