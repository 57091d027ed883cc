"""The benchmark of very large store requests runs, with small ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import pushing
from tests.benchmarks.pulling import GOAL_MIB
from tests.e2e.process import running_archive


@pytest.mark.slow
def test_many_instances_and_large_ones_in_one_request(tmp_path: Path) -> None:
    with running_archive(tmp_path / "data", {"VNA__LOG__LEVEL": "warning"}) as archive:
        rows = list(pushing.pushes(archive, 0.006))
    assert [row.unit for row in rows] == ["MiB", "/s"] * 2
    assert all(row.value > 0 for row in rows)
    assert max(row.value for row in rows[::2]) < GOAL_MIB
