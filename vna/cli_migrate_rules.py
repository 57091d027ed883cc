"""The commands about the tag rules of a migration."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import orjson

from vna.cli_common import common, stop_on_signals
from vna.cli_migrate_common import campaign_name, campaigns, json_option, named
from vna.cli_migrate_options import rules_of, rules_option
from vna.cli_migrate_source import opened
from vna.errors import ConfigError, VnaError

if TYPE_CHECKING:
    from vna.index.campaign_rules import CampaignRules
    from vna.migration.rules.preview import Previewer
    from vna.model.campaign import Campaign
    from vna.model.rules import RulesText, RulesVersion


@click.command()
@common
@campaign_name
@click.option("--count", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option("--study", default="", help="Look at each series of the study with this UID instead.")
@rules_option("Try these rules instead of those of the campaign, which stay as they are.")
@json_option
def preview(name: str, count: int, study: str, as_json: bool, **options: object) -> None:
    """Fetch samples and show what the rules would make of them, before and after; nothing is stored.

    Exit code 1 when a sample did not come, or would be parked.
    """
    from vna.index.campaign_rules import CampaignRules
    from vna.index.transfer_ledger import TransferLedger
    from vna.migration.rules.preview_text import preview_document, preview_lines
    from vna.migration.rules.samples import Sampling, Wanted

    tried = rules_of(options)
    with opened(name, options) as (archive, campaign, source), stop_on_signals() as stopping:
        previewer = _previewer(CampaignRules(archive.database), campaign, tried)
        sampling = Sampling(source, TransferLedger(archive.database), campaign)
        found = previewer.preview
        try:
            found.missed += sampling.run(Wanted(count, study), previewer.look, stopping.is_set)
        except VnaError as exc:
            raise ConfigError(f"no more samples can be fetched: {exc}") from exc
    if as_json:
        click.echo(orjson.dumps(preview_document(found)))
    else:
        click.echo("\n".join(preview_lines(found)))
    sys.exit(0 if found.is_clean else 1)


@click.command()
@common
@campaign_name
@click.option("--show", type=click.IntRange(1), help="Print the text of this version.")
@json_option
def rules(name: str, show: int | None, as_json: bool, **options: object) -> None:
    """List the versions of a campaign's rules; the last one is in force."""
    from vna.index.campaign_rules import CampaignRules

    with campaigns(options) as (database, index), named():
        campaign, kept = index.find(name), CampaignRules(database)
        versions = [kept.version(campaign, show)] if show else kept.versions(campaign)
    if as_json:
        click.echo(orjson.dumps([_document(version) for version in versions]))
    elif show:
        click.echo(versions[0].rules.text, nl=False)
    else:
        lines = [_line(version) for version in versions]
        click.echo("\n".join(lines or [f"campaign {name} has no rules: nothing is corrected"]))


def _previewer(kept: CampaignRules, campaign: Campaign, tried: RulesText | None) -> Previewer:
    """Raises ConfigError when there are no rules to look at."""
    from vna.migration.rules.correcting import Corrector, Terms
    from vna.migration.rules.declaration import parse_rules
    from vna.migration.rules.preview import Previewer

    number = kept.newest(campaign)
    if tried is None and not number:
        raise ConfigError(
            f"campaign {campaign.name} has no rules: declare some with "
            f"`vna migrate change {campaign.name} --rules FILE`, or try some with --rules FILE"
        )
    found = parse_rules(tried or kept.version(campaign, number).rules)
    return Previewer(found, Corrector(found, Terms()))


def _document(version: RulesVersion) -> dict[str, object]:
    return {
        "version": version.version,
        "declared_at": version.declared_at,
        "declared_by": version.declared_by,
        "digest": version.digest,
        "system": version.rules.system,
        "text": version.rules.text,
        "maps": {name: _rows(text) for name, text in version.rules.maps.items()},
    }


def _line(version: RulesVersion) -> str:
    maps = [f"{name} ({_rows(text)} rows)" for name, text in version.rules.maps.items()]
    what = "no rules" if not version.rules.text else ", ".join(["rules", *maps])
    return (
        f"version {version.version}, {version.declared_at:%Y-%m-%d %H:%M:%S %Z} by {version.declared_by}: "
        f"{what}; {version.digest}"
    )


def _rows(text: str) -> int:
    """Of a map, without its head."""
    return sum(1 for line in text.splitlines() if line.strip()) - 1
