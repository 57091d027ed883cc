"""The commands of a migration, as a person gives them: each in a process of its own, or within this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from click.testing import CliRunner

from vna.cli import main

TIMEOUT = 300.0


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it said."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def documents(self) -> list[dict[str, Any]]:
        """What it said with --json."""
        return [orjson.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    @property
    def document(self) -> dict[str, Any]:
        """The last of them."""
        return self.documents[-1]

    def expected(self, *codes: int) -> Said:
        """Itself. Raises RuntimeError for another exit code."""
        if self.code not in (codes or (0,)):
            said = f"{self.out[-2000:]}{self.err[-2000:]}"
            raise RuntimeError(f"vna migrate {' '.join(self.words)} ended with {self.code}: {said}")
        return self


Migrate = Callable[..., Said]
"""Runs `vna migrate` with these words."""


@dataclass(frozen=True, slots=True)
class Target:
    """The archive that everything is brought into: its data directory, and variables of its configuration."""

    data_dir: Path
    environment: Mapping[str, str]

    def by_process(self, *words: str) -> Said:
        """`vna migrate`, as from a shell."""
        command = self.command(*words)
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            env={**os.environ, **self.environment},
        )
        return Said(words, done.returncode, done.stdout, done.stderr)

    def within(self, *words: str) -> Said:
        """The same in this process, which is quicker."""
        result = CliRunner().invoke(main, self.command(*words)[3:], env=dict(self.environment))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(words, result.exit_code, result.stdout, result.stderr)

    def command(self, *words: str) -> list[str]:
        """The words of a shell."""
        verb, *others = words
        program = [sys.executable, "-m", "vna.cli", "migrate", verb]
        return [*program, "--data-dir", str(self.data_dir), *others]

    def worker(self, log: Path, *, until_done: bool = True) -> subprocess.Popen[bytes]:
        """`vna migrate work`, which ends when no campaign runs any more, or when it is told to."""
        words = ("work", "--until-done") if until_done else ("work",)
        with log.open("ab") as output:
            return subprocess.Popen(
                self.command(*words),
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environment},
            )
