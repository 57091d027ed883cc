"""What must not hurt: nonsense on the ports, a full disk; the next client is served and nothing half-stored shows."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import samples
from tests.benchmarks.raw_client import associate_request, open_association, read_pdu
from tests.e2e.client import Item, store
from tests.e2e.process import ArchiveProcess, running_archive
from tests.e2e.web import BOUNDARY, MULTIPART, count_instances, fetch, stow

CT = (samples.CT_IMAGE, samples.EXPLICIT)
A_ABORT = 7


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    environment = {"VNA__DIMSE__ARTIM_TIMEOUT": "3"}
    with running_archive(tmp_path_factory.mktemp("bad") / "data", environment) as process:
        yield process


@pytest.fixture(autouse=True)
def next_client_is_served(archive: ArchiveProcess) -> Iterator[None]:
    yield
    assert store(archive.dicom_port, item()) == 0
    assert fetch(f"{archive.root}/studies?limit=1")[0] == 200


def item(rows: int = 16, **uids: str) -> Item:
    uid = uids.setdefault("sop_instance_uid", samples.new_uid())
    file = samples.ct(rows=rows, columns=rows, **uids)
    return Item(*CT, uid, file[144 + int.from_bytes(file[140:144], "little") :])


def say(port: int, data: bytes) -> bytes:
    """Send `data` and read until the archive closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        answer = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
            while chunk := connection.recv(4096):
                answer += chunk
    return answer


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        os.urandom(1000),
        struct.pack(">BxI", 9, 10) + bytes(10),
        struct.pack(">BxI", 4, 10) + bytes(10),
        struct.pack(">BxI", 1, 0xFFFFFFFF) + bytes(100),
        struct.pack(">BxI", 1, 4) + bytes(4),
        associate_request(*CT)[:50],
    ],
    ids=[
        *("HTTP", "TLS", "random", "unknown PDU", "data first"),
        *("4 GiB", "empty request", "half a request"),
    ],
)
def test_nonsense_on_the_dicom_port_is_closed(archive: ArchiveProcess, data: bytes) -> None:
    answer = say(archive.dicom_port, data)
    assert answer == b"" or answer[0] in {3, A_ABORT}


@pytest.mark.parametrize(
    "pdu",
    [
        struct.pack(">BxI", 4, 0xFFFFFFFF) + bytes(1000),
        struct.pack(">BxI", 4, 20) + struct.pack(">IBB", 4000, 1, 3) + bytes(14),
        struct.pack(">BxI", 4, 6) + struct.pack(">IBB", 2, 99, 3),
        struct.pack(">BxI", 200, 4) + bytes(4),
        associate_request(*CT),
    ],
    ids=["4 GiB", "PDV longer than PDU", "foreign context", "unknown type", "second request"],
)
def test_a_broken_pdu_inside_an_association_is_answered_by_an_abort(
    archive: ArchiveProcess, pdu: bytes
) -> None:
    connection, _ = open_association(("127.0.0.1", archive.dicom_port), associate_request(*CT))
    with connection:
        connection.sendall(pdu)
        kind, _ = read_pdu(connection)
    assert kind == A_ABORT


def test_a_dataset_of_another_instance_than_its_command_says(archive: ArchiveProcess) -> None:
    right, wrong = item(), samples.new_uid()
    status = store(archive.dicom_port, Item(*CT, wrong, right.dataset))
    assert status == 0xA900
    assert count_instances(archive, wrong) == count_instances(archive, right.sop_instance_uid) == 0


def test_an_empty_dataset(archive: ArchiveProcess) -> None:
    status = store(archive.dicom_port, Item(*CT, samples.new_uid(), b""))
    assert status is not None
    assert status >> 12 == 0xC


def test_a_uid_with_a_path_in_it(archive: ArchiveProcess) -> None:
    bad = "../../../etc/passwd"
    status = store(archive.dicom_port, Item(*CT, bad, item().dataset))
    assert status == 0x0117
    assert fetch(f"{archive.root}/studies/..%2F..%2Fetc/metadata")[0] in {400, 404}


def test_an_abstract_syntax_that_is_no_storage_is_refused(archive: ArchiveProcess) -> None:
    worklist = "1.2.840.10008.5.1.4.31"
    request = associate_request(worklist, samples.EXPLICIT)
    with pytest.raises(ConnectionError, match="not accepted: PDU type 2"):
        open_association(("127.0.0.1", archive.dicom_port), request)


def test_a_multipart_body_without_its_end_keeps_only_what_was_whole(
    archive: ArchiveProcess,
) -> None:
    whole, cut = samples.new_uid(), samples.new_uid()
    files = [
        samples.ct(sop_instance_uid=whole, rows=16, columns=16),
        samples.ct(sop_instance_uid=cut, rows=16, columns=16)[:3000],
    ]
    assert stow(archive, *files, end=b"") == 400
    assert count_instances(archive, cut) == 0
    assert count_instances(archive, whole) == 1


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(archive: ArchiveProcess) -> None:
    uid = samples.new_uid()
    connection = http.client.HTTPConnection("127.0.0.1", archive.http_port, timeout=30)
    connection.putrequest("POST", "/dicom-web/studies")
    connection.putheader("Content-Type", MULTIPART)
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    connection.send(b"--" + BOUNDARY + b"\r\nContent-Type: application/dicom\r\n\r\n")
    connection.send(samples.ct(sop_instance_uid=uid, rows=512)[:100000])
    connection.close()
    assert count_instances(archive, uid) == 0


@contextlib.contextmanager
def small_disk(mount: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size; the test is skipped where none can be mounted."""
    mount.mkdir()
    options = f"size={megabytes}m,mode=755"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(mount)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root and the right to mount")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def test_a_full_store_is_said_and_recovers_by_itself(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 8) as disk:
        environment = {
            "VNA__STORAGE__OPTIONS__ROOT": str(disk / "store"),
            "VNA__SPOOL__DIRECTORY": str(disk / "spool"),
        }
        with running_archive(tmp_path / "data", environment) as full:
            filler = disk / "filler"
            filler.write_bytes(bytes(7 * 2**20))
            refused = item(rows=1024)
            assert store(full.dicom_port, refused) == 0xA700
            assert stow(full, samples.ct(rows=1024, columns=1024)) == 507
            assert count_instances(full, refused.sop_instance_uid) == 0
            filler.unlink()
            assert store(full.dicom_port, refused) == 0
            assert count_instances(full, refused.sop_instance_uid) == 1


def test_a_full_data_directory_database_included_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 400) as disk, running_archive(disk / "data") as full:
        kept = item()
        assert store(full.dicom_port, kept) == 0
        acknowledged, refused = [kept], 0
        while refused < 5:
            fill(disk / "filler")  # again: the database gives room back when it likes
            sent = item(rows=512)
            status = store(full.dicom_port, sent)
            assert status in {0, 0xA700}
            if status:
                refused += 1
            else:
                acknowledged.append(sent)
        assert fetch(f"http://127.0.0.1:{full.http_port}/healthz")[0] == 200
        (disk / "filler").unlink()
        await_store(full)
        for one in acknowledged:
            assert count_instances(full, one.sop_instance_uid) == 1


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))


def await_store(archive: ArchiveProcess) -> None:
    """Store until it works again, as a modality does; a database that had to restart takes a moment."""
    deadline = time.monotonic() + 60
    while store(archive.dicom_port, item()) != 0:
        assert time.monotonic() < deadline, archive.log_path.read_text()
