"""A whole archive with two stores: copied by the worker, read on when one fails, healed, told of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests import samples
from tests.dicomweb.multiparts import stow_body
from tests.e2e.process import ArchiveProcess

pytestmark = pytest.mark.slow

STUDY = "1.2.3"
CONFIG = """
[storage]
backend = "near"
later = ["far"]
[storage.backends.near]
driver = "filesystem"
options = {{ root = "{folder}/near" }}
[storage.backends.far]
driver = "filesystem"
options = {{ root = "{folder}/far" }}
[storage.rules.precious]
modality = ["CT"]
min_bytes = 100000
copies = ["near", "far"]
"""


AWAY = """
[storage.backends.away]
driver = "s3"
options = { endpoint = "http://127.0.0.1:1", bucket = "images", access_key = "a", secret_key = "s" }
"""


def doctor(archive: ArchiveProcess, config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vna.cli", "doctor", "--data-dir", str(archive.data_dir)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "VNA_CONFIG": str(config)},
    )


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[ArchiveProcess]:
    config = tmp_path / "vna.toml"
    config.write_text(CONFIG.format(folder=tmp_path))
    running = ArchiveProcess(
        tmp_path / "data", {"VNA_CONFIG": str(config), "VNA__JOBS__STALLED_AFTER": "1.5"}
    )
    running.start()
    yield running
    running.stop()


def store(archive: ArchiveProcess, data: bytes) -> None:
    body, content_type = stow_body(data)
    headers = {"Content-Type": content_type}
    answer = requests.post(f"{archive.root}/studies", data=body, headers=headers, timeout=60)
    assert answer.status_code == 200


def fetch(archive: ArchiveProcess, number: int) -> bytes:
    url = f"{archive.root}/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.{number}"
    answer = requests.get(url, headers={"Accept": "application/dicom"}, timeout=60)
    assert answer.status_code == 200
    return answer.content


def ct(number: int, rows: int) -> bytes:
    return samples.ct(
        rows=rows,
        study_instance_uid=STUDY,
        series_instance_uid=f"{STUDY}.1",
        sop_instance_uid=f"{STUDY}.1.{number}",
    )


def objects(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.dcm") if path.is_file())


def test_from_the_first_copy_to_the_healed_object(archive: ArchiveProcess, tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    precious, small = ct(1, 512), ct(2, 16)
    store(archive, precious)
    assert [path.read_bytes() for path in (*objects(near), *objects(far))] == [precious] * 2
    store(archive, small)
    archive.await_line("copies were written")
    assert {path.read_bytes() for path in objects(far)} == {precious, small}
    for path in objects(near):
        path.unlink()
    assert (fetch(archive, 1), fetch(archive, 2)) == (precious, small)
    for number in (1, 2):
        archive.await_line(f"sop_instance_uid={STUDY}.1.{number} from=far")
    assert {path.read_bytes() for path in objects(near)} == {precious, small}
    told = doctor(archive, tmp_path / "vna.toml")
    assert told.returncode == 0, told.stderr
    assert "copies due" not in told.stdout
    assert {"backend near ok", "backend far ok"} <= set(told.stdout.splitlines())
    config = (tmp_path / "vna.toml").read_text().replace('later = ["far"]', 'later = ["away"]')
    (tmp_path / "away.toml").write_text(config + AWAY)
    told = doctor(archive, tmp_path / "away.toml")
    assert told.returncode == 1, "copies will not come about"
    assert "storage    ok" in told.stdout
    assert re.search(
        "^backend away the storage does not answer: .*refused", told.stdout, re.MULTILINE
    )
