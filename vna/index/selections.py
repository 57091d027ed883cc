"""Which instances a selection means, and their rows, page by page."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import psycopg
from psycopg import sql

from vna.index.database import Connection, Database
from vna.index.registering import unpacked_digest
from vna.index.sql import load
from vna.model.chosen import Chosen, Kind
from vna.model.identifiers import InstanceUids, Selection
from vna.model.instances import InstanceLayout, Location, StoredInstance

_BATCH = 1000 if psycopg.capabilities.has_stream_chunked() else 1


class SelectionIndex:
    """Finds the instances to deliver. Shared by all threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def choose(self, selection: Selection) -> Chosen:
        """The instances that match, by study, series number and instance number, as ids.

        The rows stream: what is held is twelve bytes an instance. Raises Unavailable.
        """
        if selection.is_empty:
            return Chosen()
        conditions, values = _conditions(selection)
        statement = sql.SQL(load("queries/choose_instances")).format(conditions=conditions)
        return self._database.attempt(lambda c: _chosen(c, statement, values))

    def load(self, ids: Sequence[int]) -> list[StoredInstance]:
        """The instances of these ids in this order, without those that are gone. Raises Unavailable."""
        found = {row[0]: row for row in self._rows(_BY_ID, [list(ids)])}
        return [stored_instance(found[number]) for number in ids if number in found]

    def select(self, selection: Selection) -> list[StoredInstance]:
        """All that match at once, in the order of `choose`. Raises Unavailable."""
        if selection.is_empty:
            return []
        return [stored_instance(row) for row in self._rows(*_conditions(selection))]

    def _rows(self, conditions: sql.Composable, values: Sequence[object]) -> list[Any]:
        statement = sql.SQL(load("queries/select_instances")).format(conditions=conditions)
        # The few forms it has are led by indexes whatever the values; to plan takes longer than to read.
        return self._database.attempt(
            lambda c: c.execute(statement, values, prepare=True).fetchall()
        )


_BY_ID = sql.SQL("i.id = ANY(%s::bigint[])")


def _chosen(connection: Connection, statement: sql.Composed, values: Sequence[object]) -> Chosen:
    ids, numbers = array("q"), array("I")
    kinds: dict[tuple[str, str], int] = {}
    hasher = blake2b(digest_size=16)
    with connection.cursor() as cursor:
        for instance_id, *kind, digest, correction in cursor.stream(statement, values, size=_BATCH):
            ids.append(instance_id)
            numbers.append(kinds.setdefault((kind[0], kind[1]), len(kinds)))
            hasher.update(digest)
            if correction is not None:
                hasher.update(correction.to_bytes(8, "big"))
    return Chosen(ids, numbers, tuple(Kind(*kind) for kind in kinds), hasher.hexdigest())


def _conditions(selection: Selection) -> tuple[sql.Composable, list[list[str]]]:
    columns = {
        "p.patient_id": selection.patient_ids,
        "s.study_instance_uid": selection.study_instance_uids,
        "e.series_instance_uid": selection.series_instance_uids,
        "i.sop_instance_uid": selection.sop_instance_uids,
    }
    narrowing = {
        column: [value for value in values if value] for column, values in columns.items() if values
    }
    parts: list[sql.Composable] = [
        sql.SQL("{} = ANY(%s::text[])").format(sql.Identifier(*column.split(".")))
        for column in narrowing
    ]
    if selection.patient_ids:
        parts.append(sql.SQL("p.patient_id <> ''"))
    return sql.SQL(" AND ").join(parts), list(narrowing.values())


def stored_instance(row: Sequence[Any]) -> StoredInstance:
    """What the first columns of a row of `select_instances` say."""
    return StoredInstance(
        instance_id=row[0],
        uids=InstanceUids(row[1], row[2], row[3]),
        sop_class_uid=row[4],
        transfer_syntax_uid=row[5],
        number_of_frames=row[6],
        layout=InstanceLayout(*row[7:12]),
        location=Location(*row[12:16]),
        object_digest=unpacked_digest(row[16]),
        dataset_digest=unpacked_digest(row[17]),
        correction=row[18],
    )
