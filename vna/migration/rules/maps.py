"""Maps in CSV: what a value becomes, row by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from vna.errors import ConfigError
from vna.migration.rules.values import fault_of

HEAD = ["from", "to"]
MAX_MAP_BYTES = 64 * 2**20
"""A larger map would be a burden for every worker: it has to be split by `when`."""

_BOM = "\N{BYTE ORDER MARK}"


def read_map(path: Path) -> str:
    """The text of a map. Raises ConfigError, with the line, for a file that is no text."""
    try:
        if path.stat().st_size > MAX_MAP_BYTES:
            raise ConfigError(f"{path} has more than {MAX_MAP_BYTES >> 20} MiB: split the map")
        data = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}; check the path") from exc
    try:
        return data.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{path} line {line}: this is not UTF-8; save the file as UTF-8") from exc


def parse_map(name: str, text: str, vr: str) -> Mapping[str, str]:
    """What each value becomes, as an element of `vr`. Raises ConfigError for the first bad row, by its line."""
    found: dict[str, str] = {}
    for line, row in _rows(name, text):
        fault = _row_fault(row, vr)
        if not fault and found.get(row[0].strip(), row[1].strip()) != row[1].strip():
            fault = "this value stands in an earlier row, and becomes something else there"
        if fault:
            raise ConfigError(f"{name} line {line}: {fault}")
        found[row[0].strip()] = row[1].strip()
    if not found:
        raise ConfigError(f"{name} has no rows: each is a value and what it becomes")
    return found


def merged(table: Mapping[str, str]) -> int:
    """How many values become the same as another one does."""
    return len(table) - len(set(table.values()))


def _rows(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows behind the head that are not empty, with the line in which each ends."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = next(reader, [])
        if [cell.strip().lower() for cell in head] != HEAD:
            raise ConfigError(f"{name} line 1: the first line must be {','.join(HEAD)}")
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as exc:
        raise ConfigError(f"{name} line {reader.line_num}: {exc}; mend the row") from exc


def _row_fault(row: list[str], vr: str) -> str:
    if len(row) != len(HEAD):
        return f"{len(HEAD)} columns are wanted, separated by a comma, and {len(row)} are there"
    if not row[0].strip() or not row[0].isprintable():
        return "the first column is empty or not printable: name the value as the source has it"
    return fault_of(row[1].strip(), vr)
