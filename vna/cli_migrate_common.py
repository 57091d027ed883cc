"""What the commands of migrations share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
import orjson

from vna.cli_common import load
from vna.errors import ConfigError, NotFound
from vna.model.campaign import Campaign

if TYPE_CHECKING:
    from vna.index.campaigns import CampaignIndex
    from vna.index.database import Database

campaign_name = click.argument("name")
json_option = click.option("--json", "as_json", is_flag=True, help="JSON for machines.")


@contextmanager
def campaigns(options: Mapping[str, object]) -> Iterator[tuple[Database, CampaignIndex]]:
    """The ledger, its schema up to date."""
    from vna.bootstrap_database import open_database
    from vna.index.campaigns import CampaignIndex
    from vna.index.upgrade import upgrade

    config, _ = load(options)
    with open_database(config) as database:
        upgrade(database)
        with named():
            yield database, CampaignIndex(database)


@contextmanager
def named() -> Iterator[None]:
    """A campaign that is not there was named wrongly: raises ConfigError."""
    try:
        yield
    except NotFound as exc:
        raise ConfigError(str(exc)) from exc


def say(text: str, campaign: Campaign, as_json: bool) -> None:
    """What was done to a campaign."""
    document = {"campaign": campaign.name, "state": campaign.state.value, "did": text}
    click.echo(orjson.dumps(document) if as_json else text)


def say_count(text: str, count: int, as_json: bool) -> None:
    """What was done to so many studies."""
    click.echo(orjson.dumps({"studies": count, "did": text}) if as_json else text)
