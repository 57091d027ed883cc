"""Metadata documents of a whole archive: made in advance by the worker, there after a kill and a start."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests import samples
from tests.dicomweb.multiparts import stow_body
from tests.e2e.process import ArchiveProcess

pytestmark = pytest.mark.slow

STUDY, SERIES = "1.2.3", "1.2.3.4"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[ArchiveProcess]:
    environment = {
        "VNA__WEB__METADATA_SETTLE_SECONDS": "0.5",
        "VNA__JOBS__STALLED_AFTER": "1.5",
    }
    running = ArchiveProcess(tmp_path / "data", environment)
    running.start()
    yield running
    running.stop()


def store(archive: ArchiveProcess, count: int) -> None:
    files = [
        samples.ct(
            rows=16,
            columns=16,
            study_instance_uid=STUDY,
            series_instance_uid=SERIES,
            sop_instance_uid=f"{SERIES}.{number}",
        )
        for number in range(count)
    ]
    body, content_type = stow_body(*files)
    headers = {"Content-Type": content_type}
    url = f"{archive.root}/studies"
    assert requests.post(url, data=body, headers=headers, timeout=60).status_code == 200


def documents(archive: ArchiveProcess) -> dict[str, float]:
    """How many documents came from where, of all processes together."""
    url = archive.root.replace("/dicom-web", "/metrics")
    lines = requests.get(url, timeout=60).text.splitlines()
    found = [line for line in lines if line.startswith("vna_metadata_documents_total{")]
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in found}


def made_within(archive: ArchiveProcess, count: int, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while documents(archive).get("objects", 0) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    return documents(archive).get("objects", 0) >= count


def described(archive: ArchiveProcess) -> int:
    url = f"{archive.root}/studies/{STUDY}/series/{SERIES}/metadata"
    return len(requests.get(url, timeout=60).json())


def test_the_worker_makes_them_and_they_outlive_the_archive(archive: ArchiveProcess) -> None:
    store(archive, 3)
    assert made_within(archive, 1)
    assert described(archive) == 3
    assert documents(archive) == {"objects": 1.0, "index": 1.0}
    store(archive, 5)
    assert described(archive) == 5  # at once, and before the worker comes to it
    archive.kill_group()
    archive.start()
    assert described(archive) == 5
    assert documents(archive).get("objects", 0) == 0
