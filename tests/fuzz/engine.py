"""One way of finding inputs, run over the targets in turn, each in a process of its own."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.found import how_to_reproduce, keep, shrunk, told
from tests.fuzz.measures import measured
from tests.fuzz.registry import TARGETS, Target

INPUT_SECONDS = 60
"""After which an input counts as one that hangs; hundreds of times what the slowest takes."""

FAILED = 77
"""With which a child ends that has found something."""


@dataclass(frozen=True, slots=True)
class Room:
    """Where a child leaves what it was at: `current` its input, `count` how many there were."""

    folder: Path

    @property
    def current(self) -> Path:
        return self.folder / "current"

    @property
    def count(self) -> Path:
        return self.folder / "count"

    @property
    def log(self) -> Path:
        return self.folder / "log"


Search = Callable[[Target, float, Room], None]
"""Looks for inputs until a moment (monotonic); leaves one and exits with FAILED when it has one."""


def run(name: str, search: Search, arguments: Sequence[str]) -> int:
    """Search all targets that are named; the number of those with a finding is the exit code."""
    parser = argparse.ArgumentParser(prog=f"tests.fuzz.{name}")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("targets", nargs="*", default=list(TARGETS))
    options = parser.parse_args(arguments)
    end = time.monotonic() + options.seconds
    findings = 0
    for number, target_name in enumerate(options.targets):
        left = len(options.targets) - number
        until = time.monotonic() + max(0.5, (end - time.monotonic()) / left)
        findings += not _search_one(name, search, TARGETS[target_name], until)
    return findings


def _search_one(name: str, search: Search, target: Target, until: float) -> bool:
    """Whether nothing was found in `target`."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vna-fuzz-") as folder:
        room = Room(Path(folder))
        status = _in_child(lambda: search(target, until, room), room, until)
        count = int(room.count.read_text(encoding="utf-8")) if room.count.exists() else 0
        seconds = time.monotonic() - started
        outcome = "" if status == 0 else "  FOUND SOMETHING"
        print(f"{name:10} {target.name:12} {count:8} inputs {seconds:6.1f} s{outcome}", flush=True)
        if status != 0:
            _report(target, room, status)
    return status == 0


def _in_child(work: Callable[[], None], room: Room, until: float) -> int:
    """The exit status of a forked process; of one that does not end, that of being killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            tempfile.tempdir = str(room.folder)  # what is left goes with it
            os.dup2(os.open(room.log, os.O_WRONLY | os.O_CREAT, 0o600), 2)
            work()
            status = 0
        except SystemExit as exc:
            status = exc.code if isinstance(exc.code, int) else 1
        except BaseException:  # noqa: BLE001 - this process ends here
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    last = until + 2 * INPUT_SECONDS
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > last:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.02)


def _report(target: Target, room: Room, status: int) -> None:
    """Keep the input that the child was at, and say how to see it fail again."""
    if not room.current.exists():
        print(f"the search itself failed (exit {status}):\n{_tail(room)}", flush=True)
        return
    data, said = room.current.read_bytes(), f"the process ended with {status}"
    if status == FAILED:
        data, said = _examined(target, data)
    path = keep(target, data, said)
    print(f"{said}\n  kept ({len(data)} bytes), to see it again:\n  {how_to_reproduce(path)}")
    if status != FAILED:
        print(_tail(room))
    sys.stdout.flush()


def _examined(target: Target, data: bytes) -> tuple[bytes, str]:
    """A smaller input with the same effect, and that effect."""

    def check(data: bytes) -> None:
        measured(target.check, data, expansion=target.expansion(data))

    try:
        check(data)
    except BaseException as exc:  # noqa: BLE001 - whatever it is
        return shrunk(check, data, type(exc)), told(exc)
    return data, "it failed once, and not when it was tried again"


def _tail(room: Room) -> str:
    lines = room.log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-40:])
