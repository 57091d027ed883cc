"""kill -9 between each two steps of a store: acknowledged is kept, unacknowledged is whole or invisible."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage_backends.base import StorageBackend
from tests.s3_server import S3Server
from tests.services.conftest import ORIGIN, Bench, make_bench
from tests.services.places import FILESYSTEM, backend_at, place_on
from tests.services.store_and_die import IN_PARTS, STEPS, instance
from vna.index.database import Database
from vna.model.identifiers import Selection
from vna.model.instances import Outcome
from vna.model.verification import Finding
from vna.services.verification import HowToVerify

ROOT = Path(__file__).parents[2]
BEFORE = 2
LAST = BEFORE + 1
VISIBLE_AFTER = {"the commit is confirmed"}
PERHAPS_VISIBLE_AFTER = {"the commit is asked for"}
MATRIX = [(road, step) for road, steps in STEPS.items() for step in steps]
TELLING = {"the request was answered", "the commit is asked for", "all parts are there"}
"""Steps on the roads to a bucket that are tried in the short form."""


def die(url: str, directory: Path, place: str, road: str, step: str) -> list[str]:
    """Let a process store and die; what it acknowledged."""
    program = [sys.executable, "-m", "tests.services.store_and_die"]
    process = subprocess.run(
        [*program, url, str(directory), place, road, step, str(BEFORE)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.returncode == -signal.SIGKILL
    return process.stdout.split()


def visible(bench: Bench) -> dict[str, bytes]:
    """What anybody can retrieve."""
    return {
        item.uids.sop_instance_uid: bytes(bench.retrieve.load_whole(item))
        for item in bench.retrieve.select(Selection(study_instance_uids=("1.2",)))
    }


def repaired(bench: Bench) -> list[Finding]:
    """What one verification with repair has left undone."""
    left: list[Finding] = []
    how = HowToVerify(ORIGIN, young=0, repairs=True)
    bench.verification.everything(how, lambda found: None if found.repaired else left.append(found))
    return left


def sizes(backend: StorageBackend) -> set[int]:
    return {info.size for info in backend.scan()}


@pytest.mark.parametrize(
    ("road", "step"),
    [
        pytest.param(
            road,
            step,
            marks=[pytest.mark.crash] if road != FILESYSTEM and step not in TELLING else [],
        )
        for road, step in MATRIX
    ],
)
def test_a_store_killed_at_any_step(
    road: str,
    step: str,
    database: Database,
    database_url: str,
    tmp_path: Path,
    s3_server: S3Server,
) -> None:
    place = FILESYSTEM
    if road != FILESYSTEM:
        place = place_on(s3_server, f"die/{secrets.token_hex(8)}")
    datas = {
        f"1.2.{number}": instance(number, is_large=number == LAST and road == IN_PARTS)
        for number in range(1, LAST + 1)
    }
    assert die(database_url, tmp_path, place, road, step) == ["1.2.1", "1.2.2"]
    backend = backend_at(place, tmp_path)
    bench = make_bench(database, backend, tmp_path / "spool")
    found = visible(bench)
    wanted = BEFORE + (step in VISIBLE_AFTER)
    assert len(found) in ({wanted, wanted + 1} if step in PERHAPS_VISIBLE_AFTER else {wanted})
    assert found.items() <= datas.items()
    assert sizes(backend) <= {len(data) for data in datas.values()}
    assert repaired(bench) == []
    found = visible(bench)
    assert found.items() <= datas.items()
    assert len(list(backend.scan())) == len(found) >= wanted
    again = bench.keep(datas[f"1.2.{LAST}"])
    possible = {Outcome.DUPLICATE if f"1.2.{LAST}" in found else Outcome.STORED}
    if step in PERHAPS_VISIBLE_AFTER:  # the commit may have come about only now
        possible.add(Outcome.DUPLICATE)
    assert again.outcome in possible
    assert visible(bench) == datas
    backend.close()
