"""Dying by SIGKILL at a chosen step of what the archive does, in a process of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

Patch = tuple[Any, str]
"""Who has a function, and its name."""


def die_at(place: Patch, *, is_after: bool) -> None:
    """From now on the process ends when the function at `place` is called, or when it has returned."""
    owner, name = place
    original: Callable[..., Any] = getattr(owner, name)

    def fatal(*args: Any, **options: Any) -> Any:
        if is_after:
            original(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, fatal)
