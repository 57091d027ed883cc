"""A backend that is away holds up the verification of no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage_backends.base import ObjectInfo
from storage_backends.errors import BackendUnavailable
from tests.services.conftest import ORIGIN, Bench
from tests.services.several_stores import Folders, instance, places
from vna.errors import Unavailable
from vna.index.database import Database
from vna.model.verification import Fault, Finding
from vna.services.verification import HowToVerify

HOW = HowToVerify(ORIGIN, young=0)


@pytest.fixture
def bench(folders: Folders, database: Database) -> Bench:
    """Three instances, each in a, b and c."""
    bench = folders.bench(database, folders.storage("a b c"))
    for number in range(3):
        bench.keep(instance(number))
    return bench


@pytest.mark.parametrize("listed", [0, 1, 3], ids=["at once", "in the middle", "at the end"])
@pytest.mark.parametrize("away", ["a", "b", "c", "a b"])
def test_the_others_are_verified_and_the_run_stays_open(
    away: str, listed: int, bench: Bench, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in places(bench, 1):
        folders.damage(place)
    found: list[Finding] = []
    with monkeypatch.context() as patch:
        for name in away.split():
            objects = list(folders.backends[name].scan())[:listed]

            def broken(
                prefix: str = "", *, after: str = "", objects: list[ObjectInfo] = objects
            ) -> Iterator[ObjectInfo]:
                yield from objects
                raise BackendUnavailable("the store is away")

            patch.setattr(folders.backends[name], "scan", broken)
        with pytest.raises(Unavailable, match="away"):
            bench.verification.everything(HOW, found.append)
    there = set("abc") - set(away.split())
    assert there <= {item.location.backend for item in found}
    assert {item.fault for item in found} == {Fault.CORRUPT}
    covered = {item.backend for item in bench.verification.coverage() if item.ended_at is not None}
    assert covered == there
    run = bench.verification.everything(HOW, found.append)
    assert run.ended_at is not None
    assert run.faults == 3
    assert len(bench.verification.index.runs()) == 1
    assert len({item.location for item in found}) == 3
    if len(away) == 1:  # of several that were away, only the first goes on where it was
        assert (run.objects, len(found)) == (9, 3)
    assert {item.share for item in bench.verification.coverage()} == {1.0}


def test_what_was_away_is_not_forgotten_when_the_process_dies_over_another(
    bench: Bench, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders.damage(places(bench, 1)[0])

    def broken(_prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        raise BackendUnavailable(f"the store is away behind {after!r}")

    def died(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(folders.backends["a"], "scan", broken)
        with pytest.raises(KeyboardInterrupt):
            bench.verification.everything(HOW, on_progress=died)
    found: list[Finding] = []
    run = bench.verification.everything(HOW, found.append)
    assert [item.location.backend for item in found] == ["a"]
    assert (run.objects, run.faults) == (9, 1)
