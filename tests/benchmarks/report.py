"""Rows of a benchmark run: printed as a table, kept as JSON."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `floor` is what it is set against, in the same unit and run; `goal` what the project aims at."""

    name: str
    value: float
    unit: str
    floor_name: str = ""
    floor: float = 0.0
    goal: str = ""

    @property
    def ratio(self) -> float | None:
        """value / floor, None without a floor."""
        return self.value / self.floor if self.floor else None

    def __str__(self) -> str:
        ratio = f"{self.ratio:7.2f} x {self.floor_name}" if self.ratio is not None else ""
        return f"{self.name:52} {self.value:10.2f} {self.unit:12} {ratio:42} {self.goal}"


def keep(rows: Iterable[Row], directory: Path) -> Path:
    """Write the rows, the machine and the moment to a JSON file; its path."""
    directory.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = directory / f"{now:%Y%m%dT%H%M%SZ}.json"
    document = {
        "at": now.isoformat(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "rows": [{**asdict(row), "ratio": row.ratio} for row in rows],
    }
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return path
