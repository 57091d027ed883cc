"""A whole archive on a bucket, its objects encrypted: bit for bit, also when the store is away for a while."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from tests import samples
from tests.dicomweb.multiparts import stow_body
from tests.e2e.process import ArchiveProcess
from tests.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, running_s3

pytestmark = pytest.mark.slow

STUDY = "1.2.3"
LARGE = 40 * 2**20
"""Bytes of an object that goes in parts."""


@contextmanager
def _archive_on(folder: Path, server: S3Server, **others: str) -> Iterator[ArchiveProcess]:
    options = {
        "ENDPOINT": server.endpoint,
        "BUCKET": BUCKET,
        "PREFIX": "hospital/images",
        "ACCESS_KEY": ACCESS_KEY,
        "SECRET_KEY": SECRET_KEY,
    }
    environment = {f"VNA__STORAGE__OPTIONS__{name}": value for name, value in options.items()}
    running = ArchiveProcess(
        folder / "data", {"VNA__STORAGE__BACKEND": "s3", **environment, **others}
    )
    running.start()
    try:
        yield running
    finally:
        running.stop()


def _object(number: int, size: int = 0) -> bytes:
    columns = 64 if not size else 1024
    rows = 64 if not size else size // 2 // columns
    return samples.ct(
        rows=rows,
        columns=columns,
        study_instance_uid=STUDY,
        series_instance_uid=f"{STUDY}.1",
        sop_instance_uid=f"{STUDY}.1.{number}",
    )


def _store(archive: ArchiveProcess, *files: bytes) -> int:
    body, content_type = stow_body(*files)
    url, headers = f"{archive.root}/studies", {"Content-Type": content_type}
    return requests.post(url, data=body, headers=headers, timeout=120).status_code


def _fetch(archive: ArchiveProcess, number: int) -> requests.Response:
    url = f"{archive.root}/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.{number}"
    return requests.get(url, headers={"Accept": "application/dicom"}, timeout=120)


def _objects(server: S3Server) -> list[Path]:
    return [path for path in (server.folder / BUCKET).rglob("*.dcm") if path.is_file()]


def test_what_is_stored_comes_back_and_lies_there_encrypted(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"first:{base64.b64encode(bytes(32)).decode()}\n")
    encryption = {"VNA__STORAGE__ENCRYPTION__KEY_FILE": str(keys)}
    files = [*(_object(number) for number in range(10)), _object(10, LARGE)]
    with (
        running_s3(tmp_path / "s3") as server,
        _archive_on(tmp_path, server, **encryption) as archive,
    ):
        assert _store(archive, *files) == 200
        for number, data in enumerate(files):
            assert _fetch(archive, number).content == data
        kept = _objects(server)
        assert len(kept) == len(files)
        assert all(path.is_relative_to(server.folder / BUCKET / "hospital/images") for path in kept)
        assert not any(STUDY.encode() in path.read_bytes() for path in kept)
        frame = f"{archive.root}/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.3/frames/1"
        answer = requests.get(frame, headers={"Accept": "application/octet-stream"}, timeout=60)
        assert answer.content == files[3][-64 * 64 * 2 :]
        told = requests.get(f"http://127.0.0.1:{archive.http_port}/metrics", timeout=60).text
        adopted = 'vna_storage_seconds_count{backend="s3",operation="adopt"} 1.0'
        assert adopted in told, (
            "what is too large for memory waits sealed, and goes as it lies there"
        )


def test_a_store_that_is_away_refuses_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "s3"
    with ExitStack() as stack, ExitStack() as first:
        server = first.enter_context(running_s3(folder))
        archive = stack.enter_context(_archive_on(tmp_path, server))
        assert _store(archive, _object(1)) == 200
        first.close()
        assert _store(archive, _object(2)) == 503
        assert _fetch(archive, 1).status_code == 503
        with running_s3(folder, server.port):
            assert _fetch(archive, 1).content == _object(1)
            assert _fetch(archive, 2).status_code == 404
            assert _store(archive, _object(2)) == 200
            assert _fetch(archive, 2).content == _object(2)
