"""C-STORE at the door: what is kept, what is refused, and that the association lives on."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest

from storage_backends.base import Digest, ObjectInfo
from storage_backends.errors import BackendFull
from storage_backends.memory import MemoryBackend
from tests import samples
from tests.scp.site import PATIENCE, Site, associate, open_site
from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.command import Command, CommandField
from vna.dimse.fragments import Data
from vna.dimse.negotiation import RoleSelection
from vna.dimse.settings import RequestorSettings
from vna.index.database import Database
from vna.scp.policy import VERIFICATION

CT = samples.CT_IMAGE
EXPLICIT = samples.EXPLICIT
CONTEXTS = ((CT, (EXPLICIT,)), (VERIFICATION, (samples.IMPLICIT,)))


@dataclass(frozen=True)
class Sample:
    """A dataset and what its command announces."""

    sop_class_uid: str
    sop_instance_uid: str
    dataset: bytes


def sample(syntax: str = EXPLICIT, /, **overrides: samples.Value) -> Sample:
    elements = samples.identity(**{"SOPClassUID": CT, **overrides})
    return Sample(
        str(elements["SOPClassUID"]),
        str(elements["SOPInstanceUID"]),
        samples.dataset(elements, syntax),
    )


def large_sample() -> Sample:
    """1 280 000 bytes of pixels: beyond the spool's memory, one PDU and what goes out at once."""
    pixels = bytes(i * 7 & 0xFF for i in range(256)) * 5000
    return sample(EXPLICIT, PixelData=pixels, **samples.image(800, 800, bits=16))


def send(association: Association, item: Sample, data: Data = None, *, syntax: str = "") -> Command:
    context = association.context_for(item.sop_class_uid, syntax)
    instance = scu.Instance(item.sop_class_uid, item.sop_instance_uid)
    return scu.store(association, context, instance, item.dataset if data is None else data)


def test_an_instance_is_kept_as_it_came(site: Site) -> None:
    item = sample()
    with associate(site, *CONTEXTS) as association:
        response = send(association, item)
    assert (response.status, response.error_comment) == (0, "")
    assert response.affected_sop_instance_uid == item.sop_instance_uid
    assert response.affected_sop_class_uid == item.sop_class_uid
    assert site.dataset(item.sop_instance_uid) == item.dataset
    (stored,) = site.stored(item.sop_instance_uid)
    assert (stored.sop_class_uid, stored.transfer_syntax_uid) == (CT, EXPLICIT)


def test_an_object_larger_than_the_spool_memory_and_a_pdu_is_kept(site: Site) -> None:
    item = large_sample()
    with associate(site, *CONTEXTS) as association:
        assert send(association, item).status == 0
    assert site.dataset(item.sop_instance_uid) == item.dataset
    assert site.spooled_files() == []


@pytest.mark.parametrize(
    ("sop_class_uid", "syntax"),
    [
        pytest.param(CT, samples.IMPLICIT, id="implicit"),
        pytest.param(CT, samples.BIG_ENDIAN, id="big endian"),
        pytest.param(CT, samples.DEFLATED, id="deflated"),
        pytest.param("1.2.840.10008.5.1.4.1.1.5", EXPLICIT, id="retired class"),
        pytest.param("1.2.840.113619.4.27", EXPLICIT, id="private class"),
        pytest.param(CT, "1.2.840.113619.5.2.99", id="private syntax"),
        pytest.param("1.3.6.1.4.1.9999.1", "1.3.6.1.4.1.9999.2", id="both private"),
    ],
)
def test_every_valid_class_and_syntax_is_kept(site: Site, sop_class_uid: str, syntax: str) -> None:
    item = sample(syntax, SOPClassUID=sop_class_uid)
    with associate(site, (sop_class_uid, (syntax,))) as association:
        assert send(association, item).status == 0
    assert site.dataset(item.sop_instance_uid) == item.dataset
    (stored,) = site.stored(item.sop_instance_uid)
    assert stored.transfer_syntax_uid == syntax


