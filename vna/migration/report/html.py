"""A report as one page of HTML, written piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from itertools import islice

from vna import __version__
from vna.migration.report import cells, page
from vna.migration.report.facts import CampaignFacts
from vna.migration.report.page import Column
from vna.migration.report.pictures import pictures
from vna.migration.report.sections import (
    background,
    census,
    exceptions,
    final_check,
    verdict,
    year_tables,
)


def pages(
    campaigns: Sequence[CampaignFacts], made_at: datetime, most: int, rest: str
) -> Iterator[str]:
    """The page. At most `most` exceptions of a campaign are listed; `rest` says where the others are."""
    names = ", ".join(found.name for found in campaigns)
    yield page.head(f"Migration report: {names}")
    yield f"<header><h1>{escape(f'Migration report: {names}')}</h1>"
    yield page.paragraph(
        f"State of the ledger at {made_at:%Y-%m-%d %H:%M:%S} UTC. All times are UTC. "
        "Verified means: read again from the storage after it had come, and found to be what came and "
        "what the source says it has.",
        "soft",
    )
    yield "</header>\n"
    if len(campaigns) > 1:
        yield from _overview(campaigns)
    for number, found in enumerate(campaigns):
        yield from _campaign(found, f"c{number}", most, rest)
    yield page.foot(
        f"Made by vna {__version__}. This file is complete in itself and asks for nothing."
    )


def _overview(campaigns: Sequence[CampaignFacts]) -> Iterator[str]:
    rows = [
        (
            found.name,
            found.account["source"]["kind"],
            found.account["campaign"]["state"],
            *cells.amounts(found.total),
        )
        for found in campaigns
    ]
    columns = (Column("campaign"), Column("source"), Column("state"), *cells.COUNTED)
    yield from page.table("By source", columns, rows)


def _campaign(found: CampaignFacts, key: str, most: int, rest: str) -> Iterator[str]:
    yield f'<section aria-labelledby="{key}"><h2 id="{key}">{escape(found.name)}</h2>\n'
    yield verdict(found)
    names = (column.name for column in cells.COUNTED)
    yield page.facts(zip(names, cells.amounts(found.total), strict=True))
    yield from final_check(found)
    yield from pictures(found, key)
    yield from year_tables(found)
    yield from census(found)
    yield from exceptions(found, islice(found.exceptions(), most), most, rest)
    yield from background(found)
    yield "</section>\n"
