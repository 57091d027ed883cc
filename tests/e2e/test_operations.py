"""Running the archive: start, drain, recover, import beside it, and what it tells its operator."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests import samples
from tests.benchmarks.raw_client import (
    Template,
    associate_request,
    dataset_with_uid_zero,
    numbered_uid,
    open_association,
    read_pdu,
)
from tests.e2e.client import Item, get, store
from tests.e2e.process import ArchiveProcess, free_port, running_archive
from tests.e2e.web import fetch
from vna.errors import ConfigError
from vna.serve import check_port_is_free

CT = (samples.CT_IMAGE, samples.EXPLICIT)
SUCCESS = b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    with running_archive(tmp_path_factory.mktemp("operations") / "data") as process:
        yield process


def item(**uids: str) -> Item:
    """A small CT instance with fresh UIDs where none are given."""
    uid = uids.setdefault("sop_instance_uid", samples.new_uid())
    file = samples.ct(rows=16, columns=16, **uids)
    offset = 144 + int.from_bytes(file[140:144], "little")
    return Item(*CT, uid, file[offset:])


def cli(
    *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `vna` as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "vna.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **(environment or {})},
    )


def test_health_readiness_and_metrics(archive: ArchiveProcess) -> None:
    assert store(archive.dicom_port, item()) == 0
    base = f"http://127.0.0.1:{archive.http_port}"
    assert fetch(f"{base}/healthz")[0] == 200
    status, body = fetch(f"{base}/readyz")
    assert (status, orjson.loads(body)["database"]) == (200, "ok")
    metrics = fetch(f"{base}/metrics")[1].decode()
    assert 'vna_instances_received_total{door="dimse",outcome="stored"} 1.0' in metrics
    assert "vna_store_seconds_bucket" in metrics
    assert "vna_open_associations 0.0" in metrics


def test_the_log_names_associations_and_no_patient(archive: ArchiveProcess) -> None:
    assert store(archive.dicom_port, item()) == 0
    text = archive.log_path.read_text()
    assert "association=" in text
    assert "TESTS" in text
    assert "Doe" not in text
    assert "PID-0001" not in text


def test_import_beside_the_running_archive_and_again(
    archive: ArchiveProcess, tmp_path: Path
) -> None:
    study = samples.new_uid()
    for number in range(5):
        (tmp_path / f"{number}.dcm").write_bytes(samples.small(StudyInstanceUID=study))
    (tmp_path / "readme.txt").write_text("no image")
    arguments = ("import", "--json", "--data-dir", str(archive.data_dir), str(tmp_path))
    first, second = cli(*arguments), cli(*arguments)
    assert first.returncode == 0, first.stderr
    assert orjson.loads(first.stdout)["counts"]["stored"] == 5
    assert orjson.loads(second.stdout)["counts"]["stored"] == 0
    assert orjson.loads(second.stdout)["counts"]["duplicate"] == 5
    status, body = fetch(f"{archive.root}/studies/{study}/instances")
    assert (status, len(orjson.loads(body))) == (200, 5)


def test_postgres_that_dies_is_started_again(archive: ArchiveProcess) -> None:
    kept = item()
    assert store(archive.dicom_port, kept) == 0
    archive.kill_postgres()
    deadline = time.monotonic() + 60
    while store(archive.dicom_port, item()) != 0:
        assert time.monotonic() < deadline, archive.log_path.read_text()
    uids = {"SOPInstanceUID": kept.sop_instance_uid, "StudyInstanceUID": study_of(archive, kept)}
    assert get(archive.dicom_port, uids, {CT}) == {kept.sop_instance_uid: kept.dataset}


def study_of(archive: ArchiveProcess, kept: Item) -> str:
    _, body = fetch(f"{archive.root}/instances?SOPInstanceUID={kept.sop_instance_uid}")
    study: str = orjson.loads(body)[0]["0020000D"]["Value"][0]
    return study


def test_sigterm_finishes_what_is_being_stored_and_takes_nothing_new(
    archive: ArchiveProcess,
) -> None:
    assert archive.process is not None
    dataset, sop_class = dataset_with_uid_zero()
    request = associate_request(sop_class, samples.EXPLICIT)
    connection, max_pdu = open_association(("127.0.0.1", archive.dicom_port), request)
    message = Template(dataset, sop_class, max_pdu).copy().data
    connection.sendall(message[: len(message) // 2])
    archive.process.send_signal(signal.SIGTERM)
    await_refusal(archive.dicom_port)
    connection.sendall(message[len(message) // 2 :])
    assert SUCCESS in read_pdu(connection)[1]
    connection.close()
    assert archive.process.wait(60) == 0
    archive.start()
    _, body = fetch(f"{archive.root}/instances?SOPInstanceUID={numbered_uid(0)}")
    assert len(orjson.loads(body)) == 1


def await_refusal(port: int) -> None:
    """Wait until no new association is accepted."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            open_association(
                ("127.0.0.1", port), associate_request("1.2.840.10008.1.1", samples.EXPLICIT)
            )[0].close()
        except OSError:
            return
        threading.Event().wait(0.05)
    raise AssertionError("the archive still accepts associations")


