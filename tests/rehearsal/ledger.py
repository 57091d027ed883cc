"""What the ledger, the index and the storage of the target hold, read behind the commands' back."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pydicom

from tests.rehearsal.commands import Target
from vna.bootstrap import Archive, build
from vna.config import load_config
from vna.dicom.header import read_header
from vna.index.transfer_ledger import TransferLedger

_PADDING = 0xFFFCFFFC
_PIXELS = 0x7FE00010


@dataclass(frozen=True, slots=True)
class Row:
    """An instance of a campaign."""

    study_instance_uid: str
    sop_instance_uid: str
    state: str
    reason: str
    outcome: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Inside:
    """The target from within."""

    archive: Archive

    def rows(self, campaign: str) -> list[Row]:
        """Every instance of a campaign."""
        found = self.query(
            "SELECT s.study_instance_uid, i.sop_instance_uid, i.state, i.reason, coalesce(i.outcome, ''),"
            " coalesce(i.evidence, '') FROM migration_instance i JOIN migration_study s ON s.id = i.study"
            " JOIN campaign c ON c.id = s.campaign WHERE c.name = %s ORDER BY i.id",
            campaign,
        )
        return [Row(*row) for row in found]

    def attempts(self) -> int:
        """How many fetches there were, of all campaigns."""
        return int(self.query("SELECT count(*) FROM migration_attempt")[0][0])

    def objects(self) -> int:
        """How many objects the index names."""
        return int(self.query("SELECT count(*) FROM location")[0][0])

    def query(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of Postgres."""
        run = lambda c: c.execute(query, values).fetchall()  # noqa: E731 - nothing else would be shorter
        rows: list[tuple[Any, ...]] = self.archive.database.attempt(run)
        return rows

    def versions(self, uids: Sequence[str]) -> dict[str, list[bytes]]:
        """The stored bytes of everything that is kept under these UIDs, by UID."""
        kept = TransferLedger(self.archive.database).kept(list(uids))
        versions: dict[str, list[bytes]] = {}
        for uid, found in kept.items():
            for version in found:
                with self.archive.objects.open(version.location) as reader:
                    versions.setdefault(uid, []).append(reader.read())
        return versions


@contextmanager
def inside(target: Target) -> Iterator[Inside]:
    """The target's parts in this process."""
    variables = {"VNA__ARCHIVE__DATA_DIR": str(target.data_dir), **target.environment}
    with build(load_config(None, {**os.environ, **variables})) as archive:
        yield Inside(archive)


def is_same_instance(stored: bytes, given: bytes, *, keeps_bytes: bool) -> bool:
    """Whether what is stored is what a silo was given: all bytes, or where a silo writes anew all elements."""
    if stored == given:
        return True
    if keeps_bytes:
        return False
    return _dataset(stored) == _dataset(given) or _has_same_elements(read(stored), read(given))


def _dataset(data: bytes) -> bytes:
    return data[read_header(data).layout.dataset_offset :]


def read(data: bytes) -> pydicom.Dataset:
    """An object, whatever pydicom thinks of its values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: pydicom.Dataset = pydicom.dcmread(io.BytesIO(data))
        return found


def _has_same_elements(mine: pydicom.Dataset, other: pydicom.Dataset) -> bool:
    """Group lengths and padding aside, which programs leave out when they write; pixels by their values."""
    tags = {tag for tag in {*mine.keys(), *other.keys()} if tag.element and tag != _PADDING}
    for tag in tags:
        if tag not in mine or tag not in other:
            return False
        if tag == _PIXELS and mine[tag].value != other[tag].value:
            if not (mine.pixel_array == other.pixel_array).all():
                return False
        elif tag != _PIXELS and mine[tag].value != other[tag].value:
            return False
    return True
