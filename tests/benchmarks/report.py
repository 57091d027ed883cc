"""Rows of a benchmark run: printed as a table, kept as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson


@dataclass(frozen=True, slots=True)
class Point:
    """Where a figure stands in a plot: which plot, which of its lines, how far to the right."""

    plot: str
    line: str
    x: float


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `floor` is what it is set against, in the same unit and run; `goal` what the project aims at.

    `part`: of which part of a run.
    """

    name: str
    value: float
    unit: str
    floor_name: str = ""
    floor: float = 0.0
    goal: str = ""
    point: Point | None = None
    part: str = ""

    @property
    def ratio(self) -> float | None:
        """value / floor, None without a floor."""
        return self.value / self.floor if self.floor else None

    def __str__(self) -> str:
        ratio = f"{self.ratio:7.2f} x {self.floor_name}" if self.ratio is not None else ""
        return f"{self.name:52} {self.value:10.2f} {self.unit:12} {ratio:42} {self.goal}"


def keep(rows: Iterable[Row], directory: Path, *, is_whole: bool = True) -> Path:
    """Write the rows, the machine and the moment to a JSON file; its path."""
    directory.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = directory / f"{now:%Y%m%dT%H%M%SZ}.json"
    document = {
        "at": now.isoformat(),
        "is_whole": is_whole,
        "machine": machine(),
        "python": platform.python_version(),
        "rows": [{**asdict(row), "ratio": row.ratio} for row in rows],
    }
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return path


def machine() -> str:
    """The class of this machine: cores, memory, processor, system."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{os.cpu_count()} cores, {pages / 2**30:.0f} GiB, {_processor()}, {_system()}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _system() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
