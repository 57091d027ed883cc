"""kill -9 at each step of writing copies: the next worker goes on, every bit is there, nothing is left over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.s3_server import S3Server
from tests.services import copy_and_die
from tests.services.conftest import ORIGIN, Bench
from tests.services.copy_and_die import COPY, FAR, HEAL, NEAR, STEPS, STORE, bench_of
from tests.services.killed import killed
from tests.services.places import FILESYSTEM, place_of
from tests.services.several_stores import instance, places, read
from vna.index.database import Database
from vna.model.instances import Outcome
from vna.services.verification import HowToVerify

EACH = 3
BRIEFLY = {
    FILESYSTEM: {
        "one of two objects is kept",
        "the commit of both is asked for",
        "the copy is written",
        "the copy is noted",
        "the new one is in its place",
    },
    "s3": {"one of two objects is kept", "the copy is written"},
}
"""Steps that are tried in the short form, by where the copies lie."""


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        pytest.param(step, kind, marks=[] if step in brief else [pytest.mark.crash])
        for kind, brief in BRIEFLY.items()
        for step in STEPS
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
    verb = STEPS[step][0]
    bench = bench_of(database, tmp_path, place, verb)
    if verb != STORE:
        prepare(bench, verb)
    killed(copy_and_die.main, database_url, tmp_path, place, step)
    if verb != STORE:
        assert [read(bench, number) for number in range(EACH)] == [*map(instance, range(EACH))]
    make_due(database)  # what the dead one held on to
    bench.replication.work(ORIGIN)
    assert bench.verification.everything(HowToVerify(ORIGIN, young=0, repairs=True)).faults == 0
    bench.replication.work(ORIGIN)
    if verb == STORE:
        assert bench.keep(instance(0)).outcome in {Outcome.STORED, Outcome.DUPLICATE}
        bench.replication.work(ORIGIN)
    check(bench, 1 if verb == STORE else EACH)
    bench.objects.close()


def prepare(bench: Bench, verb: str) -> None:
    """Instances whose copies are due; or that have copies, the first of them with a lost object."""
    for number in range(EACH):
        bench.keep(instance(number))
    if verb == HEAL:
        assert bench.replication.work(ORIGIN) == EACH
        lost = places(bench, 0)[0]
        bench.objects.remove(lost)
        bench.replication.index.doubt(lost)
    else:
        assert verb == COPY


def make_due(database: Database) -> None:
    """The holds of a dead process run out."""
    with database.connection() as connection:
        connection.execute(
            "UPDATE copy SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL"
        )


def check(bench: Bench, count: int) -> None:
    """Each instance is twice there, bit for bit, and nothing else is."""
    for number in range(count):
        assert read(bench, number) == instance(number)
        assert sorted(place.backend for place in places(bench, number)) == [FAR, NEAR]
        for place in places(bench, number):
            with bench.objects.open(place) as reader:
                assert reader.read() == instance(number)
    for name in (NEAR, FAR):
        assert len(list(bench.objects.scan(name))) == count
    assert bench.verification.everything(HowToVerify(ORIGIN, young=0)).faults == 0
