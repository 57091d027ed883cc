"""An empty index is made anew from the objects alone: the same rows, digests, frame tables and conflicts."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

from storage_backends.digests import digest_of
from tests import samples
from tests.conftest import _CLEAN
from tests.index.dump import VISIBLE, dump, without
from tests.services.conftest import ORIGIN, Bench
from vna.index.database import Database
from vna.model.instances import Location, Outcome

_FILES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "color-pl.dcm",
    "US1_J2KR.dcm",
    "693_J2KR.dcm",
    "emri_small.dcm",
)
_CHOSEN_ANEW = ("id", "created_at", "patient", "study", "series", "instance", "conflict")
_OF_THE_REQUEST = ("door", "peer", "address", "correlation_id")


@pytest.fixture(autouse=True)
def _keys_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of one minute are in no order, which would leave it open which of two versions came first."""
    numbers = itertools.count()
    monkeypatch.setattr(
        "vna.services.keeping.new_object_key", lambda: f"2026/01/01/0000/{next(numbers):032x}.dcm"
    )


def rows(database: Database) -> dict[str, list[dict[str, Any]]]:
    """All that is kept, without what is chosen anew."""
    return {
        table: without(found, *_CHOSEN_ANEW, *_OF_THE_REQUEST)
        for table, found in dump(database, *VISIBLE).items()
    }


def fill(bench: Bench) -> int:
    """Store images of several kinds and two versions in conflict; how many objects that are."""
    for name in _FILES:
        path = get_testdata_file(name)
        assert isinstance(path, str)
        bench.keep(Path(path).read_bytes())
    for number in range(5):
        bench.keep(samples.small(StudyInstanceUID="1.2", SOPInstanceUID=f"1.2.{number}"))
    bench.keep(samples.small(StudyInstanceUID="1.2", SOPInstanceUID="1.2.1", PatientComments="x"))
    bench.keep(samples.small(StudyInstanceUID="1.2", SOPInstanceUID="1.2.9", PatientID="another"))
    return len(_FILES) + 7


def forget(database: Database) -> None:
    with database.connection() as connection:
        connection.execute(_CLEAN)


@pytest.mark.parametrize("threads", [1, 4])
def test_the_index_comes_back_as_it_was(
    bench: Bench, another: Bench, database: Database, threads: int
) -> None:
    count = fill(bench)
    before = rows(database)
    forget(database)
    refused: list[tuple[Location, str]] = []
    rebuilt = another.rebuilding.rebuild(
        ORIGIN, lambda *found: refused.append(found), threads=threads
    )
    assert (rebuilt.objects, rebuilt.refused, refused) == (count, 0, [])
    assert rebuilt.outcomes == {Outcome.STORED: count - 1, Outcome.CONFLICT: 1}
    after = rows(database)
    assert after["location"] == before["location"]
    if threads == 1:  # else who names a study, and which version is in conflict, may be another
        assert after == before
    assert sum(info.size for info in bench.backend.scan()) == rebuilt.size


def test_a_rebuild_that_was_cut_off_goes_on(
    bench: Bench, another: Bench, database: Database
) -> None:
    count = fill(bench)
    before = rows(database)
    forget(database)
    first = another.rebuilding.rebuild(ORIGIN, _no_refusal, lambda _: None, _after(5), threads=1)
    assert 0 < first.objects < count
    second = another.rebuilding.rebuild(ORIGIN, _no_refusal, threads=1)
    assert first.objects + second.objects == count
    assert rows(database) == before
    assert another.rebuilding.rebuild(ORIGIN, _no_refusal).objects == 0


def test_what_is_no_dicom_is_listed_and_what_is_kept_twice_stays(
    bench: Bench, another: Bench, database: Database
) -> None:
    image = samples.small(SOPInstanceUID="1.2.3")
    bench.keep(image)
    for key, data in (("readme", b"hello"), ("z/copy", image)):
        bench.backend.put(key, io.BytesIO(data), size=len(data), digest=digest_of(data))
    forget(database)
    refused: list[Location] = []
    rebuilt = another.rebuilding.rebuild(ORIGIN, lambda place, _: refused.append(place))
    assert [place.key for place in refused] == ["readme"]
    assert rebuilt.outcomes == {Outcome.STORED: 1, Outcome.DUPLICATE: 1}
    assert len(list(bench.backend.scan())) == 3


def _no_refusal(place: Location, reason: str) -> None:
    raise AssertionError(f"{place.key}: {reason}")


def _after(count: int) -> Any:
    asked = itertools.count()
    return lambda: next(asked) >= count
