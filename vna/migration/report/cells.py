"""How amounts, moments and settings stand in the cells of tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydicom.uid import UID

from vna.index.ledger_report import Amounts, CensusLine
from vna.migration.report.facts import percent
from vna.migration.report.page import Column
from vna.migration.report.scales import size, whole

COUNTED = (
    *(Column("studies", "n"), Column("instances", "n"), Column("verified", "n")),
    *(Column("verified %", "n"), Column("exceptions", "n"), Column("excluded", "n")),
    *(Column("not decided", "n"), Column("size", "n")),
)
IN_CENSUS = tuple(Column(name, "n") for name in ("instances", "verified", "verified %", "size"))


def amounts(of: Amounts) -> tuple[str, ...]:
    """Below COUNTED."""
    return (
        *(whole(of.studies), whole(of.instances), whole(of.verified)),
        percent(of.verified, of.instances),
        *(whole(of.exceptions), whole(of.excluded), whole(of.open), size(of.bytes)),
    )


def line(of: CensusLine) -> tuple[str, ...]:
    """Below IN_CENSUS."""
    share = percent(of.verified, of.instances)
    return (whole(of.instances), whole(of.verified), share, size(of.bytes))


def uid_name(uid: str) -> str:
    """What the standard calls it, with the UID."""
    if not re.fullmatch(r"[0-9.]+", uid):
        return uid or "not told"
    name = UID(uid).name
    return uid if name == uid else f"{name} ({uid})"


def year(number: int | None) -> str:
    """Of a study."""
    return "no date" if number is None else str(number)


def time(at: datetime | None) -> str:
    """A moment, in UTC as all of them."""
    return "not ended" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def counted(value: Any) -> str:
    """A number, or several by name."""
    if isinstance(value, Mapping):
        return ", ".join(f"{whole(number)} {name}" for name, number in value.items()) or "none"
    return whole(value)


def plain(value: object) -> str:
    """A setting."""
    match value:
        case None | "" | () | []:
            return "–"
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{name} {plain(item)}" for name, item in value.items())
        case list() | tuple():
            return "; ".join(plain(item) for item in value)
        case _:
            return str(value)
