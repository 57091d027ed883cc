"""The plots of a campaign."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from vna.index.ledger_report import Amounts
from vna.migration.report import page, plots
from vna.migration.report.facts import CampaignFacts, percent
from vna.migration.report.page import Column
from vna.migration.report.plots import Bar, Title
from vna.migration.report.scales import lasting, size, span, whole

_MOST_BARS = 20


def pictures(found: CampaignFacts, key: str) -> Iterator[str]:
    """What happened when, and what there is by year and modality."""
    yield from _over_time(found, key)
    if found.parts:
        bars = [
            _bar("none" if year is None else str(year), amounts)
            for year, amounts in found.by_year()
        ]
        words = "Instances by year of the study: verified, exceptions (hatched), and not decided or excluded (grey)."
        yield "<h3>By year</h3>\n"
        yield page.figure(
            plots.columns(Title(f"{key}-years", "Instances by year", words), bars), words
        )
        words = "Instances by modality, the most frequent first; colours as above."
        bars = [_bar(name or "none", amounts) for name, amounts in found.by_modality()[:_MOST_BARS]]
        yield "<h3>By modality</h3>\n"
        yield page.figure(
            plots.rows(Title(f"{key}-modalities", "Instances by modality", words), bars), words
        )


def _over_time(found: CampaignFacts, key: str) -> Iterator[str]:
    if not found.steps:
        yield page.paragraph("Nothing has been brought yet.")
        return
    yield "<h3>Over time</h3>\n"
    sums = list(accumulate(step.verified for step in found.steps))
    points = [(step.at, value) for step, value in zip(found.steps, sums, strict=True)]
    total = found.total.instances
    words = f"{whole(sums[-1])} of {whole(total)} listed instances are verified by the end."
    title = Title(f"{key}-growth", "Verified instances over time", words)
    yield page.figure(plots.growth(title, points, total), f"Verified instances over time. {words}")
    rates = found.rates()
    if rates is None:
        return
    each = span(found.width)
    words = (
        f"On average {rates.instances:.3g} instances/s and {size(rates.bytes)}/s while anything came "
        f"({lasting(rates.seconds)} in all), {rates.best:.3g} instances/s in the best {each}."
    )
    title = Title(f"{key}-rate", "Instances per second", words)
    speeds = [(step.at, step.came / found.width) for step in found.steps]
    yield page.figure(
        plots.rate(title, speeds, found.width),
        f"Instances per second, each bar one {each}. {words}",
    )
    rows = (
        (f"{step.at:%Y-%m-%d %H:%M:%S}", whole(step.came), size(step.bytes), whole(step.verified))
        for step in found.steps
    )
    columns = (Column("from"), Column("came", "n"), Column("size", "n"), Column("verified", "n"))
    yield from page.folded(
        "The numbers", page.table(f"Each {each} in which something came", columns, rows)
    )


def _bar(name: str, amounts: Amounts) -> Bar:
    return Bar(
        name,
        amounts.verified,
        amounts.exceptions,
        amounts.open + amounts.excluded,
        f"{whole(amounts.instances)}, {percent(amounts.verified, amounts.instances)}",
    )