def test_the_same_again_is_a_success_and_one_object(site: Site) -> None:
    item = sample()
    with associate(site, *CONTEXTS) as association:
        assert [send(association, item).status for _ in range(3)] == [0, 0, 0]
    assert site.object_count() == 1


def test_other_content_under_a_known_uid_is_kept_and_warned_of(site: Site) -> None:
    uids = {"SOPInstanceUID": "1.2.3", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.9"}
    first, second = sample(**uids), sample(**uids, PatientComments="other")
    with associate(site, *CONTEXTS) as association:
        assert send(association, first).status == 0
        response = send(association, second)
    assert response.status == 0xB000
    assert "conflict" in response.error_comment
    assert site.dataset("1.2.3") == first.dataset
    assert site.object_count() == 2


def test_another_class_than_announced_is_kept_and_warned_of(site: Site) -> None:
    item = sample(SOPClassUID=samples.SECONDARY_CAPTURE)
    announced = Sample(CT, item.sop_instance_uid, item.dataset)
    with associate(site, *CONTEXTS) as association:
        assert send(association, announced).status == 0xB007
    assert site.dataset(item.sop_instance_uid) == item.dataset


def _no_dicom() -> bytes:
    return b"\xff\xfe\xfd garbage that is no dataset at all " * 20


@pytest.mark.parametrize(
    ("announced", "dataset", "status"),
    [
        pytest.param("1.2.3.4", samples.dataset(samples.identity()), 0xA900, id="another UID"),
        pytest.param("1.2.3.4", b"", 0xC000, id="empty dataset"),
        pytest.param("1.2.3.4", _no_dicom(), 0xC000, id="no dataset"),
        pytest.param("../../etc/passwd", samples.dataset(samples.identity()), 0x0117, id="a path"),
        pytest.param("1.2.3/../4", samples.dataset(samples.identity()), 0x0117, id="dots"),
        pytest.param("", samples.dataset(samples.identity()), 0x0117, id="no UID"),
        pytest.param("1.2.*", samples.dataset(samples.identity()), 0x0117, id="a wildcard"),
        pytest.param("1." + "2" * 200, samples.dataset(samples.identity()), 0x0117, id="too long"),
        pytest.param("../1", bytes(2**20), 0x0117, id="a path before a large dataset"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_the_association_lives_on(
    site: Site, announced: str, dataset: bytes, status: int
) -> None:
    good = sample()
    with associate(site, *CONTEXTS) as association:
        response = send(association, Sample(CT, announced, dataset))
        assert response.status == status
        assert response.error_comment
        assert send(association, good).status == 0
    assert site.object_count() == 1
    assert site.dataset(good.sop_instance_uid) == good.dataset
    assert site.stored("1.2.3.4") == []


def test_a_request_without_a_dataset_is_refused(site: Site) -> None:
    with associate(site, *CONTEXTS) as association:
        context = association.context_for(CT)
        command = Command(
            CommandField.C_STORE_RQ,
            message_id=association.next_message_id(),
            priority=0,
            affected_sop_class_uid=CT,
            affected_sop_instance_uid="1.2.3",
        )
        association.send(context.id, command)
        assert association.wait_response(command.message_id or 0).command.status == 0xC000
        assert scu.echo(association).status == 0
    assert site.object_count() == 0


class FullBackend(MemoryBackend):
    """A storage without room, while `is_full`."""

    is_full = True

    def put(self, key: str, source: BinaryIO, *, size: int, digest: Digest) -> ObjectInfo:
        """As MemoryBackend, unless full."""
        if self.is_full:
            raise BackendFull("no room")
        return super().put(key, source, size=size, digest=digest)


def test_a_full_storage_is_out_of_resources_until_there_is_room(
    database: Database, tmp_path: Path
) -> None:
    backend, item = FullBackend(), sample()
    with open_site(database, backend, tmp_path) as site, associate(site, *CONTEXTS) as association:
        assert send(association, item).status == 0xA700
        assert site.stored(item.sop_instance_uid) == []
        backend.is_full = False
        assert send(association, item).status == 0
        assert site.dataset(item.sop_instance_uid) == item.dataset


def test_an_unusable_spool_is_out_of_resources(site: Site) -> None:
    item = large_sample()
    site.spool_directory.mkdir(exist_ok=True)
    with associate(site, *CONTEXTS) as association:
        hidden = site.spool_directory.with_name("away")
        site.spool_directory.rename(hidden)
        site.spool_directory.write_text("a file where the folder should be")
        assert send(association, item).status == 0xA700
        site.spool_directory.unlink()
        hidden.rename(site.spool_directory)
        assert send(association, item).status == 0
    assert site.dataset(item.sop_instance_uid) == item.dataset


def test_a_database_that_is_gone_is_out_of_resources(database: Database, tmp_path: Path) -> None:
    backend, item = MemoryBackend(), sample()
    gone = Database("postgresql://127.0.0.1:1/none", pool_size=2, connect_timeout=1.0)
    with open_site(gone, backend, tmp_path) as site, associate(site, *CONTEXTS) as association:
        response = send(association, item)
        assert response.status == 0xA700
        assert scu.echo(association).status == 0
    gone.close()
    with open_site(database, backend, tmp_path) as site:
        assert site.stored(item.sop_instance_uid) == []


class BrokenBackend(MemoryBackend):
    """A storage with a fault in its program."""

    def put(self, key: str, source: BinaryIO, *, size: int, digest: Digest) -> ObjectInfo:
        """Never works."""
        raise ZeroDivisionError("a bug")


def test_a_fault_of_ours_is_a_processing_failure(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        open_site(database, BrokenBackend(), tmp_path) as site,
        associate(site, *CONTEXTS) as association,
    ):
        response = send(association, sample())
        assert response.status == 0x0110
        assert "bug" not in response.error_comment
        assert scu.echo(association).status == 0
    assert "ZeroDivisionError" in caplog.text


def test_a_sender_that_vanishes_leaves_nothing(site: Site) -> None:
    item, sent = sample(), threading.Event()

    def half() -> Iterable[bytes]:
        yield item.dataset[:64]
        yield bytes(2 * 65536)
        sent.set()
        association.interrupt()
        yield b"never"

    settings = RequestorSettings("TESTS", "VNA", CONTEXTS, timeouts=PATIENCE)
    association = Association.request(site.address, settings)
    with association, pytest.raises(Exception, match="connection"):
        send(association, item, half())
    assert sent.is_set()
    assert site.listener.wait_idle(30)
    assert site.stored(item.sop_instance_uid) == []
    assert site.object_count() == 0
    assert site.spooled_files() == []


def test_a_dataset_in_many_small_pieces_is_kept(site: Site) -> None:
    item = sample()

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(item.dataset), 10):
            yield item.dataset[start : start + 10]

    with associate(site, *CONTEXTS) as association:
        assert send(association, item, pieces()).status == 0
    assert site.dataset(item.sop_instance_uid) == item.dataset


def test_a_peer_that_only_receives_cannot_store(site: Site) -> None:
    item = sample()
    role = RoleSelection(CT, scu=False, scp=True)
    with associate(site, *CONTEXTS, roles=[role]) as association:
        context = next(c for c in association.contexts.values() if c.abstract_syntax == CT)
        assert not context.as_scu
        command = Command(
            CommandField.C_STORE_RQ,
            message_id=association.next_message_id(),
            priority=0,
            affected_sop_class_uid=CT,
            affected_sop_instance_uid=item.sop_instance_uid,
        )
        association.send(context.id, command, item.dataset)
        assert association.wait_response(command.message_id or 0).command.status == 0x0122
        assert scu.echo(association).status == 0
    assert site.object_count() == 0


def test_parallel_associations_store_everything(site: Site) -> None:
    items = [[sample(InstanceNumber=str(n)) for n in range(8)] for _ in range(4)]
    statuses: list[int | None] = []

    def run(mine: list[Sample]) -> None:
        with associate(site, *CONTEXTS) as association:
            statuses.extend(send(association, item).status for item in mine)

    threads = [threading.Thread(target=run, args=(mine,)) for mine in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [0] * 32
    for mine in items:
        for item in mine:
            assert site.dataset(item.sop_instance_uid) == item.dataset
