"""What `vna import` prints, and its exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import cast

import pytest

from tests import samples
from vna.errors import InvalidInstance
from vna.migration import command
from vna.migration.candidates import Fate, Finding
from vna.migration.command import SKIPPED_SHOWN, import_paths, summary
from vna.migration.importer import ImportReport, Store
from vna.model.identifiers import InstanceUids, Origin
from vna.model.instances import Outcome
from vna.services.store import StoreOutcome
from vna.spool import Spool, Spooled


class Recording:
    """A store that keeps nothing: it names the outcome by what the bytes say."""

    def __init__(self, tmp_path: Path) -> None:
        self.spool = Spool(tmp_path / "spool", 2**20)

    def store(self, spooled: Spooled, origin: Origin) -> StoreOutcome:
        with spooled.buffer() as view:
            data = bytes(view)
        if b"REFUSE" in data:
            raise InvalidInstance("SOP Instance UID is missing")
        outcome = Outcome.CONFLICT if b"CONFLICT" in data else Outcome.STORED
        uids = InstanceUids("1.1", "1.2", "1.3")
        return StoreOutcome(outcome, uids, "1.4", "1.5", spooled.size, (), 7)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """No index needed here."""
    return cast("Store", Recording(tmp_path))


def _fill(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, description in files.items():
        data = samples.small(StudyDescription=description) if description else b"text " * 40
        (folder / name).write_bytes(data)
    return folder


def test_a_clean_import_ends_with_0_and_a_summary(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_paths(store, [_fill(tmp_path / "in", a="x", b="y")], workers=2) == 0
    out = capsys.readouterr().out
    assert out.startswith("2 files in ")
    assert "2 stored" in out


def test_what_needs_a_look_is_printed_with_its_reason(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _fill(tmp_path / "in", good="x", bad="REFUSE", twice="CONFLICT", text="")
    assert import_paths(store, [folder], workers=1) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"refused   {folder / 'bad'}: SOP Instance UID is missing" in lines
    assert f"skipped   {folder / 'text'}: not DICOM" in lines
    assert any(line.startswith(f"conflict  {folder / 'twice'}: ") for line in lines)
    assert "1 stored" in lines[-1]
    assert "1 in conflict, 1 refused, 0 failed, 1 skipped" in lines[-1]


def test_a_conflict_alone_is_no_failure(store: Store, tmp_path: Path) -> None:
    assert import_paths(store, [_fill(tmp_path / "in", twice="CONFLICT")]) == 0


def test_json_is_one_document_and_nothing_else(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _fill(tmp_path / "in", good="x", bad="REFUSE", twice="CONFLICT", text="")
    assert import_paths(store, [folder], as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["total"] == 4
    assert document["counts"] == {
        "stored": 1, "duplicate": 0, "conflict": 1, "refused": 1, "skipped": 1, "failed": 0,
    }  # fmt: skip
    assert document["refused"] == [
        {"file": str(folder / "bad"), "reason": "SOP Instance UID is missing"}
    ]
    assert document["conflict"][0]["sop_instance_uid"] == "1.3"
    assert document["failed"] == []
    assert document["interrupted"] is False


def test_a_path_that_does_not_exist_is_named_and_nothing_is_imported(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing"
    assert import_paths(store, [_fill(tmp_path / "in", a="x"), missing]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"vna: {missing} does not exist\n"


def test_many_skipped_files_do_not_flood_the_screen(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _fill(tmp_path / "in", **{f"f{number}": "" for number in range(SKIPPED_SHOWN + 30)})
    assert import_paths(store, [folder]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("skipped")]) == SKIPPED_SHOWN + 1
    assert f"{SKIPPED_SHOWN + 30} skipped" in lines[-1]


def test_away_from_a_terminal_there_is_a_line_a_minute(
    store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = _fill(tmp_path / "in", a="x", b="y", c="z")
    monkeypatch.setattr(command, "_MINUTE", 0.0)
    import_paths(store, [folder], workers=1)
    assert capsys.readouterr().err.splitlines() == [
        f"import: {count} files so far" for count in (1, 2, 3)
    ]
    import_paths(store, [folder], workers=1, progress=False)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_there_is_a_bar(
    store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    folder = _fill(tmp_path / "in", a="x", bad="REFUSE")
    assert import_paths(store, [folder], workers=1) == 1
    captured = capsys.readouterr()
    assert "import: 2 files" in captured.err
    assert "refused" in captured.out


def test_the_summary_tells_how_to_go_on_after_an_interrupt() -> None:
    report = ImportReport(interrupted=True)
    report.add(Finding("a", Fate.STORED, size=2**20))
    text = summary(report, 2.0)
    assert "1 stored (1.0 MiB, 0/s)" in text
    assert "run the same command again" in text


def test_the_command_imports_once_and_knows_it_the_next_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from click.testing import CliRunner

    from vna.cli import main

    folder = _fill(tmp_path / "in", a="x", b="y")
    arguments = ["import", "--data-dir", str(tmp_path / "data"), "--json", str(folder)]
    for fate in ("stored", "duplicate"):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["counts"][fate] == 2
