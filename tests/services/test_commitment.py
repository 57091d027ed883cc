"""Storage commitment as a service: memory, claims that live and end, pauses, patience with the storage."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from storage_backends.base import Digest
from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.services.conftest import Bench, make_bench
from vna.config_jobs import CommitmentConfig
from vna.errors import Unavailable
from vna.index.commitments import CommitmentIndex
from vna.index.commitments_asked import AskedCommitmentIndex
from vna.index.database import Database
from vna.index.jobs import JobQueue
from vna.index.kept_objects import KeptObjectIndex
from vna.model.commitment import (
    CommitmentReport,
    CommitmentRequest,
    CommitmentState,
    FailureReason,
    Reference,
)
from vna.model.identifiers import Origin
from vna.model.instances import Location
from vna.services.asked_commitment import AskedCommitmentService
from vna.services.commitment import Claim, CommitmentService
from vna.services.storage import ObjectStore

CT = samples.CT_IMAGE
WAIT = 60.0


@dataclass(frozen=True)
class Office:
    """The service, and what lies under it."""

    bench: Bench
    index: CommitmentIndex
    objects: ObjectStore
    database: Database
    services: list[CommitmentService] = field(default_factory=list)

    def service(self, **settings: float) -> CommitmentService:
        service = CommitmentService(
            self.index,
            KeptObjectIndex(self.database),
            self.objects,
            CommitmentConfig(**settings),  # type: ignore[arg-type]
        )
        self.services.append(service)
        return service

    def keep(self, rows: int = 16) -> Reference:
        uid = samples.new_uid()
        self.bench.keep(samples.ct(sop_instance_uid=uid, rows=rows, columns=rows))
        return Reference(CT, uid)


@pytest.fixture
def office(database: Database, tmp_path: Path) -> Iterator[Office]:
    backend = FilesystemBackend(tmp_path / "store")
    bench = make_bench(database, backend, tmp_path / "spool")
    objects = ObjectStore({backend.name: backend}, backend.name)
    office = Office(bench, CommitmentIndex(database, JobQueue(database)), objects, database)
    yield office
    for service in office.services:
        service.close()
    backend.close()


def ask(service: CommitmentService, *references: Reference) -> Claim:
    request = CommitmentRequest(samples.new_uid(), references, Origin("dimse", "PEER"))
    claim = service.request(request)
    assert claim is not None
    return claim


def never() -> bool:
    return False


def test_a_check_holds_little_of_an_object_in_memory(office: Office) -> None:
    reference = office.keep(rows=4096)
    service = office.service()
    claim = ask(service, reference)
    tracemalloc.start()
    try:
        checked = service.check(claim, never)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert checked is not None
    assert checked.commitment.reasons == (0,)
    assert peak < 8 * 2**20 < 4096 * 4096 * 2


def test_a_stopped_check_goes_on_where_it_was(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    references = [office.keep() for _ in range(4)]
    service = office.service()
    claim = ask(service, *references)
    calls = iter([False, True])
    assert service.check(claim, lambda: next(calls)) is None
    service.hand_over(claim)
    read: list[object] = []
    actual = office.objects.is_intact

    def counted(location: Location, digest: Digest) -> bool:
        read.append(location)
        return actual(location, digest)

    monkeypatch.setattr(office.objects, "is_intact", counted)
    again = service.claim(claim.commitment.commitment_id)
    assert again is not None
    checked = service.check(again, never)
    assert checked is not None
    assert checked.commitment.reasons == (0, 0, 0, 0)
    assert len(read) == 2


def test_a_claim_outlives_its_time_while_somebody_works(office: Office) -> None:
    service = office.service(hold_time=1.5)
    renewed = threading.Semaphore(0)
    actual = office.index.renew

    def renew(holders: Sequence[str], seconds: float) -> set[str]:
        renewed.release()
        return actual(holders, seconds)

    service._keeper._renew = renew
    claim = ask(service, office.keep())
    for _ in range(6):
        assert renewed.acquire(timeout=WAIT)
    assert service.may_report(claim)
    assert office.service().claim(claim.commitment.commitment_id) is None


def test_a_claim_that_others_have_taken_over_is_given_up(office: Office) -> None:
    service = office.service()
    claim = ask(service, office.keep())
    office.index.hand_over(claim.commitment.commitment_id, claim.hold)
    assert office.service().claim(claim.commitment.commitment_id) is not None
    assert service.check(claim, never) is None
    assert not service.may_report(claim)
    service.reported(claim)
    (line,) = service.open()
    assert line.state is CommitmentState.CHECKING


def test_pauses_grow_up_to_a_bound(office: Office) -> None:
    service = office.service(retry_delay=10.0, max_retry_delay=300.0)
    pauses = [service._pause(attempts) for attempts in (1, 2, 3, 4, 10, 5000)]
    for pause, expected in zip(pauses, (10, 20, 40, 80, 300, 300), strict=True):
        assert expected * 0.8 <= pause <= expected * 1.2


@pytest.mark.parametrize("settings", [{"max_attempts": 3}, {"max_age": 0.0}])
def test_it_gives_up_after_enough(office: Office, settings: dict[str, float]) -> None:
    service = office.service(retry_delay=0.0, **settings)
    claim: Claim | None = ask(service, office.keep())
    for _ in range(int(settings.get("max_attempts", 1))):
        assert claim is not None
        service.failed(claim, "nobody there")
        claim = service.claim(service.open()[0].commitment_id)
    (line,) = service.open()
    assert (line.state, line.last_error) == (CommitmentState.PARKED, "nobody there")


@pytest.mark.parametrize(("patience", "reason"), [(3600.0, None), (0.0, 0x0110)])
def test_how_long_the_storage_may_be_away(
    office: Office, monkeypatch: pytest.MonkeyPatch, patience: float, reason: int | None
) -> None:
    def away(*_: object) -> bool:
        raise Unavailable("the storage does not answer")

    service = office.service(storage_patience=patience)
    claim = ask(service, office.keep())
    monkeypatch.setattr(office.objects, "is_intact", away)
    if reason is None:
        with pytest.raises(Unavailable):
            service.check(claim, never)
    else:
        checked = service.check(claim, never)
        assert checked is not None
        assert checked.commitment.reasons == (FailureReason.PROCESSING_FAILURE,)


def test_too_much_at_once_is_left_to_the_worker(office: Office) -> None:
    service = office.service()
    go_on = threading.Event()

    def wait() -> None:
        assert go_on.wait(WAIT)

    accepted = 0
    while service.aside(wait):
        accepted += 1
    assert accepted == 64
    go_on.set()
    service.close()
    assert not service.aside(wait)


def test_what_we_asked_for_is_known_everywhere(database: Database) -> None:
    here, there = (AskedCommitmentService(AskedCommitmentIndex(database)) for _ in range(2))
    reference = Reference(CT, samples.new_uid())
    uid = here.begin("PEER", [reference])
    assert there.reported(CommitmentReport(uid, (reference,), ()), "PEER2")
    asked = here.find(uid)
    assert asked is not None
    assert asked.is_committed
    assert not there.reported(CommitmentReport("1.2.3", (reference,), ()), "PEER")
