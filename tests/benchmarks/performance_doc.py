"""Puts the figures of kept runs into docs/performance.md: `python -m tests.benchmarks.performance_doc`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import orjson

from tests.benchmarks import (
    plots,
    storage_frames,
    storage_index,
    storage_stores,
    storage_verification,
)
from tests.benchmarks.comparison import Comparison, Work, markdown
from tests.benchmarks.peer_report import PREFIX

DOCUMENT = Path("docs/performance.md")
RESULTS = Path("bench-results")
STORAGE = (
    storage_stores.INTO_BUCKET,
    storage_frames.FRAMES,
    storage_stores.ENCRYPTION,
    storage_verification.VERIFICATION,
    storage_index.INDEX,
)
"""The parts of `make bench` that tell how objects are kept."""
Kept = Mapping[str, Any]
"""A kept run, as its JSON file has it."""


def replaced(text: str, name: str, content: str) -> str:
    """`text` with the lines between the marks of this name replaced. Raises ValueError without the marks."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the document has no place for {name}")
    return f"{before}{begin}{content.strip()}\n{end}{after}"


def peers_text(run: Kept) -> str:
    """Date, machine, versions, settings, the table of a comparison."""
    size = run["size"]
    measured = f"Measured on {_day(run)} on a machine of this class: {run['machine']}"
    others = "tuned" if run.get("tuned_peers") else "as packaged"
    extent = f"{size['rounds']} rounds, {size['studies']} studies in the index"
    lines = [
        f"{measured}; {extent}, the others {others}.",
        "",
        *(
            f"- {peer['name']}: {peer['version']}; {'; '.join(peer['settings'])}"
            for peer in run["peers"]
        ),
        f"- the client alone: {run['client']}",
        "",
        markdown(map(comparison, run["rows"])),
    ]
    return "\n".join(lines)


def comparison(row: Kept) -> Comparison:
    """A row as it was kept."""
    work = Work(**{field.name: row[field.name] for field in fields(Work)})
    refused = {name: (count, sent) for name, (count, sent) in row.get("refused", {}).items()}
    return Comparison(work, row["figures"], row["failures"], refused, row.get("remark", ""))


def growth_text(runs: Sequence[Kept], directory: Path) -> str:
    """Draw each plot from the newest of the runs that has it; their pictures and where they come from."""
    parts = []
    for plot in plots.PLOTS:
        for run in runs:
            lines = plots.lines_of(run["rows"], plot.name) if run.get("is_whole") else {}
            if lines:
                drawn = plots.draw(plot, lines, directory)
                parts += [f"![{plot.title}]({drawn.name})", ""]
                parts += [
                    f"Measured on {_day(run)}; {run['machine']}.",
                    "",
                    _points(plot, lines),
                    "",
                ]
                break
    return "\n".join(parts)


def _points(plot: plots.Plot, lines: Mapping[str, plots.Line]) -> str:
    """The same figures as a table, a column for each x."""
    xs = sorted({x for line in lines.values() for x, _ in line})
    rows = [
        [f"{plot.y_label}, by {plot.x_label}", *(f"{x:g}" if x < 1e4 else f"{x:.0f}" for x in xs)]
    ]
    rows.append(["---"] * len(rows[0]))
    for name, line in lines.items():
        values = dict(line)
        rows.append([name, *(f"{values[x]:.3g}" if x in values else "–" for x in xs)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def storage_text(runs: Sequence[Kept]) -> str:
    """A table of each part of STORAGE, from the newest whole run that has it, and where that comes from."""
    parts = []
    for name in STORAGE:
        for run in runs:
            rows = [row for row in run["rows"] if run.get("is_whole") and row.get("part") == name]
            if rows:
                parts += [f"`{name}`, measured on {_day(run)}; {run['machine']}.", ""]
                parts += ["| | | beside it | × | to reach |", "| --- | --- | --- | --- | --- |"]
                parts += [*map(_storage_row, rows), ""]
                break
    return "\n".join(parts)


def _storage_row(row: Kept) -> str:
    beside = f"{_figure(row['floor'])} {row['floor_name']}" if row["floor_name"] else ""
    ratio = f"{row['ratio']:.2f}" if row["ratio"] is not None else ""
    cells = (row["name"], f"{_figure(row['value'])} {row['unit']}", beside, ratio, row["goal"])
    return f"| {' | '.join(cells)} |"


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _day(run: Kept) -> str:
    return str(run["at"])[:10]


def newest(directory: Path, *, of_peers: bool) -> list[Kept]:
    """The kept runs of one kind, the newest first."""
    paths = sorted(directory.glob("*.json"), key=lambda path: path.name.removeprefix(PREFIX))
    chosen = [path for path in reversed(paths) if path.name.startswith(PREFIX) == of_peers]
    return [orjson.loads(path.read_bytes()) for path in chosen]


def first_whole(runs: Iterable[Kept]) -> Kept | None:
    """The first run that was neither short nor asked for some rows only; None without one."""
    return next((run for run in runs if run.get("is_whole")), None)


@click.command()
@click.option(
    "--peers", "chosen", type=click.Path(exists=True, path_type=Path), help="A kept comparison."
)
def main(chosen: Path | None) -> None:
    """Write the newest whole comparison, or the one given, and the newest plots into the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    run = (
        orjson.loads(chosen.read_bytes()) if chosen else first_whole(newest(RESULTS, of_peers=True))
    )
    if run:
        text = replaced(text, "peers", peers_text(run))
    if growth := growth_text(newest(RESULTS, of_peers=False), DOCUMENT.parent):
        text = replaced(text, "growth", growth)
    if storage := storage_text(newest(RESULTS, of_peers=False)):
        text = replaced(text, "storage", storage)
    DOCUMENT.write_text(text, encoding="utf-8")
    click.echo(
        f"{DOCUMENT}: comparison {'written' if run else 'as it was'}, plots {'drawn' if growth else 'as they were'}"
    )


if __name__ == "__main__":
    sys.exit(main())
