"""A report as JSON, written piece by piece."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from vna import __version__
from vna.index.ledger_report import Amounts
from vna.migration.report.facts import CampaignFacts

FORMAT = "vna migration report"
VERSION = 1
_OPTIONS = orjson.OPT_UTC_Z


def pieces(campaigns: Sequence[CampaignFacts], made_at: datetime) -> Iterator[bytes]:
    """The document: each campaign with all its exceptions, one a line."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "made_at": made_at,
        "made_by": f"vna {__version__}",
    }
    yield _open(head) + b',"campaigns":['
    for number, found in enumerate(campaigns):
        yield b",\n" if number else b"\n"
        yield _open(document(found)) + b',"exceptions":['
        for place, line in enumerate(found.exceptions()):
            yield (b",\n" if place else b"\n") + orjson.dumps(dataclasses.asdict(line))
        yield b"]}"
    yield b"]}\n"


def document(found: CampaignFacts) -> dict[str, Any]:
    """What is said of a campaign but its exceptions, of which this has the numbers only."""
    rates = found.rates()
    return {
        **found.account,
        "total": _amounts(found.total),
        "years": [{"year": year, **_amounts(of)} for year, of in found.by_year()],
        "modalities": [{"modality": name, **_amounts(of)} for name, of in found.by_modality()],
        "years_and_modalities": [
            {"year": part.year, "modality": part.modality, **_amounts(part.amounts)}
            for part in found.parts
        ],
        "census": {
            name: [dataclasses.asdict(line) for line in lines]
            for name, lines in found.census.items()
        },
        "progress": {
            "step_seconds": found.width,
            "steps": [dataclasses.asdict(step) for step in found.steps],
        },
        "rates": None if rates is None else dataclasses.asdict(rates),
        "exceptions_by_reason": [dataclasses.asdict(line) for line in found.reasons],
    }


def _amounts(of: Amounts) -> dict[str, int | float]:
    share = of.verified / of.instances if of.instances else 0.0
    return {**dataclasses.asdict(of), "not_decided": of.open, "verified_share": share}


def _open(values: Mapping[str, Any]) -> bytes:
    """An object that goes on."""
    return orjson.dumps(values, option=_OPTIONS)[:-1]
