"""The SQL of the index, loaded by name."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import LiteralString


@cache
def load(name: str) -> LiteralString:
    """The text of the SQL file `name` ("schema", "queries/select", "upgrades/0001_pre_base")."""
    return resources.files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")


def upgrade_names() -> list[str]:
    """The names of all upgrades without their ending, in the order in which they apply."""
    folder = resources.files(__name__).joinpath("upgrades")
    return sorted(
        item.name.removesuffix(".sql") for item in folder.iterdir() if item.name.endswith(".sql")
    )


@cache
def newest_upgrade() -> int:
    """The number of the last upgrade that this code knows."""
    return int(upgrade_names()[-1][:4])
