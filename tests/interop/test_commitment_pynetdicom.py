"""Storage commitment with pynetdicom on the other side, as SCU and as SCP, on the same association and on others."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.presentation import build_role
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.scp.commitment_peer import WAIT, keep
from tests.scp.site import Site, open_site
from tests.scp.test_commitment import settle
from vna.config import DestinationConfig
from vna.dimse.commitment_scu import request_commitment
from vna.index.database import Database
from vna.model.commitment import CommitmentReport, Reference
from vna.scp.commitment_reports import report_job
from vna.scp.destinations import open_association

EXPLICIT = samples.EXPLICIT


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Site]:
    backend = FilesystemBackend(tmp_path / "store")
    with open_site(database, backend, tmp_path) as running:
        yield running
    backend.close()


def dataset(transaction_uid: str, references: list[Reference]) -> Dataset:
    request = Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = [item(reference) for reference in references]
    return request


def item(reference: Reference) -> Dataset:
    named = Dataset()
    named.ReferencedSOPClassUID = reference.sop_class_uid
    named.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return named


def test_pynetdicom_asks_and_hears_on_the_same_association(site: Site) -> None:
    reports: queue.Queue[tuple[int, Dataset]] = queue.Queue()

    def take(event: Any) -> tuple[int, None]:
        reports.put((event.request.EventTypeID, event.event_information))
        return 0x0000, None

    ae = AE("PYNETDICOM")
    ae.add_requested_context(StorageCommitmentPushModel, EXPLICIT)
    host, port = site.address
    association = ae.associate(host, port, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
    assert association.is_established
    references = [*keep(site, 2), Reference(samples.CT_IMAGE, samples.new_uid())]
    status, _ = association.send_n_action(
        dataset("1.2.9", references),
        1,
        StorageCommitmentPushModel,
        StorageCommitmentPushModelInstance,
    )
    assert status.Status == 0x0000
    event_type, report = reports.get(timeout=WAIT)
    assert (event_type, report.TransactionUID, report.RetrieveAETitle) == (2, "1.2.9", "VNA")
    kept = [named.ReferencedSOPInstanceUID for named in report.ReferencedSOPSequence]
    assert kept == [reference.sop_instance_uid for reference in references[:2]]
    assert [named.FailureReason for named in report.FailedSOPSequence] == [0x0112]
    association.release()


@pytest.fixture
def scp(site: Site) -> Any:
    """A pynetdicom SCP that remembers what it was asked, and takes reports, known to the site as PYNETDICOM."""
    asked: queue.Queue[Dataset] = queue.Queue()

    def act(event: Any) -> tuple[int, None]:
        asked.put(event.action_information)
        return 0x0000, None

    def take(event: Any) -> tuple[int, None]:
        asked.put(event.event_information)
        return 0x0000, None

    ae = AE("PYNETDICOM")
    ae.add_supported_context(StorageCommitmentPushModel, EXPLICIT, scu_role=True, scp_role=True)
    handlers = [(evt.EVT_N_ACTION, act), (evt.EVT_N_EVENT_REPORT, take)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    site.destinations["PYNETDICOM"] = DestinationConfig("127.0.0.1", server.server_address[1])
    yield asked
    server.shutdown()


def test_pynetdicom_hears_on_an_association_of_ours(site: Site, scp: Any) -> None:
    (reference,) = keep(site)
    ae = AE("PYNETDICOM")
    ae.add_requested_context(StorageCommitmentPushModel, EXPLICIT)
    refuse = [(evt.EVT_N_EVENT_REPORT, lambda _: (0x0110, None))]
    host, port = site.address
    association = ae.associate(host, port, evt_handlers=refuse)
    association.send_n_action(
        dataset("1.2.9", [reference]),
        1,
        StorageCommitmentPushModel,
        StorageCommitmentPushModelInstance,
    )
    association.release()
    settle(site)
    for line in site.door.commitments.open():
        report_job(site.door, lambda: False)({"commitment_id": line.commitment_id})
    report = scp.get(timeout=WAIT)
    assert report.TransactionUID == "1.2.9"
    assert len(report.ReferencedSOPSequence) == 1
    assert site.door.commitments.open() == []


def test_we_ask_pynetdicom_and_it_reports_later_on_an_association_of_its_own(
    site: Site, scp: Any
) -> None:
    reference = Reference(samples.CT_IMAGE, samples.new_uid())
    uid = site.door.asked.begin("PYNETDICOM", [reference])

    def keep_report(report: CommitmentReport) -> bool:
        return site.door.asked.reported(report, "PYNETDICOM")

    contexts = [(StorageCommitmentPushModel, (EXPLICIT,))]
    with open_association(site.door, "PYNETDICOM", contexts) as association:
        assert request_commitment(association, uid, [reference], keep_report) == 0
        association.release()
    assert scp.get(timeout=WAIT).TransactionUID == uid
    ae = AE("ANOTHER_NODE")
    ae.add_requested_context(StorageCommitmentPushModel, EXPLICIT)
    role = build_role(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    host, port = site.address
    later = ae.associate(host, port, ext_neg=[role])
    assert later.is_established
    for transaction, expected in ((uid, 0x0000), ("1.2.3", 0x0112)):
        status, _ = later.send_n_event_report(
            dataset(transaction, [reference]),
            1,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
        assert status.Status == expected
    later.release()
    asked = site.door.asked.find(uid)
    assert asked is not None
    assert asked.is_committed
