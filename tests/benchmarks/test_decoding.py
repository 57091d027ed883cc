"""The benchmark of decoder processes runs, in its short form."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks import decoding


def test_a_short_run_has_all_its_figures(tmp_path: Path) -> None:
    rows = list(decoding.calls(tmp_path, short=True))
    assert len(rows) == 5
    assert all(row.value > 0 for row in rows)
