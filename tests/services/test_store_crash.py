"""kill -9 between each two steps of a store: acknowledged is kept, unacknowledged is whole or invisible."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage_backends.base import StorageBackend
from tests.s3_server import S3Server
from tests.services import store_and_die
from tests.services.conftest import ORIGIN, Bench, make_bench
from tests.services.killed import killed
from tests.services.places import FILESYSTEM, SEALED, backend_at, place_of
from tests.services.store_and_die import IN_PARTS, STEPS, instance
from vna.index.database import Database
from vna.model.identifiers import Selection
from vna.model.instances import Outcome
from vna.model.verification import Finding
from vna.services.verification import HowToVerify

BEFORE = 2
LAST = BEFORE + 1
VISIBLE_AFTER = {"the commit is confirmed"}
PERHAPS_VISIBLE_AFTER = {"the commit is asked for"}
MATRIX = [(road, step) for road, steps in STEPS.items() for step in steps]
TELLING = {
    *("the request was answered", "the commit is asked for", "all parts are there"),
    "its header is written",
}
"""Steps on the other roads than to the file system that are tried in the short form."""


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
    place = place_of(road, s3_server)
    is_large = road in {SEALED, IN_PARTS}
    datas = {
        f"1.2.{number}": instance(number, is_large=number == LAST and is_large)
        for number in range(1, LAST + 1)
    }
    acknowledged = killed(store_and_die.main, database_url, tmp_path, (place, road, step), BEFORE)
    assert acknowledged == ["1.2.1", "1.2.2"]
    if road == SEALED:
        left = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert not any(bytes(range(256)) in path.read_bytes() for path in left)
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
