"""A table of the conformance statement, as Markdown or as values for a program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under `columns`, all of one width."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def markdown(self) -> str:
        """As a table of GitHub's Markdown; a line that says so when there are no rows."""
        if not self.rows:
            return "None."
        ruler = "|" + "---|" * len(self.columns)
        return "\n".join((_line(self.columns), ruler, *map(_line, self.rows)))

    def records(self) -> list[dict[str, str]]:
        """A dictionary for each row, by the names of the columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def table(columns: str, rows: Iterable[Row]) -> Table:
    """A table whose columns are named in `columns`, with bars between. Raises ValueError for a row of another
    width.
    """
    names, kept = tuple(name.strip() for name in columns.split("|")), tuple(rows)
    for row in kept:
        if len(row) != len(names):
            raise ValueError(f"{len(row)} values for the columns {', '.join(names)}")
    return Table(names, kept)


def code(number: int) -> str:
    """A status or reason as PS3.7 writes it: 0xA900."""
    return f"0x{number:04X}"


def yes(is_so: bool) -> str:
    """A truth for people."""
    return "yes" if is_so else "no"


def listed(items: Iterable[str], nothing: str = "none") -> str:
    """Items with commas between."""
    return ", ".join(items) or nothing


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", r"\|") for cell in cells) + " |"
