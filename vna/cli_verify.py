"""The commands that compare index and storage, and make the one from the other."""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import TYPE_CHECKING

import click
import orjson

from vna.cli_common import common, load, operator, stop_on_signals
from vna.model.verification import FAULTS, Coverage, Fault, Finding, Run

if TYPE_CHECKING:
    from vna.bootstrap import Archive
    from vna.services.verification import HowToVerify

_EVERY = 60.0
_MIB = 2**20


@click.command()
@common
@click.option("--study", default="", help="Only the objects of this Study Instance UID.")
@click.option("--backend", "only", default="", help="Only this backend, and the rows that name it.")
@click.option("--sample", type=click.IntRange(1), help="Only so many objects, chosen at random.")
@click.option("--quick", is_flag=True, help="Compare names and sizes; read no object.")
@click.option(
    "--repair",
    is_flag=True,
    help="Write lost and damaged objects anew from healthy copies, adopt objects that the index lacks; nothing is "
    "removed but what is kept twice and was read again.",
)
@click.option("--rate", type=click.IntRange(0), default=0, help="MiB a second at most; 0: all.")
@click.option("--threads", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option(
    "--young",
    type=click.IntRange(0),
    default=86_400,
    show_default=True,
    help="Seconds in which an object without a row is left alone.",
)
@click.option(
    "--report", is_flag=True, help="List the runs so far, the newest first; verify nothing."
)
@click.option(
    "--status", is_flag=True, help="How much of each backend was read, and when; verify nothing."
)
@click.option("--json", "as_json", is_flag=True, help="A JSON document a finding, the totals last.")
def verify(**options: object) -> None:
    """Compare index and storage: every row its object, every object its row, every byte its digest.

    The whole archive goes on where the last run was cut off. Exit code 0: no fault is left; 1: there are some, listed.
    """
    from vna.bootstrap import build
    from vna.services.verification import HowToVerify

    config, _ = load(options)
    how = HowToVerify(
        operator(),
        is_deep=not options["quick"],
        repairs=bool(options["repair"]),
        rate=int(str(options["rate"])) * _MIB,
        threads=int(str(options["threads"])),
        young=float(str(options["young"])),
        only=str(options["only"]),
    )
    with build(config) as archive:
        telling = _Telling(bool(options["as_json"]))
        if options["report"]:
            left = 0
            telling.runs(archive.verification.index.runs())
        elif options["status"]:
            left = 0
            telling.coverage(archive.verification.coverage())
        elif options["study"] or options["sample"]:
            left = _some(archive, how, telling, str(options["study"]), options["sample"])
        else:
            left = _everything(archive, how, telling)
    sys.exit(1 if left else 0)


@click.command()
@common
@click.option("--threads", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="A JSON document at the end.")
def rebuild(threads: int, as_json: bool, **options: object) -> None:
    """Make the index anew from the objects alone; what it names already stays as it is.

    What was cut off goes on when it is started again. Exit code 1: some objects are no DICOM or can't be read; they are
    listed and stay.
    """
    from vna.bootstrap import build

    config, _ = load(options)
    telling = _Telling(as_json)
    with build(config) as archive, stop_on_signals() as stopping:
        rebuilt = archive.rebuilding.rebuild(
            operator(),
            lambda place, reason: click.echo(f"not taken: {place.key}: {reason}", err=True),
            lambda done: telling.progress(done.objects, done.size),
            stopping.is_set,
            threads,
        )
        counts = {outcome.value: count for outcome, count in rebuilt.outcomes.items()}
        total = {"objects": rebuilt.objects, "bytes": rebuilt.size, **counts}
        total["refused"] = rebuilt.refused
    listed = ", ".join(f"{count} {name}" for name, count in total.items())
    click.echo(orjson.dumps(total).decode() if as_json else listed)
    if stopping.is_set():
        click.echo("vna: stopped; the same command goes on from here", err=True)
    sys.exit(1 if rebuilt.refused or stopping.is_set() else 0)


def _some(archive: Archive, how: HowToVerify, telling: _Telling, study: str, sample: object) -> int:
    index = archive.verification.index
    rows = index.rows_of_study(study) if study else index.sample(int(str(sample)))
    tally = archive.verification.rows(
        rows, how, telling.finding, lambda seen: telling.progress(seen.objects, seen.size)
    )
    telling.end(tally.objects, tally.size, dict(tally.found), tally.left)
    return tally.left


def _everything(archive: Archive, how: HowToVerify, telling: _Telling) -> int:
    with stop_on_signals() as stopping:
        run = archive.verification.everything(
            how,
            telling.finding,
            lambda _, tally: telling.progress(tally.objects, tally.size),
            stopping.is_set,
        )
    telling.end(run.objects, run.size, dict(telling.found), run.faults)
    if run.ended_at is None:
        click.echo("vna: stopped; the same command goes on from here", err=True)
        return 1
    return run.faults


class _Telling:
    """What a person, or a program, is told."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._began = time.monotonic()
        self._is_terminal = sys.stderr.isatty()
        self._told_at = self._began
        self.found: dict[Fault, int] = {}

    def finding(self, finding: Finding) -> None:
        """A fault, as soon as it is found."""
        self.found[finding.fault] = self.found.get(finding.fault, 0) + 1
        click.echo(
            orjson.dumps(dataclasses.asdict(finding)).decode() if self._as_json else _line(finding)
        )

    def progress(self, objects: int, size: int) -> None:
        """Where the work is: often on a terminal, a line a minute elsewhere."""
        now = time.monotonic()
        if now - self._told_at < (0.5 if self._is_terminal else _EVERY):
            return
        self._told_at = now
        rate = size / _MIB / max(now - self._began, 1e-9)
        text = f"{objects} objects, {size / 2**30:.1f} GiB, {rate:.0f} MiB/s"
        click.echo(
            f"\r{text}   " if self._is_terminal else text, err=True, nl=not self._is_terminal
        )

    def runs(self, runs: list[Run]) -> None:
        """What was looked at, and when."""
        for run in runs:
            click.echo(
                orjson.dumps(dataclasses.asdict(run)).decode() if self._as_json else _run_line(run)
            )
        if not runs and not self._as_json:
            click.echo("nothing was verified so far")

    def coverage(self, backends: list[Coverage]) -> None:
        """How much of each backend was read, and when."""
        for found in backends:
            document = dataclasses.asdict(found) | {"share": found.share}
            click.echo(orjson.dumps(document).decode() if self._as_json else _coverage_line(found))

    def end(self, objects: int, size: int, found: dict[Fault, int], left: int) -> None:
        """The totals."""
        if self._is_terminal:
            click.echo("", err=True)
        if self._as_json:
            counts = {fault.value: count for fault, count in found.items()}
            total = {"objects": objects, "bytes": size, "found": counts, "left": left}
            click.echo(orjson.dumps(total).decode())
            return
        click.echo(f"{objects} objects, {size / 2**30:.2f} GiB; {_summary(found, left)}")


def _summary(found: dict[Fault, int], left: int) -> str:
    if not found and not left:
        return "index and storage agree"
    counts = ", ".join(f"{count} {fault.value}" for fault, count in found.items())
    return f"{counts or 'nothing new'}; {left} left"


def _line(finding: Finding) -> str:
    """One finding, as a person reads it."""
    what = finding.uids.sop_instance_uid
    parts = [
        f"{finding.fault.value}: {finding.location.backend} {finding.location.key}",
        f"({finding.owner} {what})" if what else "",
        f"- {FAULTS[finding.fault]}",
        f"[{finding.detail}]" if finding.detail else "",
        f"-> {finding.repaired}" if finding.repaired else "",
    ]
    return " ".join(part for part in parts if part)


def _run_line(run: Run) -> str:
    """One run, as a person reads it."""
    ended = (
        f"{run.ended_at:%Y-%m-%d %H:%M}"
        if run.ended_at
        else f"open at {run.backend} {run.position}"
    )
    kind = "every byte" if run.is_deep else "names and sizes"
    where = f" of {run.only}" if run.only else ""
    return (
        f"{run.began_at:%Y-%m-%d %H:%M} to {ended}{where}: {kind} of {run.objects} objects, "
        f"{run.size / 2**30:.2f} GiB; {run.faults} faults left"
    )


def _coverage_line(found: Coverage) -> str:
    """What was read of one backend, as a person reads it."""
    whole = "never read as a whole"
    if found.began_at and found.ended_at:
        whole = (
            f"all that was there on {found.began_at:%Y-%m-%d %H:%M} was read by {found.ended_at:%Y-%m-%d %H:%M}, "
            f"{found.faults} faults left"
        )
    reading = ""
    if found.open_since and found.open_seen_at:
        share = min(1.0, found.open_objects / max(found.objects, 1))
        reading = (
            f"; {share:.0%} read again since {found.open_since:%Y-%m-%d %H:%M} "
            f"(last at {found.open_seen_at:%Y-%m-%d %H:%M})"
        )
    return f"{found.backend}: {found.share:.0%} of about {found.objects} objects covered; {whole}{reading}"
