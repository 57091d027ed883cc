"""Deleted through the web, restored by command, swept by the worker of an archive that is killed in between."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import orjson
import pytest

from tests import samples
from tests.e2e.process import ArchiveProcess
from tests.e2e.web import count_instances, fetch, stow

pytestmark = pytest.mark.slow

WAIT = 60.0
UID, STUDY = "1.2.3.4.1", "1.2.3"


def file() -> bytes:
    return samples.small(SOPInstanceUID=UID, StudyInstanceUID=STUDY, SeriesInstanceUID="1.2.3.4")


def delete(archive: ArchiveProcess) -> int:
    request = urllib.request.Request(f"{archive.root}/studies/{STUDY}", method="DELETE")
    return fetch(request)[0]


def trash(archive: ArchiveProcess, *arguments: str) -> tuple[int, str]:
    """`vna trash` beside the archive: exit code and output."""
    command = [sys.executable, "-m", "vna.cli", "trash", *arguments]
    done = subprocess.run(
        [*command, "--data-dir", str(archive.data_dir)], capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def actions(archive: ArchiveProcess) -> list[str]:
    status, body = fetch(f"{archive.root}/changes")
    assert status == 200
    return [change["action"] for change in orjson.loads(body)["changes"]]


def objects(archive: ArchiveProcess) -> list[Path]:
    return [path for path in archive.data_dir.rglob("*.dcm") if path.is_file()]


def test_deleted_restored_and_swept(tmp_path: Path) -> None:
    archive = ArchiveProcess(tmp_path / "data")
    archive.start()
    try:
        assert stow(archive, file()) == 200
        assert delete(archive) == 204
        assert delete(archive) == 404
        assert count_instances(archive, UID) == 0
        code, text = trash(archive, "list")
        assert code == 0
        assert f"1: study {STUDY}: 1 instances" in text
        code, text = trash(archive, "list", "--json")
        entry = orjson.loads(text)
        assert entry["uids"]["study_instance_uid"] == STUDY
        archive.kill_group()
        archive.start()
        number = str(entry["trash_id"])
        assert trash(archive, "restore", number)[0] == 0
        assert trash(archive, "restore", number)[0] == 1
        assert count_instances(archive, UID) == 1
        assert trash(archive, "list")[1] == "the trash is empty\n"
        assert delete(archive) == 204
        assert trash(archive, "sweep") == (0, "0 removed for good\n")
        assert len(objects(archive)) == 1
        assert actions(archive) == ["stored", "deleted", "restored", "deleted"]
        archive.kill_group()
        archive.environment = {"VNA__TRASH__KEEP_DAYS": "0", "VNA__JOBS__STALLED_AFTER": "3"}
        archive.start()
        deadline = time.monotonic() + WAIT
        while objects(archive):
            assert time.monotonic() < deadline, archive.log_path.read_text()
            assert fetch(f"{archive.root}/changes")[0] == 200
        assert len(actions(archive)) == 4
        assert stow(archive, file()) == 200
        assert count_instances(archive, UID) == 1
        assert delete(archive) == 204
        code, text = trash(archive, "sweep", "--days", "0")
        assert (code, text) == (0, "1 removed for good\n")
    finally:
        archive.stop()
