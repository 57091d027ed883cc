"""What a source has, as inventories find it, in the ledger."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from vna.index.database import Connection, Database
from vna.index.jsonb import to_jsonb, to_text
from vna.index.sql import load
from vna.model.campaign import Campaign
from vna.model.migration import FoundInstance, FoundStudy

_FIRST_DAY = date(1, 1, 1)
_LAST_RANK = 4_000_000


@dataclass(frozen=True, slots=True)
class RecordedStudies:
    """How many studies of a batch the ledger did not know, knew otherwise, and knew so."""

    new: int = 0
    changed: int = 0
    same: int = 0


@dataclass(frozen=True, slots=True)
class RecordedInstances:
    """How many instances of a study the ledger did not know, knew, and has although the source does not any more."""

    new: int = 0
    same: int = 0
    gone: int = 0


@dataclass(frozen=True, slots=True)
class YearLine:
    """Studies with instances of a modality in a year (None: no date); with several modalities one counts in each."""

    year: int | None
    modality: str
    studies: int
    instances: int
    size: int


class InventoryLedger:
    """Where inventories write. Shared by all threads; everything raises Unavailable, and is harmless to repeat.

    No row is ever removed: what the source does not have any more is told apart by the number of the inventory that
    saw it last.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, campaign: Campaign) -> int:
        """The number of a new inventory, or of the one that was cut off."""
        return int(self._rows("migration_inventory_begin", campaign=campaign.campaign_id)[0][0])

    def is_open(self, campaign: Campaign) -> bool:
        """Whether an inventory is under way, or was cut off."""
        return bool(self._rows("migration_inventory_open", campaign=campaign.campaign_id)[0][0])

    def end(self, campaign: Campaign, number: int) -> None:
        """The inventory has seen everything."""
        values = {"campaign": campaign.campaign_id, "number": number}
        self._database.attempt(lambda c: c.execute(load("queries/migration_inventory_end"), values))

    def studies(
        self, campaign: Campaign, number: int, found: Sequence[FoundStudy]
    ) -> RecordedStudies:
        """Write down studies; one that comes twice is one. Those that are new, or told otherwise than before, or
        without a number of instances, are to be listed.
        """
        once = {to_text(study.study_instance_uid): study for study in found}
        dates = [date_of(study.study_date) for study in once.values()]
        rows = self._rows(
            "migration_studies",
            campaign=campaign.campaign_id,
            number=number,
            uids=list(once),
            ranks=[rank_of(day, campaign.settings.order) for day in dates],
            claims=[study.number_of_instances for study in once.values()],
            dates=dates,
            found=[to_jsonb(_tree(study)) for study in once.values()],
        )
        new = sum(is_new for is_new, _ in rows)
        changed = sum(is_unlisted and not is_new for is_new, is_unlisted in rows)
        return RecordedStudies(new, changed, len(rows) - new - changed)

    def unlisted(
        self, campaign: Campaign, number: int, after: int = 0, limit: int = 100
    ) -> list[tuple[int, FoundStudy]]:
        """Studies of this inventory, by their ids, whose instances are to be listed."""
        rows = self._rows(
            "migration_unlisted",
            campaign=campaign.campaign_id,
            number=number,
            after=after,
            limit=limit,
        )
        return [
            (study_id, found_study(uid, claimed, tree)) for study_id, uid, claimed, tree in rows
        ]

    def study_ids(self, campaign: Campaign, uids: Sequence[str]) -> dict[str, int]:
        """The ids of those of these studies that the ledger has, by their UIDs."""
        rows = self._rows(
            "migration_study_ids",
            campaign=campaign.campaign_id,
            uids=[to_text(uid) for uid in uids],
        )
        return dict(rows)

    def instances(
        self, study_id: int, number: int, found: Sequence[FoundInstance], *, is_whole: bool = True
    ) -> RecordedInstances:
        """Write down instances of a study: all of them, or (not `is_whole`) some, whose rest follows in other calls."""
        values = _instance_values(found) | {"study": study_id, "number": number}

        def write(connection: Connection) -> RecordedInstances:
            with connection.transaction():
                connection.execute(load("queries/migration_lock"), values)
                rows = connection.execute(load("queries/migration_instances"), values).fetchall()
                new, gone = sum(is_new for (is_new,) in rows), 0
                if is_whole:
                    gone = connection.execute(
                        load("queries/migration_instances_gone"), values
                    ).rowcount
                    connection.execute(load("queries/migration_listed"), values)
                return RecordedInstances(new, len(rows) - new, gone)

        return self._database.attempt(write)

    def unreadable(self, campaign: Campaign, number: int, place: str, detail: str) -> None:
        """Something is at `place` that can't be read: it is an exception from the first."""
        values = {
            "campaign": campaign.campaign_id,
            "number": number,
            "place": to_text(place),
            "detail": to_text(detail),
        }
        self._database.attempt(lambda c: c.execute(load("queries/migration_unreadable"), values))

    def all_listed(self, campaign: Campaign, number: int) -> None:
        """Of every study that this inventory has seen, all instances have been written down."""
        values = {"campaign": campaign.campaign_id, "number": number}

        def write(connection: Connection) -> None:
            with connection.transaction():
                connection.execute(load("queries/migration_all_gone"), values)
                connection.execute(load("queries/migration_readable"), values)
                connection.execute(load("queries/migration_all_listed"), values)

        self._database.attempt(write)

    def years(self, campaign: Campaign) -> list[YearLine]:
        """What there is, by year and modality."""
        rows = self._rows("migration_years", campaign=campaign.campaign_id)
        return [YearLine(*row) for row in rows]

    def _rows(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        return self._database.attempt(
            lambda c: c.execute(load(f"queries/{query}"), values).fetchall()
        )


def found_study(uid: str, claimed: int | None, tree: dict[str, Any]) -> FoundStudy:
    """A study as its row keeps it."""
    values = tree | {"modalities": tuple(tree["modalities"])}
    return FoundStudy(uid, number_of_instances=claimed, **values)


def date_of(text: str) -> date | None:
    """A DA text as a date, also the old YYYY.MM.DD; None when it is none."""
    digits = text.strip().replace(".", "")
    if len(digits) != 8 or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        return datetime.strptime(digits, "%Y%m%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return None


def rank_of(day: date | None, order: str) -> int:
    """The higher, the sooner its turn; what has no date comes last."""
    if day is None:
        return 0
    days = (day - _FIRST_DAY).days + 1
    return _LAST_RANK - days if order == "oldest" else days


def _tree(study: FoundStudy) -> dict[str, object]:
    tree = dataclasses.asdict(study)
    del tree["study_instance_uid"], tree["number_of_instances"]
    tree["modalities"] = sorted(study.modalities)
    return tree


def _instance_values(found: Sequence[FoundInstance]) -> dict[str, object]:
    """Each place once: a source may list one twice."""
    keys = (
        (item.uids.sop_instance_uid, item.uids.series_instance_uid, item.place) for item in found
    )
    once = list(dict(zip(keys, found, strict=True)).values())
    return {
        "series": [to_text(item.uids.series_instance_uid) for item in once],
        "uids": [to_text(item.uids.sop_instance_uid) for item in once],
        "classes": [to_text(item.sop_class_uid) for item in once],
        "syntaxes": [to_text(item.transfer_syntax_uid) for item in once],
        "modalities": [to_text(item.modality) for item in once],
        "places": [to_text(item.place) for item in once],
        "sizes": [item.size for item in once],
        "frames": [item.number_of_frames for item in once],
    }
