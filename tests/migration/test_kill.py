"""kill -9 of workers and of Postgres, at every step and at random: nothing is lost, nothing comes twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.index.processes import family, kill_all, postmaster_of
from tests.migration.conftest import Site, kept_bytes, make_site, study
from tests.migration.migrate_and_die import STEPS
from tests.migration.paper_source import PaperSource
from vna.index.database import Database
from vna.index.embedded import EmbeddedPostgres
from vna.index.upgrade import upgrade
from vna.model.campaign import CampaignSettings, CampaignState, Ceilings

ROOT = Path(__file__).parents[2]
KILLS = 20
SEED = 20261122


def process(*arguments: str | Path) -> subprocess.Popen[str]:
    """See tests.migration.migrate_and_die."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.migration.migrate_and_die", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def forks() -> Iterator[subprocess.Popen[str]]:
    """A process that forks for every line that it reads."""
    with process() as parent:
        yield parent
        assert parent.stdin is not None
        parent.stdin.close()


def end_of(forks: subprocess.Popen[str], url: str, directory: Path, step: str) -> tuple[str, int]:
    """What a worker said before it died at this step, and of what it died."""
    assert forks.stdin is not None
    assert forks.stdout is not None
    forks.stdin.write(orjson.dumps([url, str(directory), step]).decode() + "\n")
    forks.stdin.flush()
    return forks.stdout.readline(), int(forks.stdout.readline())


def write(source: PaperSource, directory: Path) -> None:
    """What the source has, for other processes."""
    (directory / "source").mkdir()
    for uid, data in source.objects.items():
        (directory / "source" / f"{uid}.dcm").write_bytes(data)


def assert_whole(site: Site) -> None:
    """Every instance is verified, and kept once, as it was at the source."""
    objects = site.source.objects
    assert site.states() == dict.fromkeys(objects, "verified")
    assert set(site.study_states().values()) == {"verified"}
    assert kept_bytes(site, list(objects)) == objects
    assert site.rows("SELECT count(*) FROM conflict") == [(0,)]
    site.assert_counts_agree()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases as short as those of the other processes."""
    monkeypatch.setattr("vna.index.transfer_ledger.LEASE_SECONDS", 1.0)
    monkeypatch.setattr("vna.migration.campaign_worker.PULSE_SECONDS", 0.1)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_at_any_step(
    step: str,
    site: Site,
    forks: subprocess.Popen[str],
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vna.index.transfer_ledger.LEASE_SECONDS", 0.3)
    for _ in range(2):
        study(3, add=site.source.add)
    write(site.source, tmp_path)
    campaign = site.begin()
    if "listed" in step:
        site.rows("UPDATE migration_study SET listed = 0 RETURNING id")
    assert end_of(forks, database_url, tmp_path, step) == ("working\n", -signal.SIGKILL)
    assert site.work(campaign).state is CampaignState.DONE
    assert_whole(site)


@pytest.mark.crash
@pytest.mark.usefixtures("hurried")
def test_twenty_kills_of_workers_and_of_postgres_in_one_campaign(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    servers = [server := EmbeddedPostgres.start(tmp_path)]
    with Database(server.url) as database:
        upgrade(database)
        site = make_site(database, tmp_path)
        for _ in range(60):
            study(chance.randint(1, 8), add=site.source.add)
        write(site.source, tmp_path)
        settings = CampaignSettings(
            Ceilings(associations=4, instances_per_second=40), attempts=3, retry_seconds=0
        )
        site.begin(settings)
        workers = [process(server.url, tmp_path, "") for _ in range(3)]
        for number in range(KILLS):
            victim = workers.pop(0)
            assert victim.stdout is not None
            assert victim.stdout.readline() == "working\n"
            # a moment, of which nobody knows what happens in it
            with pytest.raises(subprocess.TimeoutExpired):
                victim.wait(chance.uniform(0.05, 0.8))
            if number % 4 == 3:
                kill_all(family(postmaster_of(tmp_path)))
                servers.append(server := EmbeddedPostgres.start(tmp_path))
            victim.kill()
            victim.communicate()
            workers.append(process(server.url, tmp_path, ""))
        for worker in workers:
            out, _ = worker.communicate(timeout=120)
            assert out.endswith("done\n")
        assert_whole(site)
        stored = site.rows("SELECT count(*) FROM instance")
        assert stored == [(len(site.source.objects),)]
    for server in servers:
        server.release()
