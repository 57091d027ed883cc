"""The commands of the trash: what lies in it, restoring it, sweeping it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

import click
import orjson

from vna.cli_common import common, load, operator
from vna.errors import NotFound

if TYPE_CHECKING:
    from vna.model.trash import TrashEntry


_ENTRY = click.IntRange(1, 2**63 - 1)


@click.group()
def trash() -> None:
    """What was deleted, until it is swept."""


@trash.command("list")
@common
@click.option("--study", default="", help="Of this Study Instance UID alone.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document for each entry.")
def list_(study: str, as_json: bool, **options: object) -> None:
    """List what can be restored, the oldest first."""
    from vna.bootstrap import build

    config, _ = load(options)
    with build(config) as archive:
        entries = archive.trash.entries(study)
        for line in _lines(entries, archive.trash.keep_days, as_json):
            click.echo(line)


@trash.command()
@common
@click.argument("entries", nargs=-1, required=True, type=_ENTRY)
def restore(entries: tuple[int, ...], **options: object) -> None:
    """Make what was deleted visible again, by the numbers that `vna trash list` shows."""
    from vna.bootstrap import build

    config, _ = load(options)
    failed = False
    with build(config) as archive:
        for number in entries:
            try:
                done = archive.trash.restore(number, operator())
            except NotFound as exc:
                click.echo(f"vna: {exc}", err=True)
                failed = True
                continue
            click.echo(
                f"entry {number}: {done.restored} instances restored, {done.duplicates} there already, "
                f"{done.conflicts} in conflict with others"
            )
    sys.exit(1 if failed else 0)


@trash.command()
@common
@click.argument("entries", nargs=-1, type=_ENTRY)
@click.option(
    "--days",
    type=click.IntRange(0, 365_000),
    default=None,
    help="What was deleted so many days ago or before.  [default: trash.keep_days]",
)
def sweep(entries: tuple[int, ...], days: int | None, **options: object) -> None:
    """Remove for good what is older than trash.keep_days, or of that only the entries named."""
    from vna.bootstrap import build

    config, _ = load(options)
    removed = failed = 0
    with build(config) as archive:
        for number in entries or (None,):
            swept = archive.trash.sweep(operator(), days, number)
            removed, failed = removed + swept.items, failed + swept.failed
    click.echo(f"{removed} removed for good")
    if failed:
        click.echo(f"vna: {failed} could not be removed now; the log says why", err=True)
    sys.exit(1 if failed else 0)


def _lines(entries: Iterable[TrashEntry], keep_days: int, as_json: bool) -> Iterable[str]:
    is_empty = True
    for entry in entries:
        is_empty = False
        yield (
            orjson.dumps(dataclasses.asdict(entry)).decode() if as_json else _line(entry, keep_days)
        )
    if is_empty and not as_json:
        yield "the trash is empty"


def _line(entry: TrashEntry, keep_days: int) -> str:
    """One entry, as a person reads it."""
    until = entry.deleted_at + timedelta(days=keep_days)
    uids = entry.uids
    names = (
        ("study", uids.study_instance_uid),
        ("series", uids.series_instance_uid),
        ("instance", uids.sop_instance_uid),
    )
    what = ", ".join(f"{level} {uid}" for level, uid in names if uid)
    state = f"being swept ({entry.swept})" if entry.swept else f"until {until:%Y-%m-%d %H:%M}"
    return (
        f"{entry.trash_id}: {what}: {entry.instances} instances, {entry.size} bytes, "
        f"deleted {entry.deleted_at:%Y-%m-%d %H:%M} by {entry.origin.peer or 'nobody named'} "
        f"({entry.origin.door} {entry.origin.address}), {state}"
    )
