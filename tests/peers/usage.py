"""What processes have used of the machine, as Linux tells in /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(roots: Iterable[int]) -> list[int]:
    """The processes `roots` and all below them, each once."""
    found: dict[int, None] = {}
    pending = list(roots)
    while pending:
        current = pending.pop()
        if current in found:
            continue
        found[current] = None
        for task in Path(f"/proc/{current}/task").glob("*/children"):
            try:
                pending += map(int, task.read_text().split())
            except OSError:
                continue
    return list(found)


def cpu_seconds(roots: Iterable[int]) -> float:
    """CPU seconds, of user and kernel, that the trees below `roots` have used; children that ended included."""
    return sum(map(_cpu_seconds, tree(roots)))


def _cpu_seconds(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    # Behind the name, which may hold anything: utime, stime, cutime, cstime are fields 14 to 17 of all.
    fields = text[text.rindex(")") + 2 :].split()
    return sum(map(int, fields[11:15])) / _TICKS


def pss_bytes(roots: Iterable[int]) -> int:
    """Resident memory of the trees below `roots`, shared pages divided among those who share them."""
    return sum(map(_pss_bytes, tree(roots)))


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def peak_resident_bytes(pid: int) -> int:
    """The highest resident size that the process has had (VmHWM); 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
