"""Storage commitment with Debian's Orthanc, as SCU of ours and as SCP of it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests import samples
from tests.interop import orthanc_rest
from tests.interop.orthanc_rest import NAME, VNA, Orthanc
from tests.interop.programs import DEADLINE
from tests.scp.commitment_peer import COMMITMENT, keep
from tests.scp.site import Site
from tests.scp.test_commitment import working
from vna.dimse.commitment_scu import request_commitment
from vna.index.database import Database
from vna.model.commitment import AskedCommitment, CommitmentReport, FailureReason, Reference
from vna.scp.destinations import open_association

pytestmark = orthanc_rest.NEEDED


@pytest.fixture(scope="module")
def running(network: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc_rest.running(tmp_path_factory.mktemp("orthanc")) as peer:
        yield peer


@pytest.fixture
def peer(running: Orthanc, site: Site) -> Orthanc:
    """An empty Orthanc; it and the archive know each other."""
    running.meet(site)
    return running


def names(references: list[Reference]) -> dict[str, list[list[str]]]:
    return {"DicomInstances": [[r.sop_class_uid, r.sop_instance_uid] for r in references]}


def test_it_asks_and_is_told_success(peer: Orthanc, site: Site, database: Database) -> None:
    references = keep(site, 5)
    with working(site, database):
        report = peer.commitment(names(references))
    assert (report["Status"], report["RemoteAET"]) == ("Success", VNA)
    kept = {item["SOPInstanceUID"] for item in report["Success"]}
    assert kept == {reference.sop_instance_uid for reference in references}
    assert report["Failures"] == []


def test_it_is_told_of_each_failure(peer: Orthanc, site: Site, database: Database) -> None:
    good, other = keep(site, 2)
    missing = Reference(samples.CT_IMAGE, samples.new_uid())
    conflicting = Reference(samples.SECONDARY_CAPTURE, other.sop_instance_uid)
    with working(site, database):
        report = peer.commitment(names([good, missing, conflicting]))
    assert report["Status"] == "Failure"
    assert [item["SOPInstanceUID"] for item in report["Success"]] == [good.sop_instance_uid]
    reasons = {item["SOPInstanceUID"]: item["FailureReason"] for item in report["Failures"]}
    assert reasons == {
        missing.sop_instance_uid: FailureReason.NO_SUCH_OBJECT_INSTANCE,
        conflicting.sop_instance_uid: FailureReason.CLASS_INSTANCE_CONFLICT,
    }


def test_it_deletes_what_it_sent_once_we_have_committed_to_it(
    peer: Orthanc, site: Site, database: Database
) -> None:
    uids = [samples.new_uid() for _ in range(3)]
    resources = peer.upload([samples.ct(sop_instance_uid=uid, rows=32) for uid in uids])
    body = {"Resources": resources, "Synchronous": True, "StorageCommitment": True}
    with working(site, database):
        job = peer.post(f"/modalities/{VNA}/store", body)
        transaction = job["StorageCommitmentTransactionUID"]
        report = peer.report(f"/storage-commitment/{transaction}")
        assert report["Status"] == "Success"
        peer.request("POST", f"/storage-commitment/{transaction}/remove", {})
    assert peer.get("/instances") == []
    assert all(site.stored(uid) for uid in uids)


def ask(site: Site, references: list[Reference]) -> AskedCommitment:
    """Ask Orthanc by our library; what we know once its report has come, on an association of its own."""
    uid = site.door.asked.begin(NAME, references)

    def keep_report(report: CommitmentReport) -> bool:
        return site.door.asked.reported(report, NAME)

    with open_association(site.door, NAME, [COMMITMENT]) as association:
        assert request_commitment(association, uid, references, keep_report) == 0
        association.release()
    deadline = time.monotonic() + DEADLINE
    while (asked := site.door.asked.find(uid)) is None or asked.reported_at is None:
        assert time.monotonic() < deadline, asked
        time.sleep(0.05)
    return asked


def test_it_commits_to_what_it_keeps(peer: Orthanc, site: Site) -> None:
    references = [Reference(samples.CT_IMAGE, samples.new_uid()) for _ in range(4)]
    peer.upload([samples.ct(sop_instance_uid=r.sop_instance_uid, rows=32) for r in references])
    asked = ask(site, references)
    assert asked.is_committed
    assert asked.failed == {}


def test_it_does_not_commit_to_what_it_misses(peer: Orthanc, site: Site) -> None:
    kept, missing = (Reference(samples.CT_IMAGE, samples.new_uid()) for _ in range(2))
    peer.upload([samples.ct(sop_instance_uid=kept.sop_instance_uid, rows=32)])
    asked = ask(site, [kept, missing])
    assert not asked.is_committed
    assert asked.failed == {missing.sop_instance_uid: FailureReason.NO_SUCH_OBJECT_INSTANCE}
