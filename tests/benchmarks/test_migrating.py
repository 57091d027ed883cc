"""The measurements of migrations measure what they say."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks import migrating
from tests.migration.conftest import WHO
from vna.index.campaigns import CampaignIndex
from vna.index.database import Database
from vna.index.ledger_status import LedgerStatusIndex
from vna.model.campaign import NewCampaign
from vna.model.migration import SourceSettings


def test_a_campaign_from_files_is_measured(tmp_path: Path) -> None:
    files = tmp_path / "files"
    migrating.write_files(files, 3)
    source = SourceSettings("folder", {"path": str(files)})
    rows = list(migrating.campaign(tmp_path / "data", source, 3, "files"))
    assert [row.unit for row in rows] == ["instances", "instances/s", "% of CPU"]
    assert all(row.value > 0 for row in rows)


def test_the_counts_of_a_ledger_that_was_filled_are_those_of_its_rows(database: Database) -> None:
    made = CampaignIndex(database).add(NewCampaign("bench", SourceSettings("folder")), WHO)
    migrating.fill_ledger(database, made, 1000)
    found = LedgerStatusIndex(database).status(made)
    rows = database.attempt(
        lambda c: c.execute(
            "SELECT state, count(*) FROM migration_instance GROUP BY state"
        ).fetchall()
    )
    assert found.instances == dict(rows)
    assert sum(found.studies.values()) == 10
