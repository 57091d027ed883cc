"""The command that ends a migration."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import orjson

from vna.cli_common import common, operator, stop_on_signals
from vna.cli_migrate_common import campaign_name, json_option
from vna.cli_migrate_source import Progress, opened, stock_document, stock_lines, stock_progress
from vna.errors import ConfigError
from vna.model.campaign import CampaignState

if TYPE_CHECKING:
    from vna.migration.finishing import Finish


@click.command()
@common
@campaign_name
@click.option("--reread", is_flag=True, help="Read every object of the campaign again.")
@click.option("--threads", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option("--accept-gaps", is_flag=True, help="Go on, although the source hides something.")
@click.option(
    "--accept-exceptions",
    is_flag=True,
    help="Finish with what is parked or mismatched: somebody has looked at all of it.",
)
@json_option
def finish(name: str, threads: int, as_json: bool, **options: object) -> None:
    """End a campaign: look whether the source has anything new, then compare the whole ledger with the archive.

    What is new is queued, and the campaign goes on (exit code 1): finish it again when that is done. The check is kept
    in the ledger; one that is cut off goes on where it was.
    """
    from vna.bootstrap_migration import tools_of
    from vna.migration.finishing import Finishing, FinishOptions, Watcher

    with opened(name, options) as (archive, campaign, source), stop_on_signals() as stopping:
        if campaign.state is CampaignState.NEW:
            raise ConfigError(f"campaign {name} was not started yet: vna migrate start {name}")
        progress = Progress()
        watcher = Watcher(
            stock_progress(progress),
            lambda found: progress(f"final check: {found.checked} instances checked so far"),
            stopping.is_set,
        )
        how = FinishOptions(
            bool(options["reread"]),
            threads,
            bool(options["accept_gaps"]),
            bool(options["accept_exceptions"]),
        )
        finished = Finishing(archive.database, tools_of(archive), watcher).run(
            campaign, source, how, operator()
        )
    _say(name, finished, as_json)
    sys.exit(1 if finished.why_not else 0)


def _say(name: str, finished: Finish, as_json: bool) -> None:
    from vna.migration.final_check_text import check_document, check_lines

    check, why_not = finished.check, finished.why_not
    if as_json:
        document = {
            "campaign": name,
            "finished": not why_not,
            "why_not": why_not,
            "inventory": stock_document(finished.stock),
            "final_check": None if check is None else check_document(check),
        }
        click.echo(orjson.dumps(document))
        return
    click.echo("\n".join(stock_lines(name, finished.stock)))
    if check is not None:
        click.echo("\n".join(("final check", *check_lines(check))))
    click.echo(f"{name} is not finished: {why_not}" if why_not else f"{name} is finished")
