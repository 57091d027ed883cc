"""Processes of the tests that die by SIGKILL, seen from the process that outlives them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

_CONTEXT = get_context("forkserver")
# What takes a second to load is loaded once, by a process that has nothing else to do than to fork.
_CONTEXT.set_forkserver_preload(
    [f"tests.services.{what}_and_die" for what in ("store", "delete", "copy", "drain")]
)


def killed(main: Callable[..., None], *arguments: object) -> list[str]:
    """Run `main` in a process of its own until that has killed itself, as it must; the words that it said before."""
    with TemporaryDirectory() as folder:
        said = Path(folder, "said")
        process = _CONTEXT.Process(target=_play, args=(said, main, arguments))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        process.close()
        return said.read_text().split()


def _play(said: Path, main: Callable[..., None], arguments: tuple[object, ...]) -> None:
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 1)
    main(*arguments)
