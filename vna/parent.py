"""How a process of the archive depends on the one that supervises it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PARENT_VARIABLE = "VNA_PARENT"
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux to send SIGTERM when the supervising parent ends, however it ends."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(0)
