"""Storage commitment with whole archives and pynetdicom as the peer: whoever is killed, the report arrives."""

from __future__ import annotations

import os
import queue
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from tests import samples
from tests.e2e.client import Item, store
from tests.e2e.process import ArchiveProcess, free_port, running_archive

pytestmark = pytest.mark.slow

WAIT = 150.0
CT, EXPLICIT = samples.CT_IMAGE, samples.EXPLICIT


class Modality:
    """A pynetdicom peer that asks, and takes reports on every association."""

    def __init__(self) -> None:
        self.reports: queue.Queue[tuple[int, Dataset]] = queue.Queue()
        self.port = free_port()
        self.status = 0x0000
        self.ae = AE("MODALITY")
        self.ae.add_requested_context(StorageCommitmentPushModel, EXPLICIT)
        self.ae.add_supported_context(
            StorageCommitmentPushModel, EXPLICIT, scu_role=False, scp_role=True
        )
        self.handlers = [(evt.EVT_N_EVENT_REPORT, self._take)]

    @property
    def environment(self) -> dict[str, str]:
        """How an archive finds this peer, and how soon it notices that somebody has died."""
        return {
            "VNA__DIMSE__DESTINATIONS__MODALITY__HOST": "127.0.0.1",
            "VNA__DIMSE__DESTINATIONS__MODALITY__PORT": str(self.port),
            "VNA__COMMITMENT__HOLD_TIME": "3",
            "VNA__COMMITMENT__RETRY_DELAY": "1",
            "VNA__COMMITMENT__MAX_RETRY_DELAY": "2",
            "VNA__JOBS__STALLED_AFTER": "3",
        }

    @contextmanager
    def listening(self) -> Iterator[None]:
        server = self.ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=self.handlers
        )
        try:
            yield
        finally:
            server.shutdown()

    def ask(self, association: Association, uids: list[str]) -> str:
        """Ask for commitment to CT images; the Transaction UID."""
        request = Dataset()
        request.TransactionUID = samples.new_uid()
        request.ReferencedSOPSequence = [reference(uid) for uid in uids]
        status, _ = association.send_n_action(
            request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        assert status.Status == 0
        return str(request.TransactionUID)

    @contextmanager
    def associated(self, port: int) -> Iterator[Association]:
        association = self.ae.associate(
            "127.0.0.1", port, ae_title="VNA", evt_handlers=self.handlers
        )
        assert association.is_established
        yield association
        association.release()

    def next_report(self) -> tuple[int, Dataset]:
        return self.reports.get(timeout=WAIT)

    def _take(self, event: evt.Event) -> tuple[int, None]:
        self.reports.put((event.request.EventTypeID, event.event_information))
        return self.status, None


def reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = CT
    item.ReferencedSOPInstanceUID = uid
    return item


def keep(archive: ArchiveProcess) -> str:
    uid = samples.new_uid()
    file = samples.ct(sop_instance_uid=uid, rows=16, columns=16)
    offset = 144 + int.from_bytes(file[140:144], "little")
    assert store(archive.dicom_port, Item(CT, EXPLICIT, uid, file[offset:])) == 0
    return uid


def children(pid: int) -> dict[int, str]:
    """The processes below `pid`, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if int(stat[1]) == pid:
                found[int(entry.name)] = words
    return found


def worker_of(archive: ArchiveProcess) -> int:
    """The process id of the archive's worker."""
    assert archive.process is not None
    (worker,) = (
        pid for pid, words in children(archive.process.pid).items() if "--role worker" in words
    )
    return worker


def kill_worker(archive: ArchiveProcess) -> None:
    os.kill(worker_of(archive), signal.SIGKILL)


def await_end(pid: int) -> None:
    """Until a process that is no child of ours has ended."""
    handle = os.pidfd_open(pid)
    try:
        assert select.select([handle], [], [], WAIT)[0], f"process {pid} goes on"
    finally:
        os.close(handle)


def vna(*arguments: object) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "vna.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def modality() -> Modality:
    return Modality()


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory, modality: Modality
) -> Iterator[ArchiveProcess]:
    """One for the tests that leave no request open, however they treat it meanwhile."""
    folder = tmp_path_factory.mktemp("commitment")
    with running_archive(folder / "data", modality.environment) as process:
        yield process


