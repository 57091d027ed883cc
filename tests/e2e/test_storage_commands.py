"""`vna storage` as an operator uses it: an archive moves from one folder to another while it serves."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.process import running_archive
from tests.e2e.test_restore import command, fetched, instance, store
from tests.interop.programs import attempt

pytestmark = pytest.mark.slow

BEFORE = """
[storage]
backend = "old"
[storage.backends.old]
driver = "filesystem"
options = { root = "old" }
[storage.backends.new]
driver = "filesystem"
options = { root = "new" }
"""
DURING = BEFORE.replace('backend = "old"', 'backend = "new"').replace(
    'options = { root = "old" }', 'options = { root = "old" }\ndrain = true'
)


def documents(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_an_archive_moves_to_another_backend(tmp_path: Path) -> None:
    data_dir, config = tmp_path / "data", tmp_path / "vna.toml"
    config.write_text(BEFORE)
    environment = {"VNA_CONFIG": str(config)}
    with running_archive(data_dir, environment) as archive:
        store(archive, 1, 2)
    words = ("storage", "drain", "old", "--config", str(config))
    refused = attempt(sys.executable, "-m", "vna.cli", *words, "--data-dir", data_dir)
    assert refused.code == 2
    assert "storage.backends.old.drain = true" in refused.output
    config.write_text(DURING)
    with running_archive(data_dir, environment) as archive:
        store(archive, 3)
        (ended,) = documents(command(data_dir, *words, "--grace", "0", "--json"))
        assert (ended["moved"], ended["failed"]) == (2, 0)
        assert ended["ended_at"]
        for number in (1, 2, 3):
            assert fetched(archive, number) == instance(number)
    assert list((data_dir / "old").rglob("*.dcm")) == []
    assert len(list((data_dir / "new").rglob("*.dcm"))) == 3
    more = ("--config", str(config))
    listed = documents(command(data_dir, "storage", "list", "--json", *more))
    assert {(item["backend"], item["objects"]) for item in listed} == {("new", 3), ("old", 0)}
    assert "old by the rules: ended" in command(data_dir, "storage", "status", *more)
    assert "old: 0 objects" in command(data_dir, "storage", "list", *more)
    assert "index and storage agree" in command(data_dir, "verify", *more)
    (new, _old) = documents(command(data_dir, "verify", "--status", "--json", *more))
    assert (new["backend"], new["share"], new["faults"]) == ("new", 1.0, 0)
    assert "new: 100% of about 3 objects" in command(data_dir, "verify", "--status", *more)


def test_the_worker_drains_in_the_background(tmp_path: Path) -> None:
    data_dir, config = tmp_path / "data", tmp_path / "vna.toml"
    config.write_text(BEFORE)
    environment = {"VNA_CONFIG": str(config)}
    with running_archive(data_dir, environment) as archive:
        store(archive, 1)
    config.write_text(DURING)
    more = ("--config", str(config))
    words = ("storage", "drain", "old", "--grace", "0", "--background", *more)
    assert "waits for the worker" in command(data_dir, *words)
    assert "any more" in command(data_dir, "storage", "drain", "old", "--cancel", *more)
    command(data_dir, *words)
    with running_archive(data_dir, environment) as archive:
        archive.await_line("a backend was emptied")
        assert list((data_dir / "old").rglob("*.dcm")) == []
        assert fetched(archive, 1) == instance(1)
