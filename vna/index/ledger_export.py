"""A ledger from its first study to its last attempt, as it was at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from vna.index.registering import unpacked_digest
from vna.index.snapshot import Snapshot
from vna.model.campaign import Campaign

_STUDIES = 50
_DIGESTS = ("received", "received_dataset")


class Entry(NamedTuple):
    """A "study", an "instance" of the study before it, or an "attempt" to fetch that."""

    kind: str
    values: Mapping[str, Any]


class LedgerExport:
    """Reads what a campaign's ledger had at the moment of `snapshot`. Everything raises Unavailable.

    What a row does not tell (nothing, or an empty text) is left out of its values.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def inventories(self, campaign: Campaign) -> list[dict[str, Any]]:
        """Number, beginning and end of each."""
        return [_told(row) for row in self._rows("migration_export_inventories", campaign)]

    def entries(self, campaign: Campaign) -> Iterator[Entry]:
        """Every study, each followed by its instances and by the attempts to fetch them."""
        after = 0
        while True:
            page = list(
                self._rows("migration_export_studies", campaign, after=after, limit=_STUDIES)
            )
            if not page:
                return
            ids = [row["id"] for row in page]
            parts = {
                "instance": _Groups(self._of_studies("migration_export_instances", ids)),
                "attempt": _Groups(self._of_studies("migration_export_attempts", ids)),
            }
            for row in page:
                study = row.pop("id")
                yield Entry("study", _told(row))
                for kind, groups in parts.items():
                    for item in groups.take(study):
                        yield Entry(kind, _told(item))
            after = ids[-1]

    def _rows(self, query: str, campaign: Campaign, **values: object) -> Iterator[dict[str, Any]]:
        return self._snapshot.rows(query, campaign=campaign.campaign_id, **values)

    def _of_studies(self, query: str, studies: list[int]) -> Iterator[dict[str, Any]]:
        return self._snapshot.rows(query, studies=studies)


class _Groups:
    """Rows in the order of their studies, some of which have none."""

    def __init__(self, rows: Iterator[dict[str, Any]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def take(self, study: int) -> Iterator[dict[str, Any]]:
        """Those of this one; to be read to the end before the next is asked for."""
        while self._next is not None and self._next["study"] == study:
            row = self._next
            del row["study"]
            yield row
            self._next = next(self._rows, None)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    for name in _DIGESTS:
        if row.get(name) is not None:
            digest = unpacked_digest(row[name])
            row[name] = f"{digest.algorithm}:{digest.value}"
    return {
        name: value for name, value in row.items() if value is not None and value not in ("", [])
    }
