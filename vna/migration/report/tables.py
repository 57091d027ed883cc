"""A report as tables of comma-separated values (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, fields

from vna.index.ledger_report import Amounts, ExceptionLine
from vna.migration.report.facts import CampaignFacts
from vna.model.campaign import REASONS

_AMOUNTS = tuple(field.name for field in fields(Amounts))
_EXCEPTION = tuple(field.name for field in fields(ExceptionLine))
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Row = Sequence[object]


def counts(campaigns: Sequence[CampaignFacts]) -> Iterator[bytes]:
    """Studies, instances and bytes by campaign, year and modality."""
    rows = (
        (found.name, "" if part.year is None else part.year, part.modality, *astuple(part.amounts))
        for found in campaigns
        for part in found.parts
    )
    return _table(("campaign", "year", "modality", *_AMOUNTS), rows)


def progress(campaigns: Sequence[CampaignFacts]) -> Iterator[bytes]:
    """What came, and what was verified, in each step of time in which anything happened."""
    rows = (
        (found.name, step.at.isoformat(), found.width, step.came, step.bytes, step.verified)
        for found in campaigns
        for step in found.steps
    )
    return _table(("campaign", "from", "seconds", "came", "bytes", "verified"), rows)


def exceptions(campaigns: Sequence[CampaignFacts]) -> Iterator[bytes]:
    """Every exception, with what its reason means."""
    rows = (
        (found.name, *astuple(line), REASONS.get(line.reason, ""))
        for found in campaigns
        for line in found.exceptions()
    )
    return _table(("campaign", *_EXCEPTION, "that_means"), rows)


def _table(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        yield _taken(text)
        writer.writerow([_harmless(value) for value in row])
    yield _taken(text)


def _harmless(value: object) -> object:
    """Spreadsheets take some texts for formulas, and sources write what they like."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _taken(text: io.StringIO) -> bytes:
    data = text.getvalue().encode("utf-8", "surrogateescape")
    text.seek(0)
    text.truncate()
    return data
