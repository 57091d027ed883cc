"""The commands of migrations: campaigns that bring whole archives over, with proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vna.cli_common import common, load, operator
from vna.cli_migrate_common import campaign_name, campaigns, json_option, named, say, say_count
from vna.cli_migrate_finish import finish
from vna.cli_migrate_options import (
    pace_options,
    rules_of,
    rules_option,
    scope_of,
    scope_options,
    settings_of,
    source_options,
    uids_of,
)
from vna.cli_migrate_proof import certificate, report
from vna.cli_migrate_rules import preview, rules
from vna.cli_migrate_source import inventory, probe
from vna.cli_migrate_watch import exceptions, status, work
from vna.errors import ConfigError, VnaError
from vna.model.campaign import (
    EXCEPTIONAL,
    Campaign,
    CampaignSettings,
    CampaignState,
    ItemState,
    NewCampaign,
)
from vna.model.migration import SourceSettings

if TYPE_CHECKING:
    from vna.index.campaigns import CampaignIndex

_uids = click.argument("uids", nargs=-1)
_file = click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file with one Study Instance UID a line.",
)


@click.group()
def migrate() -> None:
    """Bring whole archives over, and show that nothing was lost."""


for _command in (
    probe,
    inventory,
    status,
    exceptions,
    work,
    finish,
    certificate,
    report,
    preview,
    rules,
):
    migrate.add_command(_command)


@migrate.command()
def kinds() -> None:
    """List the kinds of sources, and the options of each."""
    from vna.migration.sources.registry import KINDS

    for name, kind in KINDS.items():
        click.echo(f"{name:10} {kind.what}\n{'':10} {', '.join(kind.options)}")


@migrate.command()
@common
@campaign_name
@click.option("--kind", required=True, help="Of the source; `vna migrate kinds` lists them.")
@click.option("--option", "pairs", multiple=True, help="KEY=VALUE, of the source; repeat it.")
@click.option(
    "--order", type=click.Choice(["newest", "oldest"]), default="newest", show_default=True
)
@scope_options
@pace_options
@rules_option("TOML file with tag rules; see docs/migration.md.")
@json_option
def add(
    name: str, kind: str, pairs: tuple[str, ...], order: str, as_json: bool, **options: object
) -> None:
    """A new campaign: where from, which studies, how fast. It does nothing until it is started."""
    from vna.migration.sources.registry import check_options

    source = SourceSettings(kind, source_options(pairs))
    check_options(source)
    settings = settings_of(options, CampaignSettings(order=order))
    new = NewCampaign(name, source, scope_of(options), settings, rules_of(options))
    with campaigns(options) as (_, index):
        campaign = index.add(new, operator())
    say(f"campaign {name} added; next: vna migrate inventory {name}", campaign, as_json)


@migrate.command()
@common
@campaign_name
@pace_options
@rules_option("TOML file with tag rules for what comes from now on; 'none': no rules.")
@json_option
def change(name: str, as_json: bool, **options: object) -> None:
    """Change how a campaign works; its workers follow within a second, with the next study."""
    from vna.index.campaign_rules import CampaignRules

    declared, did = rules_of(options), f"campaign {name} changed"
    with campaigns(options) as (database, index):
        campaign = index.find(name)
        index.change(campaign, settings_of(options, campaign.settings), operator())
        if declared is not None:
            number = CampaignRules(database).declare(campaign, declared, operator())
            did += f"; version {number} of its rules is in force"
        say(did, index.find(name), as_json)


@migrate.command()
@common
@campaign_name
@json_option
def start(name: str, as_json: bool, **options: object) -> None:
    """Have workers work on a campaign whose inventory is taken. The source is asked first whether it lets us in."""
    from vna.bootstrap import build
    from vna.bootstrap_migration import opener_of
    from vna.index.campaigns import CampaignIndex
    from vna.index.inventory_ledger import InventoryLedger

    config, _ = load(options)
    with build(config) as archive, named():
        index = CampaignIndex(archive.database)
        campaign = index.find(name)
        if not campaign.inventory:
            raise ConfigError(f"take an inventory first: vna migrate inventory {name}")
        try:
            source = opener_of(archive)(campaign.source)
            try:
                source.check()
            finally:
                source.close()
        except VnaError as exc:
            raise ConfigError(f"nothing was started: {exc}") from exc
        _set_state(index, campaign, CampaignState.RUNNING, as_json)
        if InventoryLedger(archive.database).is_open(campaign):
            click.echo(f"its inventory is not complete: vna migrate inventory {name}", err=True)


@migrate.command()
@common
@campaign_name
@json_option
def pause(name: str, as_json: bool, **options: object) -> None:
    """Have workers stop within two seconds; nothing that has come is lost."""
    with campaigns(options) as (_, index):
        _set_state(index, index.find(name), CampaignState.PAUSED, as_json)


@migrate.command()
@common
@campaign_name
@json_option
def resume(name: str, as_json: bool, **options: object) -> None:
    """Go on with a campaign that was paused."""
    with campaigns(options) as (_, index):
        campaign = index.find(name)
        if campaign.state is CampaignState.NEW:
            raise ConfigError(f"campaign {name} was not started yet: vna migrate start {name}")
        _set_state(index, campaign, CampaignState.RUNNING, as_json)


@migrate.command()
@common
@campaign_name
@_uids
@_file
@json_option
def prioritise(
    name: str, uids: tuple[str, ...], file: Path | None, as_json: bool, **options: object
) -> None:
    """Have these studies go before all others, in this order."""
    with campaigns(options) as (_, index):
        wanted = uids_of(uids, file)
        known = index.prioritise(index.find(name), wanted, operator())
    say_count(f"{known} of {len(wanted)} studies go first", known, as_json)


@migrate.command()
@common
@campaign_name
@_uids
@_file
@click.option("--because", default="", help="Why; it is shown with the exceptions.")
@json_option
def exclude(
    name: str,
    uids: tuple[str, ...],
    file: Path | None,
    because: str,
    as_json: bool,
    **options: object,
) -> None:
    """Have these studies not transferred, as far as they are not."""
    with campaigns(options) as (_, index):
        wanted = uids_of(uids, file)
        known = index.exclude(index.find(name), wanted, because, operator())
    say_count(f"{known} of {len(wanted)} studies excluded", known, as_json)


@migrate.command()
@common
@campaign_name
@click.option("--study", "studies", multiple=True, help="Only this Study Instance UID.")
@click.option("--reason", default="", help="Only what is where it is for this reason.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in (*EXCEPTIONAL, ItemState.VERIFIED)]),
    help="Only what is in this state.  [default: parked, failed, mismatched]  "
    "verified: it is read from the storage again, and not fetched.",
)
@json_option
def retry(
    name: str,
    studies: tuple[str, ...],
    reason: str,
    states: tuple[str, ...],
    as_json: bool,
    **options: object,
) -> None:
    """Try exceptions again, with all their attempts."""
    chosen = states or ("parked", "failed", "mismatched")
    with campaigns(options) as (_, index):
        count = index.retry(
            index.find(name),
            operator(),
            states=[ItemState(state) for state in chosen],
            uids=studies or None,
            reason=reason,
        )
    say_count(f"{count} studies are tried again", count, as_json)


@migrate.command()
@common
@campaign_name
@click.option("--yes", is_flag=True, help="Without it nothing is removed.")
@json_option
def remove(name: str, yes: bool, as_json: bool, **options: object) -> None:
    """Forget a campaign and its ledger: the proof of what it brought. What it brought stays."""
    with campaigns(options) as (_, index):
        campaign = index.find(name)
        if campaign.state is CampaignState.RUNNING:
            raise ConfigError(f"campaign {name} is running: vna migrate pause {name}")
        if not yes:
            raise ConfigError(
                "the ledger is the only proof of the migration: say --yes to remove it"
            )
        index.remove(campaign, operator())
    say(f"campaign {name} removed", campaign, as_json)


def _set_state(
    index: CampaignIndex, campaign: Campaign, state: CampaignState, as_json: bool
) -> None:
    if not index.set_state(campaign, state, operator()):
        found = index.find(campaign.name)
        if found.state is not state:
            raise ConfigError(
                f"campaign {campaign.name} is {found.state.value}, it can't become {state.value}"
            )
    say(f"campaign {campaign.name} is {state.value}", index.find(campaign.name), as_json)
