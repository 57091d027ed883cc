"""An index made anew of the objects, and of the file that tells how they are corrected."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests import samples
from tests.conftest import _CLEAN
from tests.corrections import correction, file_of
from tests.services.conftest import ORIGIN, Bench
from tests.services.test_corrections import file, found, keep
from tests.services.test_rebuild import rows
from vna.cli import main
from vna.errors import ConfigError
from vna.index.corrections import CorrectionIndex
from vna.index.database import Database
from vna.model.identifiers import InstanceUids
from vna.services.correction_backup import read_corrections, write_corrections


@pytest.fixture(autouse=True)
def _nothing_of_other_tests(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """And keys in the order of reception, which is that in which a rebuild reads."""
    numbers = itertools.count()
    monkeypatch.setattr(
        "vna.services.keeping.new_object_key", lambda: f"2026/01/01/0000/{next(numbers):032x}.dcm"
    )
    with database.connection() as connection:
        connection.execute("TRUNCATE correction")


def exported(bench: Bench) -> bytes:
    target = io.BytesIO()
    write_corrections(bench.index.corrections, target)
    return target.getvalue()


def test_an_index_made_anew_has_every_correction(
    bench: Bench, database: Database, tmp_path: Path
) -> None:
    bench.keep(samples.small())
    first = keep(bench, samples.small(SOPInstanceUID="1.2.1"))
    keep(bench, samples.small(SOPInstanceUID="1.2.1", PatientComments="other"), correction({}))
    name = "Łódź".encode("iso8859-2")
    repaired = correction({}, character_set=("ISO_IR 101",))
    keep(bench, samples.small(SOPInstanceUID="1.2.3", PatientName=name), repaired)
    path = tmp_path / "corrections.jsonl"
    path.write_bytes(exported(bench))
    before = rows(database)
    with database.connection() as connection:
        connection.execute(_CLEAN)
        connection.execute("TRUNCATE correction, told_correction")
    bench.index.corrections = CorrectionIndex(database)
    with path.open("rb") as lines:
        assert read_corrections(bench.index.corrections, lines, "file") == 3
    rebuilt = bench.rebuilding.rebuild(ORIGIN, lambda *_: None, threads=1)
    assert (rebuilt.objects, rebuilt.refused) == (4, 0)
    assert rows(database) == before
    assert file_of(file(bench, found(bench, first.uids))).PatientID == "SOUTH-1"


def test_what_lies_in_the_trash_is_told_too(bench: Bench) -> None:
    kept = keep(bench, samples.small())
    before = exported(bench)
    bench.trash.delete(InstanceUids(kept.uids.study_instance_uid, "", ""), ORIGIN)
    assert exported(bench) == before


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: lines[1:], "line 1: this is no file"),
        (lambda lines: lines[:-1], "its end is missing"),
        (lambda lines: [*lines[:-2], lines[-1]], "its end is missing"),
        (lambda lines: [*lines, lines[-1]], "line 5: this is no file"),
        (lambda lines: [lines[0], *lines[2:]], "line 2: the object has"),
        (
            lambda lines: [lines[0], lines[1].replace(b"SOUTH", b"NORTH"), *lines[2:]],
            "line 2: the correction was",
        ),
        (lambda lines: [lines[0], b"{", *lines[1:]], "line 2: this is no object"),
        (
            lambda lines: [lines[0], b'{"id": 1, "patch": {}}', *lines[1:]],
            "line 2: this is no correction",
        ),
    ],
)
def test_a_file_that_was_changed_is_refused(bench: Bench, change: object, line: str) -> None:
    keep(bench, samples.small())
    lines = exported(bench).splitlines(keepends=True)
    assert callable(change)
    with pytest.raises(ConfigError, match=line):
        read_corrections(bench.index.corrections, change(lines), "file")


def test_the_commands(bench: Bench, database: Database, tmp_path: Path) -> None:
    keep(bench, samples.small())
    path = tmp_path / "corrections.jsonl"

    def run(*words: str) -> tuple[int, str]:
        variables = {
            "VNA__DATABASE__URL": database.url,
            "VNA__ARCHIVE__DATA_DIR": str(tmp_path / "data"),
        }
        done = CliRunner().invoke(main, ["db", "corrections", *words, str(path)], env=variables)
        return done.exit_code, done.output

    assert run("export") == (0, "1 corrected objects\n")
    assert run("import") == (0, "1 corrected objects\n")
    path.write_bytes(path.read_bytes()[:-5])
    code, said = run("import")
    assert (code, said.count("\n")) == (2, 1)
    assert f"{path}, line 4" in said
    assert [item.name for item in tmp_path.glob("*.part")] == []
