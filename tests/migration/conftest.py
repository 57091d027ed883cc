"""What tests of a migration begin with: the services, the ledger, and a source of paper."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.migration.paper_source import PaperSource, take_stock
from tests.services.conftest import Bench, make_bench
from vna.cli import main
from vna.index.campaign_rules import CampaignRules
from vna.index.campaigns import CampaignIndex
from vna.index.database import Database
from vna.index.inventory_ledger import InventoryLedger
from vna.index.transfer_ledger import TransferLedger
from vna.migration.campaign_worker import CampaignWorker
from vna.migration.pixel_check import PixelCheck
from vna.migration.proof import Prover
from vna.migration.rules.in_force import RulesBook
from vna.migration.study_work import Tools
from vna.model.campaign import Campaign, CampaignSettings, CampaignState, NewCampaign
from vna.model.identifiers import Origin, Selection
from vna.model.migration import SourceSettings
from vna.services.decoders import InProcess
from vna.services.storage import ObjectStore

Vna = Callable[..., Result]

WHO = Origin("cli", "tester")
AT_ONCE = CampaignSettings(retry_seconds=0.0, attempts=3)


@dataclass
class Site:
    """A ledger, an archive and a source."""

    database: Database
    bench: Bench
    campaigns: CampaignIndex
    inventory: InventoryLedger
    ledger: TransferLedger
    tools: Tools
    source: PaperSource
    stopping: threading.Event = field(default_factory=threading.Event)

    def begin(self, settings: CampaignSettings = AT_ONCE, name: str = "silo") -> Campaign:
        """A campaign whose inventory is taken, and which runs."""
        new = NewCampaign(name, SourceSettings("paper"), settings=settings)
        campaign = self.campaigns.add(new, WHO)
        take_stock(self.source, self.inventory, campaign)
        self.campaigns.set_state(campaign, CampaignState.RUNNING, WHO)
        return self.campaigns.find(name)

    def worker(self, campaign: Campaign) -> CampaignWorker:
        return CampaignWorker(campaign, self.source, self.tools, self.campaigns, "here")

    def work(self, campaign: Campaign) -> Campaign:
        """Work on it until it is done, or paused."""
        self.worker(campaign).run(self.stopping.is_set)
        return self.campaigns.find(campaign.name)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What is in the ledger, or elsewhere in the index."""
        return self.database.attempt(lambda c: c.execute(query, values).fetchall())

    def states(self) -> dict[str, str]:
        """Of each instance of the ledger, by its SOP Instance UID: its state, and why."""
        rows = self.rows("SELECT sop_instance_uid, state, reason FROM migration_instance")
        return {uid: f"{state} {reason}".strip() for uid, state, reason in rows}

    def study_states(self) -> dict[str, str]:
        """The same of each study."""
        rows = self.rows("SELECT study_instance_uid, state, reason FROM migration_study")
        return {uid: f"{state} {reason}".strip() for uid, state, reason in rows}

    def assert_counts_agree(self) -> None:
        """The counts that triggers keep are those of the rows."""
        kept = self.rows(
            "SELECT level, state, sum(count), sum(amount) FROM migration_count"
            " GROUP BY 1, 2 HAVING sum(count) <> 0 OR sum(amount) <> 0 ORDER BY 1, 2"
        )
        true = self.rows(
            "SELECT * FROM ("
            "SELECT 'instance', state, count(*), sum(coalesce(received_size, size, 0))"
            " FROM migration_instance GROUP BY 2"
            " UNION ALL SELECT 'study', state, count(*), 0 FROM migration_study GROUP BY 2"
            " UNION ALL SELECT 'unlisted', state, count(*), sum(coalesce(claimed, 0))"
            " FROM migration_study WHERE listed = 0 GROUP BY 2) AS t ORDER BY 1, 2"
        )
        assert kept == true


def study(
    count: int, uid: str = "", add: Callable[[bytes], object] = lambda _: None, **others: Any
) -> list[str]:
    """Add `count` instances of a study; their UIDs."""
    study_uid, series = uid or samples.new_uid(), samples.new_uid()
    uids = [samples.new_uid() for _ in range(count)]
    for number in uids:
        elements = samples.identity(
            SOPInstanceUID=number, StudyInstanceUID=study_uid, SeriesInstanceUID=series, **others
        )
        add(samples.part10(elements))
    return uids


def make_site(database: Database, directory: Path) -> Site:
    """Everything over this database and directory."""
    backend = FilesystemBackend(directory / "store")
    bench = make_bench(database, backend, directory / "spool")
    ledger, inventory = TransferLedger(database), InventoryLedger(database)
    objects = ObjectStore({backend.name: backend}, backend.name)
    prover = Prover(ledger, objects, bench.store.spool, PixelCheck(InProcess(), 2**24))
    rules = RulesBook(CampaignRules(database))
    tools = Tools(ledger, inventory, bench.store, prover, rules)
    source = PaperSource(bench.store.spool)
    return Site(database, bench, CampaignIndex(database), inventory, ledger, tools, source)


@pytest.fixture
def site(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr("vna.migration.campaign_worker.PULSE_SECONDS", 0.05)
    return make_site(database, tmp_path)


def kept_bytes(site: Site, uids: Sequence[str]) -> dict[str, bytes]:
    """What the archive delivers of these instances."""
    found = site.bench.retrieve.select(Selection(sop_instance_uids=tuple(uids)))
    return {
        item.uids.sop_instance_uid: site.bench.retrieve.read(item, 0, item.location.length)
        for item in found
    }


@pytest.fixture
def vna(site: Site, database_url: str, tmp_path: Path) -> Vna:
    """Runs `vna migrate` on the index of the test, which is emptied with `site`."""
    assert site.campaigns.all() == []
    environment = {"VNA__DATABASE__URL": database_url}

    def run(*words: str) -> Result:
        command = ["migrate", words[0], "--data-dir", str(tmp_path / "data"), *words[1:]]
        return CliRunner().invoke(main, command, env=environment)

    return run
