"""The search itself: it finds what is wrong, stops what does not end, and says how to see it again."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import __main__ as command
from tests.fuzz.conversation_mutation import mutate_conversation, split
from tests.fuzz.dimse_targets import stream_seeds
from tests.fuzz.found import found_files, how_to_reproduce, keep, read_input, shrunk, told
from tests.fuzz.measures import TooMuch, Work, measured
from tests.fuzz.registry import TARGETS, Target
from tests.house.project import ROOT

SMALL = 20_000
PLANTED = """
import sys
from pathlib import Path
from tests.fuzz import engine, found, properties
from tests.fuzz.registry import TARGETS, Target

def check(data):
    if b"!" in data:
        {fault}

found.FOUND = Path(sys.argv[1])
engine.keep = lambda *args: found.keep(*args, folder=Path(sys.argv[1]))
engine.INPUT_SECONDS = 2
TARGETS["planted"] = Target("planted", check, lambda: [b"abc!def"])
sys.exit(engine.run("hypothesis", properties.search, ["--seconds=30", "planted"]))
"""


def refuses_a_mark(data: bytes) -> None:
    if b"!" in data:
        raise ValueError("a mark")


def search(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in `folder`, with the project's modules."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.parametrize(
    "fault",
    [
        "raise ValueError('a mark')",
        "data = bytearray(2**28)",
        "while True: len(data)",
        "import os; os.abort()",
    ],
)
def test_what_is_wrong_is_found_and_kept(tmp_path: Path, fault: str) -> None:
    done = search(tmp_path, "-c", PLANTED.format(fault=fault), str(tmp_path))
    assert done.returncode == 1, done.stderr
    assert "FOUND SOMETHING" in done.stdout
    (path,) = tmp_path.glob("planted/*.hex")
    assert b"!" in read_input(path)
    assert f"--replay {path.relative_to(tmp_path)}" in done.stdout


def test_both_engines_search(tmp_path: Path) -> None:
    done = search(tmp_path, "-m", "tests.fuzz", "--seconds=1", "names", "command")
    assert done.returncode == 0, done.stdout + done.stderr
    for engine in ("hypothesis", *(["atheris"] if find_spec("atheris") else [])):
        for name in ("names", "command"):
            assert f"{engine:10} {name:12}" in done.stdout


def test_without_atheris_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert command.engines() == ["tests.fuzz.properties"]
    assert "atheris is not installed" in capsys.readouterr().out


def test_an_input_is_kept_as_it_is(tmp_path: Path) -> None:
    target = Target("names", refuses_a_mark, list)
    for data in (b"", b"\0\xff!", bytes(range(256)) * 3):
        path = keep(target, data, "what it caused\nand where", tmp_path)
        assert read_input(path) == data
        assert path.read_text(encoding="utf-8").endswith("\n")
    raw = tmp_path / "raw.bin"
    raw.write_bytes(b"\1\2")
    assert read_input(raw) == b"\1\2"


def test_an_input_is_made_small() -> None:
    assert shrunk(refuses_a_mark, b"abc!defghi" * 50, ValueError) == b"!"
    assert shrunk(refuses_a_mark, b"abc", ValueError) == b"abc"


def test_a_kept_input_is_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = keep(TARGETS["names"], "Müller".encode(), "nothing", tmp_path)
    assert command.main(["--replay", str(path)]) == 0
    assert "names takes it" in capsys.readouterr().out
    path.rename(tmp_path / "elsewhere.hex")
    assert command.main(["--target=names", "--replay", str(tmp_path / "elsewhere.hex")]) == 0


def test_an_unknown_target_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["nonsense"])
    assert ended.value.code == 2


def test_work_without_end_is_stopped() -> None:
    with pytest.raises(TooMuch), Work(SMALL):
        while True:
            with suppress(Exception):
                len(b"")


def test_memory_is_measured() -> None:
    with pytest.raises(TooMuch, match="bytes of memory"):
        measured(lambda data: print(len(bytearray(2**28))), b"")


def test_an_error_is_told_with_its_place() -> None:
    try:
        refuses_a_mark(b"!")
    except ValueError as exc:
        assert told(exc).startswith("ValueError: a mark (test_search.py:")


def test_what_is_kept_is_small_and_of_a_target() -> None:
    assert {path.parent.name for path in found_files()} <= TARGETS.keys()
    assert all(path.stat().st_size < 40_000 for path in found_files())
    assert all(how_to_reproduce(path).endswith(path.name) for path in found_files())


def test_a_conversation_stays_one() -> None:
    random = Random(2)
    for data in stream_seeds():
        assert b"".join(split(data[8:])) == data[8:]
        whole = [split(mutate_conversation(data, random)[8:]) for _ in range(20)]
        assert max(map(len, whole)) > 1
