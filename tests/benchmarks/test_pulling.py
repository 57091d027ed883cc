"""The benchmark of clients that pull whole studies runs, with small ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import pulling
from tests.e2e.process import running_archive


@pytest.mark.slow
def test_every_form_of_every_study_is_pulled(tmp_path: Path) -> None:
    with running_archive(tmp_path / "data", {"VNA__LOG__LEVEL": "warning"}) as archive:
        rows = list(pulling.pulls(archive, 2**21))
    assert [row.unit for row in rows] == ["MiB", "MB/s"] * 6
    assert all(row.value > 0 for row in rows)
    assert max(row.value for row in rows[::2]) < pulling.GOAL_MIB
