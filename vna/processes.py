"""How the archive's processes live together: with their parent, with gunicorn, with the terminal."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any

from gunicorn.glogging import Logger
from prometheus_client import multiprocess

PARENT_VARIABLE = "VNA_PARENT"
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux to send SIGTERM when the supervising parent ends, however it ends."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(0)


def leave_interrupts_to_parent(_process: Any) -> None:
    """A hook for gunicorn's masters and workers: Ctrl-C reaches them too, but the parent stops them in order."""
    if PARENT_VARIABLE in os.environ:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def forget_metrics_of(_server: Any, worker: Any) -> None:
    """A hook for gunicorn: the gauges of a worker that has ended no longer count."""
    if METRICS_VARIABLE in os.environ:
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


class ArchiveLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's log lines go where those of the archive go."""

    def setup(self, cfg: Any) -> None:
        """Called by gunicorn at start and reload."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True
