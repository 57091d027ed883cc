"""kill -9 at each step of a deletion, a restore and a sweep: whole or undone, and the next one goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import samples
from tests.index.dump import counts
from tests.s3_server import S3Server
from tests.services import delete_and_die
from tests.services.conftest import make_bench
from tests.services.delete_and_die import REMOVAL, STEPS, STUDY
from tests.services.killed import killed
from tests.services.places import FILESYSTEM, backend_at, place_of
from tests.services.test_store_crash import repaired
from vna.errors import NotFound
from vna.index.database import Database
from vna.model.identifiers import Origin, Selection
from vna.services.trash import Swept

EACH = 3
HERE = Origin("web", "tester", "", "the one that lives")


def instance(number: int) -> bytes:
    return samples.small(
        SOPInstanceUID=f"1.2.{number}", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.0"
    )


S3 = "s3"
MATRIX = [
    *((FILESYSTEM, step, ()) for step in STEPS),
    *((S3, step, () if at[1] is REMOVAL else (pytest.mark.crash,)) for step, at in STEPS.items()),
]


@pytest.mark.parametrize(
    ("kind", "step"), [pytest.param(kind, step, marks=marks) for kind, step, marks in MATRIX]
)
def test_killed_at_any_step(
    kind: str,
    step: str,
    database: Database,
    database_url: str,
    tmp_path: Path,
    s3_server: S3Server,
) -> None:
    verb = STEPS[step][0]
    place = place_of(kind, s3_server)
    backend = backend_at(place, tmp_path)
    bench = make_bench(database, backend, tmp_path / "spool")
    for number in range(EACH):
        bench.keep(instance(number))
    if verb != "delete":
        bench.trash.delete(STUDY, HERE)
    killed(delete_and_die.main, database_url, tmp_path, place, step)

    def read() -> list[bytes]:
        found = bench.retrieve.select(Selection(study_instance_uids=("1.2",)))
        return [bench.retrieve.read(item, 0, item.location.length) for item in found]

    whole = [instance(number) for number in range(EACH)]
    (visible,) = counts(database, "instance")
    assert visible in {0, EACH}
    assert sorted(read()) == sorted(whole)[:visible]
    if verb == "sweep":
        left = EACH if step not in {"the rows are removed", "the last of all"} else 0
        for entry in bench.trash.entries():
            with pytest.raises(NotFound):
                bench.trash.restore(entry.trash_id, HERE)
        assert bench.trash.sweep(HERE, days=0) == Swept(left, 0)
        assert list(backend.scan()) == []
        assert counts(database, "trash", "trash_item", "location") == [0, 0, 0]
    elif not visible:
        (entry,) = bench.trash.entries()
        assert bench.trash.restore(entry.trash_id, HERE).restored == EACH
        assert sorted(read()) == sorted(whole)
    else:
        assert list(bench.trash.entries()) == []
    assert repaired(bench) == []
    backend.close()
