"""The commands that look at the source of a migration."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
import orjson

from vna.cli_common import common, load, stop_on_signals
from vna.cli_migrate_common import campaign_name, json_option
from vna.errors import ConfigError, NotFound, VnaError

if TYPE_CHECKING:
    from vna.bootstrap import Archive
    from vna.migration.sources.base import MigrationSource
    from vna.migration.stocktaking import Stock
    from vna.model.campaign import Campaign

_EVERY, _MINUTE = 1.0, 60.0


@click.command()
@common
@campaign_name
@json_option
def probe(name: str, as_json: bool, **options: object) -> None:
    """Measure what a campaign's source can do, on a few samples; nothing of them is kept."""
    from vna.migration.probe import probe as look
    from vna.migration.probe_text import probe_document, probe_lines

    with opened(name, options) as (_, campaign, source), stop_on_signals() as stopping:
        report = look(source, campaign.scope, stopping.is_set)
    associations = campaign.settings.ceilings.associations
    if as_json:
        click.echo(orjson.dumps(probe_document(report, associations)))
    else:
        click.echo("\n".join(probe_lines(report, associations)))


@click.command()
@common
@campaign_name
@click.option("--threads", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option(
    "--accept-gaps", is_flag=True, help="Count it as taken, although the source hides something."
)
@json_option
def inventory(name: str, threads: int, accept_gaps: bool, as_json: bool, **options: object) -> None:
    """List everything that a campaign's source has, down to the instances; the second time, what has changed.

    It may be stopped and repeated. Exit code 1 when it is not complete, or something could not be read.
    """
    from vna.index.inventory_ledger import InventoryLedger
    from vna.migration.stocktaking import Stocktaking

    with opened(name, options) as (archive, campaign, source), stop_on_signals() as stopping:
        ledger = InventoryLedger(archive.database)
        taking = Stocktaking(
            source,
            ledger,
            campaign,
            threads=threads,
            on_progress=stock_progress(Progress()),
            should_stop=stopping.is_set,
        )
        stock = taking.take(accepts_gaps=accept_gaps)
        years = ledger.years(campaign)
    if as_json:
        lines = [(y.year, y.modality, y.studies, y.instances, y.size) for y in years]
        click.echo(orjson.dumps({**stock_document(stock), "years": lines}))
    else:
        for line in years:
            click.echo(
                f"{line.year or 'no date':>8} {line.modality or '?':>8} {line.studies:>9} studies "
                f"{line.instances:>11} instances"
            )
        click.echo("\n".join(stock_lines(name, stock)))
    sys.exit(1 if stock.problem_count else 0)


@contextmanager
def opened(
    name: str, options: Mapping[str, object]
) -> Iterator[tuple[Archive, Campaign, MigrationSource]]:
    """The archive, the campaign and its source, which has let us in. Raises ConfigError."""
    from vna.bootstrap import build
    from vna.bootstrap_migration import opener_of
    from vna.index.campaigns import CampaignIndex

    config, _ = load(options)
    with build(config) as archive:
        try:
            campaign = CampaignIndex(archive.database).find(name)
        except NotFound as exc:
            raise ConfigError(str(exc)) from exc
        source = opener_of(archive)(campaign.source)
        try:
            try:
                source.check()
            except VnaError as exc:
                raise ConfigError(f"nothing was started: {exc}") from exc
            yield archive, campaign, source
        finally:
            source.close()


class Progress:
    """A line that is written over on a terminal, a line a minute elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._due = time.monotonic() + (0 if self._is_terminal else _MINUTE)

    def __call__(self, text: str) -> None:
        """Show `text`, if it is time to."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + (_EVERY if self._is_terminal else _MINUTE)
        click.echo(
            f"\r{text}   " if self._is_terminal else text, err=True, nl=not self._is_terminal
        )


def stock_progress(progress: Progress) -> Callable[[Stock], None]:
    """What tells of an inventory that goes on."""
    return lambda stock: progress(
        f"inventory: {stock.studies} studies, {stock.instances} instances listed so far"
    )


def stock_document(stock: Stock) -> dict[str, object]:
    """An inventory for machines."""
    return {
        "inventory": stock.number,
        "complete": stock.is_complete,
        "studies": stock.studies,
        "new_studies": stock.new_studies,
        "changed_studies": stock.changed_studies,
        "instances": stock.instances,
        "new_instances": stock.new_instances,
        "gone_instances": stock.gone,
        "problems": stock.problem_count,
        "problem_list": stock.problems,
    }


def stock_lines(name: str, stock: Stock) -> list[str]:
    """The same for people."""
    lines = [f"problem  {problem}" for problem in stock.problems]
    if stock.problem_count > len(stock.problems):
        lines.append(f"problem  and {stock.problem_count - len(stock.problems)} more")
    lines.append(
        f"inventory {stock.number} of {name}: {stock.studies} studies ({stock.new_studies} new, "
        f"{stock.changed_studies} changed), {stock.instances} instances listed "
        f"({stock.new_instances} new, {stock.gone} gone), {stock.problem_count} problems"
    )
    if not stock.is_complete:
        lines.append("it is not complete; when that can't be helped: --accept-gaps")
    return lines
