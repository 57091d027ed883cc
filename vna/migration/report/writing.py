"""Writes reports to where they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from vna.errors import ConfigError
from vna.migration.report import document, html, tables
from vna.migration.report.facts import CampaignFacts
from vna.migration.whole_file import whole_file

FORMS = ("html", "json", "csv")
MOST_EXCEPTIONS = 2000
"""How many of them the page lists: a browser has to show it."""

Pieces = Callable[[Sequence[CampaignFacts]], Iterator[bytes]]
_TABLES: Mapping[str, Pieces] = {
    "counts.csv": tables.counts,
    "progress.csv": tables.progress,
    "exceptions.csv": tables.exceptions,
}


def is_directory(target: Path, form: str) -> bool:
    """Whether `target` is to hold several files: there is such a directory, or the name is of none of the forms."""
    return target.is_dir() or not (form or target.suffix[1:] in FORMS)


def write_report(
    campaigns: Sequence[CampaignFacts], made_at: datetime, target: Path, form: str = ""
) -> list[Path]:
    """What was written: in the directory `target` all forms, or `form` alone; else one file. A report that is there is
    replaced. Raises ConfigError for a place that can't be written to.
    """
    if not is_directory(target, form):
        _write(target, _one_file(campaigns, made_at, form or target.suffix[1:]))
        return [target]
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"{target} cannot be made: {exc.strerror}") from exc
    found = {
        target / name: pieces
        for name, pieces in _all_files(campaigns, made_at).items()
        if not form or name.endswith(form)
    }
    for path, pieces in found.items():
        _write(path, pieces)
    return list(found)


def _all_files(campaigns: Sequence[CampaignFacts], made_at: datetime) -> dict[str, Iterator[bytes]]:
    beside = "the others are in exceptions.csv beside this file"
    return {
        "report.html": _page(campaigns, made_at, beside),
        "report.json": document.pieces(campaigns, made_at),
        **{name: pieces(campaigns) for name, pieces in _TABLES.items()},
    }


def _one_file(campaigns: Sequence[CampaignFacts], made_at: datetime, form: str) -> Iterator[bytes]:
    if form == "csv":
        return tables.exceptions(campaigns)
    if form == "json":
        return document.pieces(campaigns, made_at)
    return _page(campaigns, made_at, "`vna migrate report --format csv` lists all of them")


def _page(campaigns: Sequence[CampaignFacts], made_at: datetime, rest: str) -> Iterator[bytes]:
    for piece in html.pages(campaigns, made_at, MOST_EXCEPTIONS, rest):
        yield piece.encode("utf-8", "replace")


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    with whole_file(path, replaces=True) as file:
        for piece in pieces:
            file.write(piece)
