"""The page of figures: only kept runs get in, and everything else of it stays."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from tests.benchmarks import performance_doc, plots, scaling
from tests.benchmarks.comparison import ARCHIVE, YARDSTICK, Comparison, Work
from tests.benchmarks.peer_report import as_document
from tests.benchmarks.report import Point, Row, keep
from tests.house.project import ROOT

WORK = Work("ct-1", "C-STORE CT", "/s", goal=3.0)
ROW = Comparison(
    WORK, {ARCHIVE: [400.0], YARDSTICK: [100.0]}, {"dcmqrscp": "it broke"}, {"dcmqrscp": (3, 8)}
)
RUN = {
    "at": "2026-01-02T03:04:05+00:00",
    "is_whole": True,
    "machine": "2 cores",
    "size": {"rounds": 5, "studies": 50_000},
    "client": "2 000 /s",
    "peers": [{"name": "Orthanc", "version": "1.10.1", "settings": ["synced", "on disk"]}],
    "rows": [as_document(ROW)],
}


def test_the_document_has_a_place_for_both() -> None:
    text = (ROOT / performance_doc.DOCUMENT).read_text(encoding="utf-8")
    for name in ("peers", "growth", "storage"):
        changed = performance_doc.replaced(text, name, "new\n")
        assert f"<!-- {name}: begin -->\nnew\n<!-- {name}: end -->" in changed
        assert performance_doc.replaced(changed, name, "new") == changed


def test_a_document_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for peers"):
        performance_doc.replaced("nothing", "peers", "x")


def test_a_kept_row_comes_back_as_it_was() -> None:
    assert performance_doc.comparison(as_document(ROW)) == ROW


def test_the_text_has_date_machine_versions_settings_and_table() -> None:
    text = performance_doc.peers_text(RUN)
    assert "2026-01-02" in text
    assert "2 cores; 5 rounds, 50000 studies in the index, the others as packaged." in text
    assert "- Orthanc: 1.10.1; synced; on disk" in text
    assert (
        "| C-STORE CT | /s | 100 | – | 400 | 4.00 | 3 × | – | pass | dcmqrscp refused 3 of 8 |"
        in text
    )
    assert "- C-STORE CT, dcmqrscp: it broke" in text


def test_only_a_whole_comparison_is_taken() -> None:
    assert performance_doc.first_whole([{**RUN, "is_whole": False}, RUN]) is RUN
    assert performance_doc.first_whole([{"rows": []}]) is None


def rows() -> list[Row]:
    return [
        Row("b", 200.0, "/s", point=Point(scaling.STORING, "1 worker process", 4)),
        Row("a", 100.0, "/s", point=Point(scaling.STORING, "1 worker process", 1)),
        Row("c", 300.0, "/s", point=Point(scaling.STORING, "2 worker processes", 4)),
        Row("no point", 1.0, "ms"),
    ]


def kept(directory: Path, *, is_whole: bool = True) -> list[performance_doc.Kept]:
    keep(rows(), directory, is_whole=is_whole)
    return performance_doc.newest(directory, of_peers=False)


def test_points_make_lines_in_order(tmp_path: Path) -> None:
    (run,) = kept(tmp_path)
    assert plots.lines_of(run["rows"], scaling.STORING) == {
        "1 worker process": [(1, 100), (4, 200)],
        "2 worker processes": [(4, 300)],
    }
    assert plots.lines_of(run["rows"], scaling.SEARCHING) == {}


def test_a_plot_is_drawn_with_its_figures_below_and_drawn_alike_again(tmp_path: Path) -> None:
    runs = kept(tmp_path)
    text = performance_doc.growth_text(runs, tmp_path)
    drawn = tmp_path / plots.PLOTS[0].file
    first = drawn.read_bytes()
    assert f"]({drawn.name})" in text
    assert "| 1 worker process | 100 | 200 |" in text
    assert "| 2 worker processes | – | 300 |" in text
    assert b"2 worker processes" in first
    assert performance_doc.growth_text(runs, tmp_path) == text
    assert drawn.read_bytes() == first


def test_storage_is_told_from_the_newest_whole_run_of_each_part() -> None:
    def run(day: str, part: str, value: float, *, is_whole: bool = True) -> performance_doc.Kept:
        row = Row("to S3", value, "/s", "to files", 2 * value, ">= 0.6 x", part=part)
        at, rows = f"2026-01-{day}T00:00:00", [{**asdict(row), "ratio": row.ratio}]
        return {"at": at, "is_whole": is_whole, "machine": "2 cores", "rows": rows}

    runs = [
        run("04", "bucket", 1.0, is_whole=False),
        run("03", "store", 2.0),
        run("02", "bucket", 250.4),
        run("01", "bucket", 3.0),
    ]
    text = performance_doc.storage_text(runs)
    assert text.count("to S3") == 1
    assert "`bucket`, measured on 2026-01-02; 2 cores." in text
    assert "| to S3 | 250 /s | 501 to files | 0.50 | >= 0.6 x |" in text
    assert performance_doc.storage_text(runs[:2]) == ""


def test_a_short_run_draws_nothing(tmp_path: Path) -> None:
    assert performance_doc.growth_text(kept(tmp_path, is_whole=False), tmp_path) == ""
    assert not (tmp_path / plots.PLOTS[0].file).exists()


def test_kept_runs_come_newest_first_and_apart_by_kind(tmp_path: Path) -> None:
    for name, number in (
        ("20260101T000000Z", 1),
        ("20260201T000000Z", 2),
        ("peers-20260301T000000Z", 3),
    ):
        (tmp_path / f"{name}.json").write_text(f'{{"number": {number}}}')
    assert [run["number"] for run in performance_doc.newest(tmp_path, of_peers=False)] == [2, 1]
    assert [run["number"] for run in performance_doc.newest(tmp_path, of_peers=True)] == [3]
