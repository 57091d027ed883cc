"""How many verified instances a core brings over in an hour, what verifying costs, and how long a status takes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests import samples
from tests.benchmarks.report import Row
from tests.index.processes import postmaster_of
from tests.peers import dcmqrscp, usage
from vna.bootstrap import Archive, build
from vna.bootstrap_migration import opener_of, tools_of
from vna.config import load_config
from vna.index.campaigns import CampaignIndex
from vna.index.database import Database
from vna.index.embedded import EmbeddedPostgres
from vna.index.inventory_ledger import InventoryLedger
from vna.index.ledger_status import LedgerStatusIndex
from vna.index.upgrade import upgrade
from vna.migration.campaign_worker import CampaignWorker
from vna.migration.proof import Rules
from vna.migration.stocktaking import Stocktaking
from vna.model.campaign import (
    Campaign,
    CampaignSettings,
    CampaignState,
    Ceilings,
    NewCampaign,
    StudyItem,
)
from vna.model.identifiers import Origin
from vna.model.migration import SourceSettings

EACH = 100
WHO = Origin("cli", "bench")
_INDEXER = Path("/usr/bin/dcmqridx")


def migrating(folder: Path, short: bool) -> Iterator[Row]:
    """CT of 512 KiB from a folder, and from dcmqrscp where that is installed; then the ledger of ten million."""
    count = 200 if short else 2000
    files = folder / "files"
    write_files(files, count)
    source = SourceSettings("folder", {"path": str(files)})
    yield from campaign(folder / "from-files", source, count, "files")
    if not dcmqrscp.missing() and _INDEXER.exists():
        with dcmqrscp.running_dcmqrscp(folder / "silo", tuned=True) as peer:
            storage = folder / "silo" / "storage"
            for path in sorted(files.iterdir()):
                os.link(path, storage / path.name)
            subprocess.run([_INDEXER, storage, *sorted(storage.glob("*.dcm"))], check=True)
            options = {
                "host": "127.0.0.1",
                "port": str(peer.dicom_port),
                "retrieve": "get",
                "called_ae_title": peer.ae_title,
                "calling_ae_title": "MIGRATOR",
            }
            yield from campaign(
                folder / "from-peer", SourceSettings("dicom", options), count, "dcmqrscp, C-GET"
            )
    yield from statuses(folder / "ledger", 100_000 if short else 10_000_000)


def write_files(folder: Path, count: int) -> None:
    """CT images of 512 KiB in studies of a hundred, each of a day and a patient of its own."""
    folder.mkdir()
    for number in range(count):
        study = f"1.2.{number // EACH}"
        day = f"20{number // EACH // 300:02}{1 + number // EACH // 25 % 12:02}{1 + number // EACH % 25:02}"
        data = samples.ct(
            study_instance_uid=study,
            series_instance_uid=f"{study}.1",
            sop_instance_uid=f"{study}.1.{number}",
            patient_id=f"P{number // EACH}",
            StudyDate=day,
        )
        (folder / f"{number:06}.dcm").write_bytes(data)


def campaign(data_dir: Path, source: SourceSettings, count: int, name: str) -> Iterator[Row]:
    """One campaign in this process, with the processor time of this process and of Postgres."""
    environment = {"VNA__ARCHIVE__DATA_DIR": str(data_dir), "VNA__LOG__LEVEL": "warning"}
    with build(load_config(None, environment)) as archive:
        index = CampaignIndex(archive.database)
        settings = CampaignSettings(Ceilings(associations=4))
        made = index.add(NewCampaign("bench", source, settings=settings), WHO)
        opened = opener_of(archive)(source)
        Stocktaking(opened, InventoryLedger(archive.database), made).take()
        index.set_state(made, CampaignState.RUNNING, WHO)
        roots = [postmaster_of(data_dir)]
        began = time.monotonic()
        used = time.process_time() + usage.cpu_seconds(roots)
        worker = CampaignWorker(index.find("bench"), opened, tools_of(archive), index, "bench")
        worker.run(lambda: False)
        used = time.process_time() + usage.cpu_seconds(roots) - used
        wall = time.monotonic() - began
        opened.close()
        done = LedgerStatusIndex(archive.database).status(made)
        if done.instances != {"verified": count}:
            raise RuntimeError(f"not everything was verified: {dict(done.instances)}")
        verifying = _verify_again(archive, made)
    yield Row(
        f"migrate from {name}: verified an hour and core",
        3600 * count / used,
        "instances",
        goal=">= 25 000",
    )
    yield Row(f"migrate from {name}: while it ran", count / wall, "instances/s")
    yield Row(
        f"migrate from {name}: for verifying", 100 * verifying / used, "% of CPU", goal="< 15 %"
    )


def _verify_again(archive: Archive, made: Campaign) -> float:
    """Processor seconds that verifying everything once more takes, alone."""
    tools = tools_of(archive)
    with archive.database.connection() as connection:
        connection.execute("UPDATE migration_instance SET state = 'landed'")
        rows = connection.execute("SELECT id FROM migration_study").fetchall()
        connection.execute("UPDATE migration_study SET state = 'queued'")
    worker = tools.ledger.enlist(made, "bench")
    assert worker is not None
    studies: list[StudyItem] = []
    while (study := tools.ledger.claim(made, worker)) is not None:
        studies.append(study)
    assert len(studies) == len(rows)
    began = time.thread_time()
    for study in studies:
        items = tools.ledger.instances(study)
        tools.prover.prove(study, items, Rules(made.settings))
    return time.thread_time() - began


def statuses(data_dir: Path, instances: int) -> Iterator[Row]:
    """The status of a campaign with a ledger of that many instances."""
    data_dir.mkdir(mode=0o755)
    settings = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB"}
    with (
        EmbeddedPostgres.start(data_dir, settings=settings) as server,
        Database(server.url) as database,
    ):
        upgrade(database)
        made = CampaignIndex(database).add(NewCampaign("bench", SourceSettings("folder")), WHO)
        fill_ledger(database, made, instances)
        reader = LedgerStatusIndex(database)
        times = []
        for _ in range(5):
            began = time.monotonic()
            found = reader.status(made)
            times.append(time.monotonic() - began)
        if sum(found.instances.values()) != instances:
            raise RuntimeError("the ledger was not filled")
    name = f"status of a ledger of {instances} instances"
    yield Row(name, 1000 * sorted(times)[2], "ms", goal="< 1000 ms")


def fill_ledger(database: Database, made: Campaign, instances: int) -> None:
    """Studies of a hundred instances in several states; their counts are made once, at the end."""
    values = {"campaign": made.campaign_id, "studies": instances // EACH, "each": EACH}
    with database.connection() as connection:
        for table in ("migration_study", "migration_instance"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in _FILL:
            connection.execute(statement, values)
        for table in ("migration_study", "migration_instance"):
            connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        connection.execute("ANALYZE")


_FILL = (
    """
    INSERT INTO migration_study (campaign, seen, listed, rank, claimed, study_date, state, study_instance_uid, found)
    SELECT %(campaign)s, 1, 1, (random() * 8000)::int, 100, date '2000-01-01' + (random() * 8000)::int,
        (ARRAY['queued', 'verified', 'verified', 'mismatched', 'parked'])[1 + n %% 5],
        '1.2.840.113619.2.55.3.604688119.969.1268071029.' || n,
        '{"patient_id": "P", "issuer_of_patient_id": "", "study_date": "20200101", "study_time": "101010",
          "accession_number": "A", "modalities": ["CT"], "study_description": "", "place": ""}'
    FROM generate_series(1, %(studies)s) AS n
    """,
    """
    INSERT INTO migration_instance (study, campaign, seen, state, series_instance_uid, sop_instance_uid, sop_class_uid,
        transfer_syntax_uid, modality, place, received_size, received)
    SELECT s.id, s.campaign, 1, s.state, s.study_instance_uid || '.1', s.study_instance_uid || '.1.' || n,
        '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', 'CT', '', 526000,
        ('blake3:' || md5(n::text))::bytea
    FROM migration_study s, generate_series(1, %(each)s) AS n
    """,
    """
    INSERT INTO migration_count (campaign, shard, count, amount, level, state)
    SELECT campaign, study %% 16, count(*), sum(received_size), 'instance', state
    FROM migration_instance GROUP BY campaign, study %% 16, state
    """,
    """
    INSERT INTO migration_count (campaign, shard, count, amount, level, state)
    SELECT campaign, id %% 16, count(*), 0, 'study', state FROM migration_study GROUP BY campaign, id %% 16, state
    """,
)
