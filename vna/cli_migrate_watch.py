"""The commands that work on migrations, and show how far they are."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import orjson

from vna.cli_common import common, load, stop_on_signals
from vna.cli_migrate_common import campaign_name, campaigns, json_option, named
from vna.errors import VnaError
from vna.model.campaign import Campaign

if TYPE_CHECKING:
    from vna.index.campaigns import CampaignIndex
    from vna.index.database import Database

_WATCH_EVERY = 2.0


@click.command()
@common
@click.argument("name", required=False)
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
@json_option
def status(name: str | None, watch: bool, as_json: bool, **options: object) -> None:
    """How far campaigns are: states, rate, the time that is left, who works on them."""
    with campaigns(options) as (database, index), stop_on_signals() as stopping:
        while True:
            shown = [index.find(name)] if name else index.all()
            if watch and not as_json:
                click.clear()
            _show(database, shown, as_json)
            if not watch or stopping.wait(_WATCH_EVERY):
                return


@click.command()
@common
@campaign_name
@json_option
def exceptions(name: str, as_json: bool, **options: object) -> None:
    """List what went wrong so far, each with its reason. Exit code 1 when there is anything."""
    from vna.index.ledger_status import LedgerStatusIndex
    from vna.migration.status_text import exception_document, exception_lines

    count = 0
    with campaigns(options) as (database, index):
        for found in LedgerStatusIndex(database).exceptions(index.find(name)):
            count += 1
            if as_json:
                click.echo(orjson.dumps(exception_document(found)))
            else:
                click.echo("\n".join(exception_lines(found)))
    if not count and not as_json:
        click.echo("no exceptions")
    sys.exit(1 if count else 0)


@click.command()
@common
@click.argument("name", required=False, default="")
@click.option("--until-done", is_flag=True, help="End when no campaign runs any more.")
@json_option
def work(name: str, until_done: bool, as_json: bool, **options: object) -> None:
    """Work on campaigns that run, in the foreground, beside the workers of `vna serve`. Ctrl-C ends it."""
    from vna.bootstrap import build
    from vna.bootstrap_migration import opener_of, tools_of
    from vna.index.campaigns import CampaignIndex
    from vna.migration.workers import MigrationWorkers

    config, _ = load(options)
    with build(config) as archive, stop_on_signals() as stopping, named():
        index = CampaignIndex(archive.database)
        if name:
            index.find(name)
        workers = MigrationWorkers(index, lambda: tools_of(archive), opener_of(archive))
        ended = threading.Event()
        teller = threading.Thread(target=_tell, args=(archive.database, index, name, ended))
        teller.start()
        try:
            workers.run(stopping, name, until_done=until_done)
        finally:
            ended.set()
            teller.join()
        shown = [campaign for campaign in index.all() if name in {"", campaign.name}]
        _show(archive.database, shown, as_json)


def _tell(database: Database, index: CampaignIndex, name: str, ended: threading.Event) -> None:
    """A line a minute, or a line that is written over and over on a terminal."""
    from vna.index.ledger_status import LedgerStatusIndex
    from vna.migration.status_text import remaining

    reader, is_terminal = LedgerStatusIndex(database), sys.stderr.isatty()
    while not ended.wait(1.0 if is_terminal else 60.0):
        try:
            for campaign in index.running():
                if name in {"", campaign.name}:
                    left = remaining(reader.status(campaign))
                    text = f"{time.strftime('%H:%M:%S')} {campaign.name}: {left} instances left"
                    click.echo(
                        f"\r{text}   " if is_terminal else text, err=True, nl=not is_terminal
                    )
        except VnaError as exc:
            click.echo(f"vna: {exc}", err=True)


def _show(database: Database, campaigns: Sequence[Campaign], as_json: bool) -> None:
    from vna.index.final_checks import FinalCheckIndex
    from vna.index.ledger_status import LedgerStatusIndex
    from vna.migration.status_text import status_document, status_lines

    reader, checks = LedgerStatusIndex(database), FinalCheckIndex(database)
    for campaign in campaigns:
        found, check = reader.status(campaign), checks.newest(campaign)
        if as_json:
            click.echo(orjson.dumps(status_document(campaign, found, check)))
        else:
            click.echo("\n".join(status_lines(campaign, found, check)))
    if not campaigns and not as_json:
        click.echo("no campaigns; `vna migrate add` makes one")
