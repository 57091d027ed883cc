"""kill -9 between each two steps of a store: acknowledged is kept, unacknowledged is whole or invisible."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage_backends.filesystem import FilesystemBackend
from tests.services.conftest import make_bench
from tests.services.store_and_die import STEPS, instance
from vna.index.database import Database
from vna.model.identifiers import Selection
from vna.model.instances import Outcome

ROOT = Path(__file__).parents[2]
BEFORE = 2
VISIBLE_AFTER = {"the commit is confirmed"}
PERHAPS_VISIBLE_AFTER = {"the commit is asked for"}


@pytest.mark.parametrize("step", STEPS)
def test_a_store_killed_at_any_step(
    step: str, database: Database, database_url: str, tmp_path: Path
) -> None:
    program = [sys.executable, "-m", "tests.services.store_and_die"]
    process = subprocess.run(
        [*program, database_url, str(tmp_path), step, str(BEFORE)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.returncode == -signal.SIGKILL
    assert process.stdout.split() == ["1.2.1", "1.2.2"]
    backend = FilesystemBackend(tmp_path / "store")
    bench = make_bench(database, backend, tmp_path / "spool")
    datas = {f"1.2.{number}": instance(number) for number in range(1, BEFORE + 2)}
    visible = {
        item.uids.sop_instance_uid: bench.retrieve.read(item, 0, item.location.length)
        for item in bench.retrieve.select(Selection(study_instance_uids=("1.2",)))
    }
    wanted = BEFORE + (step in VISIBLE_AFTER)
    assert len(visible) in ({wanted, wanted + 1} if step in PERHAPS_VISIBLE_AFTER else {wanted})
    assert visible.items() <= datas.items()
    assert {info.size for info in backend.scan()} <= {len(data) for data in datas.values()}
    again = bench.keep(datas["1.2.3"])
    possible = {Outcome.DUPLICATE if "1.2.3" in visible else Outcome.STORED}
    if step in PERHAPS_VISIBLE_AFTER:  # the commit may have come about only now
        possible.add(Outcome.DUPLICATE)
    assert again.outcome in possible
    backend.close()
