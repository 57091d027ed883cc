"""kill -9 at each step of a drain: another process goes on, every bit is there, nothing is left over or doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.s3_server import S3Server
from tests.services import drain_and_die
from tests.services.conftest import ORIGIN
from tests.services.drain_and_die import NEW, OLD, STEPS, bench_of
from tests.services.killed import killed
from tests.services.places import FILESYSTEM, place_of
from tests.services.several_stores import instance, read, where
from vna.index.database import Database
from vna.model.identifiers import InstanceUids
from vna.services.draining import HowToDrain
from vna.services.verification import HowToVerify

EACH = 3


_ALWAYS = ("a new object is written", "a row is moved")


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        *((step, FILESYSTEM) for step in STEPS),
        *((step, "s3") for step in _ALWAYS),
        *(
            pytest.param(step, "s3", marks=pytest.mark.crash)
            for step in STEPS
            if step not in _ALWAYS
        ),
    ],
)
def test_killed_at_any_step(
    step: str,
    kind: str,
    s3_server: S3Server,
    database: Database,
    database_url: str,
    tmp_path: Path,
) -> None:
    place = place_of(kind, s3_server)
    before = bench_of(database, tmp_path, place, drains=False)
    for number in range(EACH):
        before.keep(instance(number))
    before.keep(instance(9))
    before.trash.delete(InstanceUids("1.2", "1.2.0.1", "1.2.9"), ORIGIN)
    bench = bench_of(database, tmp_path, place, drains=True)
    bench.draining.begin(OLD, "", ORIGIN, 0)
    killed(drain_and_die.main, database_url, tmp_path, place, step)
    assert [read(bench, number) for number in range(EACH)] == [*map(instance, range(EACH))]

    with database.connection() as connection:  # the claim of the dead one runs out
        connection.execute("UPDATE drain SET held_until = '-infinity'")
    bench.draining.work(OLD, ORIGIN, HowToDrain(threads=1))
    drain = bench.draining.find(OLD)
    assert drain is not None
    assert drain.ended_at is not None
    assert list(bench.objects.scan(OLD)) == []
    how = HowToVerify(ORIGIN, young=0, repairs=True)
    assert bench.verification.everything(how).faults == 0
    assert len(list(bench.objects.scan(NEW))) == EACH + 1
    for number in range(EACH):
        assert sorted(where(bench, number)) == ["further", "new"]
        assert read(bench, number) == instance(number)
    (entry,) = bench.trash.entries()
    assert bench.trash.restore(entry.trash_id, ORIGIN).restored == 1
    assert read(bench, 9) == instance(9)
    bench.objects.close()
