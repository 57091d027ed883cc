"""kill -9 in the midst of puts: what was acknowledged is whole, nothing half is visible."""

from __future__ import annotations

import fcntl
import random
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from storage_backends import scratch as scratch_module
from storage_backends.digests import digest_of
from storage_backends.filesystem import INCOMING, FilesystemBackend
from storage_backends.scratch import Scratch
from storage_backends.testing import put, read

WRITER = Path(__file__).with_name("put_forever.py")
ROOT_OF_PROJECT = WRITER.parents[2]
ROUNDS = 8


def _run_and_kill(root: Path, spool: Path, acknowledgements: int) -> dict[str, str]:
    """Kill the writer right after so many acknowledgements; returns key -> digest."""
    command = [sys.executable, str(WRITER), str(root), str(spool)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT_OF_PROJECT,
        env={"PYTHONPATH": str(ROOT_OF_PROJECT)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(acknowledgements)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    pairs = (line.split() for line in lines if line.endswith("\n"))
    return dict(pair for pair in pairs if len(pair) == 2)


def test_acknowledged_objects_survive_kill_9(tmp_path: Path) -> None:
    root, spool = tmp_path / "objects", tmp_path / "spool"
    spool.mkdir()
    acknowledged: dict[str, str] = {}
    chance = random.Random()
    for _ in range(ROUNDS):
        acknowledged |= _run_and_kill(root, spool, chance.randint(1, 60))
        backend = FilesystemBackend(root)
        keys = {info.key for info in backend.scan()}
        assert acknowledged.keys() <= keys
        for key, digest in acknowledged.items():
            assert digest_of(read(backend, key)).value == digest, key
        sizes = {info.size for info in backend.scan()}
        assert sizes <= {100, 5_000, 524_288, 3_000_000}, "half an object is visible"
        assert list((root / INCOMING).iterdir()) == []
        backend.close()
    assert len(acknowledged) >= ROUNDS


def test_a_start_sweeps_what_the_dead_left_and_nothing_of_the_living(tmp_path: Path) -> None:
    living = FilesystemBackend(tmp_path)
    put(living, "a", b"a")
    mine = living._scratch.create()
    dead = tmp_path / INCOMING / "1-0123456789abcdef"
    dead.mkdir()
    (dead / "half").write_bytes(b"half")
    (tmp_path / INCOMING / "2-0123456789abcdef.lock").touch()
    foreign = tmp_path / INCOMING / "readme"
    foreign.touch()
    other = FilesystemBackend(tmp_path)
    assert mine.path.exists()
    assert not dead.exists()
    assert sorted(p.name for p in (tmp_path / INCOMING).iterdir() if p != foreign) == sorted(
        (mine.path.parent.name, mine.path.parent.name + ".lock")
    )
    other.close()
    living.close()


def test_a_scratch_directory_that_was_cleaned_away_is_made_again(tmp_path: Path) -> None:
    backend = FilesystemBackend(tmp_path)
    put(backend, "a", b"a")
    (session,) = (p for p in (tmp_path / INCOMING).iterdir() if p.is_dir())
    session.rmdir()
    put(backend, "b", b"b")
    assert read(backend, "b") == b"b"
    backend.close()


def test_a_session_whose_lock_was_swept_before_it_was_taken_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[str] = []

    def sweep_first(fd: int, operation: int) -> None:
        if not swept:
            path = Path(f"/proc/self/fd/{fd}").readlink()
            swept.append(path.stem)
            path.unlink()
        fcntl.flock(fd, operation)

    lock_calls = SimpleNamespace(LOCK_EX=fcntl.LOCK_EX, flock=sweep_first)
    monkeypatch.setattr(scratch_module, "fcntl", lock_calls)
    scratch = Scratch(tmp_path)
    file = scratch.create()
    assert file.path.parent.name != swept[0]
    scratch.close()


def test_a_closed_scratch_leaves_no_trace(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    file = scratch.create()
    assert Scratch(tmp_path).sweep() == 0
    file.path.unlink()
    scratch.close()
    assert list(tmp_path.iterdir()) == []
    assert scratch.create().path.exists()
    scratch.close()
