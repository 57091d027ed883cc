"""`vna import`: what the user sees of an import."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn, Protocol

import click
import orjson
from tqdm import tqdm

from vna.migration.candidates import Fate, Finding
from vna.migration.files import walk
from vna.migration.importer import Importer, ImportReport, ImportSettings, Store

EXIT_DONE, EXIT_FAILURES, EXIT_USAGE = 0, 1, 2
SKIPPED_SHOWN = 20
_MINUTE = 60.0
_LISTED = (Fate.CONFLICT, Fate.REFUSED, Fate.FAILED, Fate.SKIPPED)


def import_paths(
    store: Store,
    paths: Iterable[Path],
    *,
    workers: int | None = None,
    as_json: bool = False,
    progress: bool = True,
) -> int:
    """Import files, folders, zip archives and DICOMDIRs; returns the exit code.

    0: done. 1: finished, but files were refused or failed, or it was interrupted; they are listed.
    2: a path does not exist, nothing was imported. `workers` None: as many as suit the machine.
    Progress goes to stderr.
    """
    paths = list(paths)
    missing = [path for path in paths if not path.exists()]
    if missing:
        for path in missing:
            click.echo(f"vna: {path} does not exist", err=True)
        return EXIT_USAGE
    run = secrets.token_hex(6)
    meter = _meter(progress)
    listing = _Listing(meter, quiet=as_json)
    importer = Importer(store, ImportSettings(workers or 0, run=run), listing.show)
    started = time.monotonic()
    try:
        report = importer.run(walk(paths))
    finally:
        meter.close()
    seconds = time.monotonic() - started
    if as_json:
        click.echo(orjson.dumps(as_document(report, run, seconds)))
    else:
        click.echo(summary(report, seconds))
    return EXIT_FAILURES if report.has_failures else EXIT_DONE


def as_document(report: ImportReport, run: str, seconds: float) -> dict[str, object]:
    """The report for machines: counts by fate, and lists of what needs a look."""
    return {
        "run": run,
        "seconds": round(seconds, 3),
        "interrupted": report.interrupted,
        "total": report.total,
        "stored_bytes": report.stored_bytes,
        "counts": {str(fate): count for fate, count in report.counts.items()},
        **{str(fate): [_entry(found) for found in report.of(fate)] for fate in _LISTED},
    }


def summary(report: ImportReport, seconds: float) -> str:
    """The report for people."""
    counts = report.counts
    rate = counts[Fate.STORED] / seconds if seconds > 0 else 0.0
    first = (
        f"{report.total} files in {seconds:.1f} s: {counts[Fate.STORED]} stored "
        f"({report.stored_bytes / 2**20:.1f} MiB, {rate:.0f}/s), "
        f"{counts[Fate.DUPLICATE]} known already, {counts[Fate.CONFLICT]} in conflict, "
        f"{counts[Fate.REFUSED]} refused, {counts[Fate.FAILED]} failed, "
        f"{counts[Fate.SKIPPED]} skipped"
    )
    lines = [first]
    if report.interrupted:
        lines.append("interrupted: run the same command again to go on; nothing is stored twice")
    return "\n".join(lines)


def _entry(finding: Finding) -> dict[str, str]:
    entry = {"file": finding.name, "reason": finding.reason}
    if finding.sop_instance_uid:
        entry["sop_instance_uid"] = finding.sop_instance_uid
    return entry


class _Meter(Protocol):
    """Shows that the work goes on."""

    def count(self) -> None: ...
    def line(self, text: str) -> None: ...
    def close(self) -> None: ...


class _Bar:
    """A bar on a terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] = tqdm(desc="import", unit=" files", file=sys.stderr)

    def count(self) -> None:
        self._bar.update()

    def line(self, text: str) -> None:
        tqdm.write(text, file=sys.stdout)

    def close(self) -> None:
        self._bar.close()


class _Lines:
    """A line a minute where nobody watches."""

    def __init__(self) -> None:
        self._count, self._due = 0, time.monotonic() + _MINUTE

    def count(self) -> None:
        self._count += 1
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _MINUTE
            click.echo(f"import: {self._count} files so far", err=True)

    def line(self, text: str) -> None:
        click.echo(text)

    def close(self) -> None:
        """Nothing is open."""


class _Silent(_Lines):
    """No progress at all."""

    def count(self) -> None:
        """Nothing is shown."""


class _Listing:
    """Shows each file that needs a look as it comes; called by one thread at a time."""

    def __init__(self, meter: _Meter, *, quiet: bool) -> None:
        self._meter, self._quiet = meter, quiet
        self._skipped = 0

    def show(self, finding: Finding) -> None:
        """Count the file; a line for it unless it was stored or known."""
        self._meter.count()
        if self._quiet or finding.fate not in _LISTED:
            return
        if finding.fate is Fate.SKIPPED:
            self._skipped += 1
            if self._skipped == SKIPPED_SHOWN + 1:
                self._meter.line("skipped   … further ones are only counted; --json lists them")
            if self._skipped > SKIPPED_SHOWN:
                return
        self._meter.line(f"{finding.fate:9} {finding.name}: {finding.reason}")


def _meter(progress: bool) -> _Meter:
    if not progress:
        return _Silent()
    return _Bar() if sys.stderr.isatty() else _Lines()
