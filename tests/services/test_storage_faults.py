"""Whatever goes wrong in a store: nothing acknowledged is lost, no wrong byte is served, the cause is named."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import cast

import pytest

from storage_backends.base import StorageBackend
from storage_backends.errors import BackendUnavailable
from storage_backends.filesystem import FilesystemBackend
from storage_backends.memory import MemoryBackend
from storage_backends.retrying import RetryingBackend
from storage_backends.s3 import S3Backend
from tests import samples
from tests.backends.wrappings import encrypted, metered
from tests.s3_server import S3Server
from tests.services.conftest import ORIGIN, make_bench
from tests.services.faulty import ALWAYS, PUT_FAULTS, READ_FAULTS, Fault, FaultyBackend
from vna.errors import Corrupt, OutOfSpace, Unavailable, VnaError
from vna.index.database import Database
from vna.model.identifiers import Selection
from vna.model.instances import Outcome, StoredInstance
from vna.model.verification import Fault as Found
from vna.services.retrieve import RetrieveService, read_fully
from vna.services.verification import HowToVerify

Read = Callable[[RetrieveService, StoredInstance, bytes], tuple[bytes, bytes]]
"""What a way out gives of an instance that was stored as these bytes, and what it should give."""

Wrap = Callable[[StorageBackend], StorageBackend]


def _retrying(inner: StorageBackend) -> StorageBackend:
    return RetryingBackend(inner, base_delay=0.0001)


WRAPPERS: dict[str, tuple[Wrap, ...]] = {
    "bare": (),
    "metered": (metered,),
    "retrying": (_retrying,),
    "encrypted": (encrypted,),
    "metered encrypted": (encrypted, metered),
    "retrying encrypted": (encrypted, _retrying),
    "as configured": (metered, _retrying),
    "as configured, encrypted": (encrypted, metered, _retrying),
}
"""Each from the inside to the outside."""


def _whole(retrieve: RetrieveService, item: StoredInstance, data: bytes) -> tuple[bytes, bytes]:
    return bytes(retrieve.load_whole(item)), data


def _part10(retrieve: RetrieveService, item: StoredInstance, data: bytes) -> tuple[bytes, bytes]:
    reader, _ = retrieve.open_part10(item)
    with reader:
        return read_fully(reader), data


def _pieces(retrieve: RetrieveService, item: StoredInstance, data: bytes) -> tuple[bytes, bytes]:
    pieces, _ = retrieve.part10_pieces(item)
    with closing(pieces):
        return b"".join(cast("Iterator[bytes]", pieces)), data


def _dataset(retrieve: RetrieveService, item: StoredInstance, data: bytes) -> tuple[bytes, bytes]:
    reader, _ = retrieve.open_dataset(item)
    with reader:
        return read_fully(reader), data[item.layout.dataset_offset :]


def _header(retrieve: RetrieveService, item: StoredInstance, data: bytes) -> tuple[bytes, bytes]:
    length = item.layout.header_length
    return retrieve.read(item, 0, length), data[:length]


def _pixels(retrieve: RetrieveService, item: StoredInstance, data: bytes) -> tuple[bytes, bytes]:
    start, length = item.layout.pixel_offset, item.layout.pixel_length
    return retrieve.read(item, start, length), data[start : start + length]


WAYS: dict[str, Read] = {
    "whole": _whole,
    "file": _part10,
    "pieces": _pieces,
    "dataset": _dataset,
    "header": _header,
    "pixels": _pixels,
}
RANGES = {"header", "pixels"}


def memory(_directory: Path, _server: S3Server) -> StorageBackend:
    return MemoryBackend()


def filesystem(directory: Path, _server: S3Server) -> StorageBackend:
    return FilesystemBackend(directory / "store")


def s3(_directory: Path, server: S3Server) -> StorageBackend:
    prefix = f"faults/{secrets.token_hex(8)}"
    return S3Backend(server.options(prefix, part_bytes=5 * 2**20, conditional_put="no"))


class Site:
    """Services over a driver that can go wrong, within some wrappers."""

    def __init__(
        self, driver: StorageBackend, wrappers: str, database: Database, directory: Path
    ) -> None:
        self.faulty = FaultyBackend(driver)
        backend: StorageBackend = self.faulty
        for wrap in WRAPPERS[wrappers]:
            backend = wrap(backend)
        self.bench = make_bench(database, backend, directory / "spool")
        self.repeats = _retrying in WRAPPERS[wrappers]
        self.proves_ranges = encrypted in WRAPPERS[wrappers]

    def kept(self, uid: str) -> list[bytes]:
        """The bytes of what is visible under a SOP Instance UID."""
        found = self.bench.retrieve.select(Selection(sop_instance_uids=(uid,)))
        return [bytes(self.bench.retrieve.load_whole(item)) for item in found]

    def found(self) -> list[Found]:
        """What a verification of everything finds."""
        found: list[Found] = []
        how = HowToVerify(ORIGIN, young=0)
        self.bench.verification.everything(how, lambda finding: found.append(finding.fault))
        return found

    def bears(self, fault: Fault, times: int) -> bool:
        """Whether nobody is to notice the fault. What is done, but not known to be, may be tried again or not."""
        is_over = times == 1 and fault.moment != "after"
        return self.repeats and is_over and fault.error is BackendUnavailable


DRIVERS = {"memory": memory, "filesystem": filesystem, "s3": s3}
AS_CONFIGURED = ("as configured", "as configured, encrypted")
EVERY = [
    *product(("memory", "filesystem"), WRAPPERS),
    *product(("s3",), ("bare", *AS_CONFIGURED)),
]
REST = [*product(("s3",), sorted(set(WRAPPERS) - {"bare", *AS_CONFIGURED}))]


@pytest.fixture
def site(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path, s3_server: S3Server
) -> Iterator[Site]:
    driver, wrappers = request.param
    with closing(DRIVERS[driver](tmp_path, s3_server)) as opened:
        yield Site(opened, wrappers, database, tmp_path)


def over(pairs: Iterable[tuple[str, str]]) -> pytest.MarkDecorator:
    """Sites of these drivers and wrappers."""
    return pytest.mark.parametrize("site", list(pairs), indirect=True, ids=": ".join)


def small(number: int) -> bytes:
    """Three native frames, in one study."""
    return samples.multiframe(
        3, StudyInstanceUID="1.1", SeriesInstanceUID="1.2", SOPInstanceUID=f"1.3.{number}"
    )


def large(number: int) -> bytes:
    """More than is verified before its first byte leaves, and more than goes to S3 in one request here."""
    return samples.ct(
        study_instance_uid="1.1",
        series_instance_uid="1.2",
        sop_instance_uid=f"1.3.{number}",
        rows=1024,
        columns=2800,
    )


def check_stores(site: Site, make: Callable[[int], bytes]) -> None:
    """Each fault of a `put`, once and lasting: acknowledged and kept, or refused with its cause and not there."""
    lost = 0
    for number, (fault, times) in enumerate(product(PUT_FAULTS, (1, ALWAYS))):
        data, uid = make(number), f"1.3.{number}"
        site.faulty.meet(fault, times)
        try:
            site.bench.keep(data)
        except VnaError as error:
            assert not site.bears(fault, times), error
            assert isinstance(error, OutOfSpace if fault.is_full else Unavailable), error
            assert fault.name in str(error)
            assert site.kept(uid) == []
            site.faulty.recover()
            assert site.bench.keep(data).outcome is Outcome.STORED
            lost += fault.moment == "after"
        else:
            assert site.bears(fault, times) or (site.repeats and fault.moment == "after"), fault
        site.faulty.recover()
        assert site.kept(uid) == [data], fault
    found = site.found()
    assert found == [Found.ORPHAN] * lost


def check_reads(site: Site, data: bytes) -> None:
    """Each fault of a read, once and lasting, by each way out: these bytes, or an error with its cause."""
    site.bench.keep(data)
    item = list(site.bench.retrieve.select(Selection(study_instance_uids=("1.1",))))[-1]
    for fault, times, (way, read) in product(READ_FAULTS, (1, ALWAYS), WAYS.items()):
        if fault.name == "changed" and way in RANGES and not site.proves_ranges:
            continue  # what leaves in part is not compared with a digest of the whole
        told = (way, fault.name, times)
        site.faulty.meet(fault, times)
        try:
            got, wanted = read(site.bench.retrieve, item, data)
        except VnaError as error:
            assert not site.bears(fault, times), told
            is_outage = fault.error is BackendUnavailable
            assert isinstance(error, Unavailable if is_outage else Corrupt), told
            assert fault.error is None or fault.name in str(error), told
        else:
            assert got == wanted, told
        finally:
            site.faulty.recover()
    assert set(site.found()) <= {Found.ORPHAN}


@over(EVERY)
def test_a_store_is_whole_or_did_not_happen(site: Site) -> None:
    check_stores(site, small)


@over(EVERY)
def test_what_is_read_is_right_or_an_error(site: Site) -> None:
    check_reads(site, small(1))


@over([("filesystem", AS_CONFIGURED[1]), ("s3", AS_CONFIGURED[0])])
def test_a_large_one_is_read_right_or_not(site: Site) -> None:
    check_reads(site, large(1))


@pytest.mark.crash
@over(product(DRIVERS, AS_CONFIGURED))
def test_a_large_store_is_whole_or_did_not_happen(site: Site) -> None:
    check_stores(site, large)


@pytest.mark.crash
@over(
    [
        ("filesystem", AS_CONFIGURED[0]),
        ("s3", AS_CONFIGURED[1]),
        *product(["memory"], AS_CONFIGURED),
    ]
)
def test_the_other_large_ones_are_read_right_or_not(site: Site) -> None:
    check_reads(site, large(1))


@pytest.mark.crash
@over(REST)
def test_the_rest_of_stores_and_reads(site: Site) -> None:
    check_stores(site, small)
    check_reads(site, small(99))