def test_reports_come_on_the_same_association_and_on_another_one(
    modality: Modality, archive: ArchiveProcess
) -> None:
    uid, unknown = keep(archive), samples.new_uid()
    with modality.associated(archive.dicom_port) as association:
        transaction = modality.ask(association, [uid])
        event_type, report = modality.next_report()
    assert (event_type, report.TransactionUID) == (1, transaction)
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [uid]
    with modality.listening():
        with modality.associated(archive.dicom_port) as association:
            transaction = modality.ask(association, [uid, unknown])
            association.abort()
        event_type, report = modality.next_report()
    assert (event_type, report.TransactionUID) == (2, transaction)
    (failed,) = report.FailedSOPSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == (unknown, 0x0112)


def test_a_killed_worker_delays_the_report_only(
    modality: Modality, archive: ArchiveProcess
) -> None:
    transaction = ask_in_vain(modality, archive, [keep(archive)])
    kill_worker(archive)
    with modality.listening():
        event_type, report = modality.next_report()
    assert (event_type, report.TransactionUID) == (1, transaction)


def test_postgres_may_be_restarted_under_the_worker(
    modality: Modality, archive: ArchiveProcess
) -> None:
    transaction = ask_in_vain(modality, archive, [keep(archive)])
    archive.kill_postgres()
    archive.await_ready()
    with modality.listening():
        _, report = modality.next_report()
    assert report.TransactionUID == transaction


def test_kill_9_of_everything_between_request_and_report(
    modality: Modality, archive: ArchiveProcess
) -> None:
    transaction = ask_in_vain(modality, archive, [keep(archive) for _ in range(3)])
    archive.kill_postgres()
    archive.kill_group()
    archive.start()
    with modality.listening():
        event_type, report = modality.next_report()
    assert (event_type, report.TransactionUID) == (1, transaction)


def ask_in_vain(modality: Modality, archive: ArchiveProcess, uids: list[str]) -> str:
    """Ask for commitment and refuse the report on that association: it has to come on another one."""
    modality.status = 0x0110
    with modality.associated(archive.dicom_port) as association:
        transaction = modality.ask(association, uids)
        modality.next_report()
    modality.status = 0x0000
    return transaction


def test_what_reaches_nobody_is_parked_listed_and_resumed_once_there_is_an_address(
    tmp_path: Path,
) -> None:
    modality = Modality()
    unknown = {
        name: value for name, value in modality.environment.items() if "DESTINATIONS" not in name
    }
    data_dir = tmp_path / "data"
    with running_archive(data_dir, unknown) as archive:
        transaction = ask_in_vain(modality, archive, [keep(archive)])
        deadline = time.monotonic() + WAIT
        while "parked" not in (listed := vna("commitments", "--data-dir", data_dir)):
            assert time.monotonic() < deadline, listed
    assert transaction in listed
    assert "[dimse.destinations.MODALITY]" in listed
    assert "vna commitments --retry" in archive.log_path.read_text()
    assert "commitments not reported 1" in vna("doctor", "--data-dir", data_dir)
    with running_archive(data_dir, modality.environment), modality.listening():
        _, report = modality.next_report()
    assert report.TransactionUID == transaction
    assert "every request has been reported" in vna("commitments", "--data-dir", data_dir)


def test_a_worker_ends_with_its_parent_and_by_itself_when_told(archive: ArchiveProcess) -> None:
    """The last of this module: the archive does not run after it."""
    assert archive.process is not None
    worker = worker_of(archive)
    archive.process.kill()
    archive.process.wait()
    await_end(worker)
    command = [sys.executable, "-m", "vna.cli", "serve", "--role", "worker"]
    command += ["--data-dir", str(archive.data_dir)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as alone:
        assert alone.stderr is not None
        assert any("waiting for jobs" in line for line in alone.stderr)
        assert "tried again" in vna("commitments", "--retry", "--data-dir", archive.data_dir)
        alone.terminate()
        assert alone.wait(WAIT) == 0
