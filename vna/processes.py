"""How the archive's processes live together: with their parent, with gunicorn, with the terminal."""

from __future__ import annotations

import gc
import os
import signal
from typing import Any

from gunicorn.glogging import Logger
from prometheus_client import multiprocess

from vna.parent import PARENT_VARIABLE

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def leave_interrupts_to_parent(_process: Any) -> None:
    """A hook for gunicorn's masters and workers: Ctrl-C reaches them too, but the parent stops them in order."""
    if PARENT_VARIABLE in os.environ:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def share_memory(_arbiter: Any, _worker: Any) -> None:
    """A hook for gunicorn, before a fork: what is loaded stays common to all processes, untouched by the collector."""
    gc.freeze()


def forget_metrics_of(_server: Any, worker: Any) -> None:
    """A hook for gunicorn: the gauges of a worker that has ended no longer count."""
    if METRICS_VARIABLE in os.environ:
        forget_metrics(worker.pid, os.environ[METRICS_VARIABLE])


def forget_metrics(process_id: int, directory: str) -> None:
    """The gauges of a process that has ended, and counted in `directory`, no longer count."""
    multiprocess.mark_process_dead(process_id, directory)  # type: ignore[no-untyped-call]


class ArchiveLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's log lines go where those of the archive go."""

    def setup(self, cfg: Any) -> None:
        """Called by gunicorn at start and reload."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True
