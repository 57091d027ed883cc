"""Processes of a Postgres server under test: found by the server's own data, ended the hard way."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path


def postmaster_of(data_dir: Path) -> int:
    """The process id of the server below `data_dir`."""
    pid_file = data_dir / "postgres" / "cluster" / "postmaster.pid"
    return int(pid_file.read_text().splitlines()[0])


def family(process_id: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return [process_id, *map(int, children)]


def kill_all(process_ids: list[int]) -> None:
    """kill -9, then wait until they have ended."""
    handles = [os.pidfd_open(process_id) for process_id in process_ids]
    for handle in handles:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    for handle in handles:
        select.select([handle], [], [])
        os.close(handle)
