"""The import engine over the real services, on a real Postgres."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO, cast

import pytest

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from vna.errors import Corrupt, InvalidInstance, OutOfSpace, Unavailable
from vna.index.audit import PostgresAuditLog
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.migration.candidates import Candidate, Fate, Finding, LooseFile
from vna.migration.files import walk
from vna.migration.importer import Importer, ImportReport, ImportSettings, Store
from vna.model.identifiers import Origin
from vna.services.storage import ObjectStore
from vna.services.store import StoreOutcome, StoreService
from vna.spool import Spool, Spooled

QUICK = ImportSettings(workers=4, retries=2, retry_delay=0.0, run="test")


@pytest.fixture
def service(database: Database, tmp_path: Path) -> Iterator[StoreService]:
    """A store on the real index, objects as files, everything over 64 KiB through a file."""
    spool = Spool(tmp_path / "spool", 65_536)
    backend = FilesystemBackend(tmp_path / "objects")
    objects = ObjectStore({backend.name: backend}, backend.name)
    yield StoreService(InstanceIndex(database), objects, spool, PostgresAuditLog(database))
    objects.close()
    spool.close()


class Faulty:
    """A store in front of another that first raises what it is told to."""

    def __init__(self, inner: StoreService, *errors: Exception) -> None:
        self._inner, self._errors = inner, list(errors)
        self.spool = inner.spool
        self.calls = 0

    def store(self, spooled: Spooled, origin: Origin) -> StoreOutcome:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return self._inner.store(spooled, origin)


def _import(store: Store, *paths: Path, settings: ImportSettings = QUICK) -> ImportReport:
    return Importer(store, settings).run(walk(paths))


def _counts(report: ImportReport) -> dict[str, int]:
    return {str(fate): count for fate, count in report.counts.items() if count}


def _fill(folder: Path, count: int, **overrides: str) -> list[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    files = [samples.ct(rows=64, columns=64, **overrides) for _ in range(count)]
    for number, data in enumerate(files):
        (folder / f"{number:03}.dcm").write_bytes(data)
    return files


def test_every_file_gets_its_fate(service: StoreService, tmp_path: Path) -> None:
    source = tmp_path / "in"
    uid = samples.new_uid()
    _fill(source / "good", 20)
    (source / "one.dcm").write_bytes(samples.ct(rows=64, sop_instance_uid=uid))
    (source / "text.txt").write_bytes(b"no image at all\n" * 40)
    (source / "bare.dcm").write_bytes(samples.dataset(samples.identity()))
    (source / "empty").touch()
    (source / "nobody.dcm").write_bytes(
        samples.dataset({"StudyDate": "20200101", "PatientID": "1"})
    )
    with zipfile.ZipFile(source / "more.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b/c.dcm", samples.ct(rows=32))
        archive.writestr("readme.txt", "hello " * 100)
    report = _import(service, source)
    assert _counts(report) == {"stored": 23, "skipped": 3, "refused": 1}
    assert {Path(f.name).name for f in report.of(Fate.SKIPPED)} == {
        "text.txt",
        "empty",
        "more.zip!readme.txt",
    }
    (refused,) = report.of(Fate.REFUSED)
    assert "nobody.dcm" in refused.name
    assert "SOP" in refused.reason
    assert report.has_failures
    assert report.stored_bytes > 20 * 64 * 64 * 2


def test_running_it_again_stores_nothing_twice(service: StoreService, tmp_path: Path) -> None:
    _fill(tmp_path / "in", 10)
    assert _counts(_import(service, tmp_path / "in")) == {"stored": 10}
    again = _import(service, tmp_path / "in")
    assert _counts(again) == {"duplicate": 10}
    assert not again.has_failures
    assert again.listed == []


def test_other_content_under_a_known_uid_is_a_listed_conflict(
    service: StoreService, tmp_path: Path
) -> None:
    uid = samples.new_uid()
    for name, text in (("1", "first"), ("2", "second")):
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(samples.ct(rows=32, sop_instance_uid=uid, StudyDescription=text))
        report = _import(service, path)
    (conflict,) = report.listed
    assert conflict.fate is Fate.CONFLICT
    assert uid in conflict.reason
    assert not report.has_failures


def test_large_files_go_through_the_spool_and_leave_nothing(
    service: StoreService, tmp_path: Path
) -> None:
    data = samples.ct(rows=1500, columns=1500)
    (tmp_path / "big.dcm").write_bytes(data)
    report = _import(service, tmp_path / "big.dcm")
    assert _counts(report) == {"stored": 1}
    assert report.stored_bytes == len(data)
    left = [p for p in (tmp_path / "spool").rglob("*") if p.is_file() and p.suffix != ".lock"]
    assert left == []
    kept = [p for p in (tmp_path / "objects").rglob("*.dcm") if p.is_file()]
    assert [p.read_bytes() for p in kept] == [data]


def test_a_transient_failure_is_tried_again(service: StoreService, tmp_path: Path) -> None:
    _fill(tmp_path / "in", 1)
    store = Faulty(service, Unavailable("the database is away"), OutOfSpace("full"))
    assert _counts(_import(store, tmp_path / "in")) == {"stored": 1}
    assert store.calls == 3


def test_a_lasting_failure_is_listed_and_the_rest_goes_on(
    service: StoreService, tmp_path: Path
) -> None:
    _fill(tmp_path / "in", 3)
    store = Faulty(service, *(Unavailable("the database is away") for _ in range(3)))
    settings = ImportSettings(workers=1, retries=2, retry_delay=0.0)
    report = _import(store, tmp_path / "in", settings=settings)
    assert _counts(report) == {"stored": 2, "failed": 1}
    assert report.listed[0].reason == "the database is away"


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (InvalidInstance("odd"), Fate.REFUSED),
        (Corrupt("changed"), Fate.FAILED),
        (KeyError("a fault of ours"), Fate.FAILED),
    ],
)
def test_other_failures_are_final(
    service: StoreService, tmp_path: Path, error: Exception, fate: Fate
) -> None:
    _fill(tmp_path / "in", 2)
    store = Faulty(service, error)
    report = _import(store, tmp_path / "in", settings=ImportSettings(workers=1))
    assert (report.counts[Fate.STORED], report.counts[fate]) == (1, 1)
    assert store.calls == 2


def test_a_file_that_cannot_be_read_is_listed(service: StoreService, tmp_path: Path) -> None:
    _fill(tmp_path / "in", 2)

    class Unreadable:
        name = "bad"

        def open(self) -> BinaryIO:
            raise PermissionError(13, "Permission denied")

        def size(self) -> int:
            return 0

    bad = cast("Candidate", Unreadable())
    report = Importer(service, QUICK).run([bad, *walk([tmp_path / "in"])])
    assert _counts(report) == {"stored": 2, "failed": 1}
    assert report.listed[0].reason == "cannot be read: Permission denied"


def test_a_damaged_zip_member_is_listed(service: StoreService, tmp_path: Path) -> None:
    data = samples.ct(rows=64, columns=64)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good", samples.ct(rows=64))
        archive.writestr("bad", data)
        offset = archive.getinfo("bad").header_offset
    raw = bytearray(path.read_bytes())
    raw[offset + 300 : offset + 400] = bytes(100)
    path.write_bytes(raw)
    report = _import(service, path)
    assert _counts(report) == {"stored": 1, "failed": 1}
    assert "cannot be read" in report.listed[0].reason


def test_members_of_one_zip_are_read_by_many_workers(service: StoreService, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(40):
            archive.writestr(f"{number % 3}/{number}", samples.ct(rows=96, columns=96))
    assert _counts(_import(service, path)) == {"stored": 40}


def test_an_interrupt_ends_with_what_was_done(service: StoreService, tmp_path: Path) -> None:
    _fill(tmp_path / "in", 5)

    def found() -> Iterator[Candidate | Finding]:
        yield from walk([tmp_path / "in"])
        raise KeyboardInterrupt

    report = Importer(service, ImportSettings(workers=2)).run(found())
    assert report.interrupted
    assert report.has_failures
    assert report.counts[Fate.FAILED] == 0
    rest = _import(service, tmp_path / "in")
    assert report.counts[Fate.STORED] + rest.counts[Fate.STORED] == 5
    assert rest.counts[Fate.DUPLICATE] == report.counts[Fate.STORED]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the suite was started in the background and ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_reaches_a_run_that_waits_for_its_workers(
    service: StoreService, tmp_path: Path
) -> None:
    _fill(tmp_path / "in", 30)
    interrupted = threading.Event()

    class Slow(Faulty):
        def store(self, spooled: Spooled, origin: Origin) -> StoreOutcome:
            if not interrupted.is_set():
                interrupted.set()
                _thread.interrupt_main()
            return super().store(spooled, origin)

    report = _import(Slow(service), tmp_path / "in", settings=ImportSettings(workers=1))
    assert report.interrupted
    assert report.counts[Fate.STORED] >= 1


def test_progress_is_told_once_per_file_by_one_thread_at_a_time(
    service: StoreService, tmp_path: Path
) -> None:
    _fill(tmp_path / "in", 20)
    busy, told = threading.Lock(), list[Finding]()

    def tell(finding: Finding) -> None:
        assert busy.acquire(blocking=False)
        told.append(finding)
        busy.release()

    report = Importer(service, QUICK, tell).run(walk([tmp_path / "in"]))
    assert len(told) == report.total == 20


def test_a_listener_that_fails_ends_the_run(service: StoreService, tmp_path: Path) -> None:
    _fill(tmp_path / "in", 50)

    def tell(finding: Finding) -> None:
        raise BrokenPipeError(finding.name)

    with pytest.raises(BrokenPipeError):
        Importer(service, QUICK, tell).run(walk([tmp_path / "in"]))


def test_the_walk_is_never_far_ahead_of_the_workers(tmp_path: Path) -> None:
    ahead: list[int] = []
    yielded, stored = [0], [0]

    def found() -> Iterator[Candidate]:
        for number in range(200):
            yielded[0] += 1
            yield LooseFile(tmp_path / str(number))
            ahead.append(yielded[0] - stored[0])

    def tell(finding: Finding) -> None:
        stored[0] += 1

    store = cast("Store", SimpleNamespace(spool=Spool(tmp_path, 0)))
    Importer(store, ImportSettings(workers=2), tell).run(found())
    assert len(ahead) == 200
    assert max(ahead) <= 2 * 4 + 2 + 2


def test_only_the_first_of_many_skipped_are_listed() -> None:
    report = ImportReport()
    for number in range(report.MAX_SKIPPED + 5):
        report.add(Finding(str(number), Fate.SKIPPED, "not DICOM"))
    assert report.counts[Fate.SKIPPED] == report.MAX_SKIPPED + 5
    assert len(report.of(Fate.SKIPPED)) == report.MAX_SKIPPED


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_every_real_file_is_imported_bit_for_bit(service: StoreService, tmp_path: Path) -> None:
    paths = samples.pydicom_files()
    report = Importer(service, QUICK).run(walk(paths))
    for finding in (*report.of(Fate.REFUSED), *report.of(Fate.FAILED)):
        print(finding.fate, finding.name, finding.reason)
    counts = _counts(report)
    print(f"{len(paths)} real files: {counts}")
    done = (counts.get(name, 0) for name in ("stored", "duplicate", "conflict"))
    assert sum(done) == len(paths)
    kept = {p.read_bytes() for p in (tmp_path / "objects").rglob("*.dcm")}
    originals = {p.read_bytes() for p in paths}
    assert kept <= originals


def test_a_pile_of_garbage_stops_nothing(tmp_path: Path) -> None:
    store = cast("Store", SimpleNamespace(spool=Spool(tmp_path / "spool", 0)))
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(100):
        (folder / str(number)).write_bytes(os.urandom(number * 50))
    report = _import(store, folder)
    assert report.total == 100
    assert report.counts[Fate.STORED] == 0


def make_store(build: Callable[[], StoreService]) -> Store:
    """The service fits the protocol: checked by mypy."""
    return build()
