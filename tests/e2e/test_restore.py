"""Drills: the index comes back from a dump, and without any backup from the objects alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests import samples
from tests.dicomweb.multiparts import stow_body
from tests.e2e.process import ArchiveProcess, running_archive
from tests.interop.programs import attempt
from vna.index.cluster import binaries
from vna.index.embedded import EmbeddedPostgres

pytestmark = pytest.mark.slow

STUDY, SERIES = "1.2.3", "1.2.3.4"
_BIN = binaries()


def instance(number: int) -> bytes:
    return samples.ct(
        rows=64,
        columns=64,
        study_instance_uid=STUDY,
        series_instance_uid=SERIES,
        sop_instance_uid=f"{SERIES}.{number}",
    )


def store(archive: ArchiveProcess, *numbers: int) -> None:
    body, content_type = stow_body(*map(instance, numbers))
    headers = {"Content-Type": content_type}
    url = f"{archive.root}/studies"
    assert requests.post(url, data=body, headers=headers, timeout=60).status_code == 200


def fetched(archive: ArchiveProcess, number: int) -> bytes:
    url = f"{archive.root}/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.{number}"
    answer = requests.get(url, headers={"Accept": "application/dicom"}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.content


def command(data_dir: Path, *words: str) -> str:
    """What a command of ours prints that must succeed."""
    ended = attempt(sys.executable, "-m", "vna.cli", *words, "--data-dir", data_dir)
    assert ended.code == 0, ended.output
    return ended.output


def _postgres(program: str, *words: object) -> None:
    subprocess.run([_BIN / program, *map(str, words)], check=True, timeout=120)


@pytest.fixture(scope="module")
def survivors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is left of an archive that has lost its index: its data, and a dump of when it held two of three."""
    folder = tmp_path_factory.mktemp("restore")
    data_dir = folder / "data"
    with running_archive(data_dir) as archive:
        store(archive, 1, 2)
        with EmbeddedPostgres.start(data_dir) as server:
            _postgres("pg_dump", "--format=custom", f"--file={folder / 'index.dump'}", server.url)
        store(archive, 3)
    shutil.rmtree(data_dir / "postgres")
    return folder


def left_over(survivors: Path, folder: Path) -> Path:
    """A copy of that data directory."""
    return shutil.copytree(survivors / "data", folder / "data", copy_function=shutil.copy2)


def test_a_dump_and_what_was_stored_after_it(survivors: Path, tmp_path: Path) -> None:
    data_dir, dump = left_over(survivors, tmp_path), survivors / "index.dump"
    with EmbeddedPostgres.start(data_dir) as server:
        _postgres("pg_restore", "--no-owner", f"--dbname={server.url}", dump)
    assert (
        "1 orphan"
        in attempt(
            sys.executable, "-m", "vna.cli", "verify", "--young", "0", "--data-dir", data_dir
        ).output
    )
    command(data_dir, "verify", "--young", "0", "--repair")
    with running_archive(data_dir) as archive:
        for number in (1, 2, 3):
            assert fetched(archive, number) == instance(number)


def test_without_any_backup(survivors: Path, tmp_path: Path) -> None:
    data_dir = left_over(survivors, tmp_path)
    assert "3 stored" in command(data_dir, "db", "rebuild")
    assert "index and storage agree" in command(data_dir, "verify")
    with running_archive(data_dir) as archive:
        for number in (1, 2, 3):
            assert fetched(archive, number) == instance(number)