def test_two_archives_side_by_side_know_nothing_of_each_other(
    archive: ArchiveProcess, tmp_path: Path
) -> None:
    with running_archive(tmp_path / "other") as other:
        mine = item()
        assert store(other.dicom_port, mine) == 0
        assert store(other.dicom_port, mine) == 0
        query = f"instances?SOPInstanceUID={mine.sop_instance_uid}"
        assert len(orjson.loads(fetch(f"{other.root}/{query}")[1])) == 1
        assert orjson.loads(fetch(f"{archive.root}/{query}")[1]) == []


def test_a_second_server_on_the_same_data_directory_is_refused(archive: ArchiveProcess) -> None:
    result = cli(
        *("serve", "--data-dir", str(archive.data_dir)),
        *("--dicom-port", str(free_port()), "--http-port", str(free_port())),
    )
    assert result.returncode == 2
    assert f"another archive serves {archive.data_dir}" in result.stderr
    assert store(archive.dicom_port, item()) == 0


def test_kill_9_of_the_parent_alone_ends_the_doors_and_the_next_start_needs_no_hand(
    archive: ArchiveProcess,
) -> None:
    assert archive.process is not None
    kept = item()
    assert store(archive.dicom_port, kept) == 0
    archive.process.kill()
    archive.process.wait(60)
    await_refusal(archive.dicom_port)
    await_free(archive.dicom_port, archive.http_port)
    archive.start()
    uids = {"SOPInstanceUID": kept.sop_instance_uid, "StudyInstanceUID": study_of(archive, kept)}
    assert get(archive.dicom_port, uids, {CT}) == {kept.sop_instance_uid: kept.dataset}


def await_free(*ports: int) -> None:
    """Wait until the ports can be bound again."""
    deadline = time.monotonic() + 60
    for port in ports:
        while True:
            try:
                check_port_is_free("dimse", "127.0.0.1", port)
                break
            except ConfigError:
                assert time.monotonic() < deadline, f"port {port} is still held"
                threading.Event().wait(0.1)


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (("serve", "--host", "0.0.0.0"), {}, "known_ae_titles"),
        (("serve",), {"VNA__DIMSE__PROT": "1"}, "VNA__DIMSE__PROT names no configuration key"),
        (("serve", "--config", "missing.toml"), {}, "cannot read configuration missing.toml"),
        (("serve",), {"VNA__STORAGE__BACKEND": "tape"}, "tape"),
        (("serve",), {"VNA__STORAGE__BACKEND": "memory"}, "is for tests"),
        (("serve",), {"VNA__SPOOL__DIRECTORY": "/proc/none"}, "spool.directory /proc/none"),
        (("serve",), {"VNA__WEB__PUBLIC_URL": "foo"}, "web.public_url 'foo' must be a URL"),
        (("serve",), {"VNA__WEB__USERS__ANN": "plain"}, "web.users.ANN is not a password hash"),
        (("import", "no/such/path"), {}, "no/such/path"),
        (("config", "show"), {"VNA__WEB__THREADS": "many"}, "web.threads must be"),
    ],
)
def test_wrong_configuration_is_one_line_with_the_remedy_and_exit_code_2(
    arguments: tuple[str, ...], environment: dict[str, str], message: str, tmp_path: Path
) -> None:
    data_dir = () if arguments[0] == "config" else ("--data-dir", str(tmp_path / "data"))
    result = cli(*arguments, *data_dir, environment=environment)
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.rglob("postmaster.pid")), "a Postgres was left running"


def test_a_port_in_use_is_said_before_anything_starts(
    archive: ArchiveProcess, tmp_path: Path
) -> None:
    result = cli(
        *("serve", "--data-dir", str(tmp_path / "data")),
        *("--dicom-port", str(archive.dicom_port), "--http-port", str(archive.http_port)),
    )
    assert result.returncode == 2
    assert f"cannot listen on 127.0.0.1:{archive.dicom_port}" in result.stderr
    assert not (tmp_path / "data").exists()
