"""The audit trail in Postgres."""

from __future__ import annotations

from vna.audit import AuditEvent
from vna.index.database import Connection, Database
from vna.index.jsonb import to_jsonb, to_text
from vna.index.sql import load
from vna.interrupts import interruptible


class PostgresAuditLog:
    """Keeps audit events as rows; implements `vna.audit.AuditLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, event: AuditEvent) -> None:
        """Keep `event` durably, also of a delivery that was broken off. Raises Unavailable, OutOfSpace."""
        with interruptible(None):
            self._database.attempt(lambda connection: record_within(connection, event))


def record_within(connection: Connection, event: AuditEvent) -> None:
    """Keep `event` as a part of the caller's transaction on `connection`."""
    origin = event.origin
    detail = {**event.detail, "user": origin.user} if origin.user else event.detail
    values = [
        event.action.value,
        origin.door,
        to_text(origin.peer),
        origin.address,
        origin.correlation_id,
        to_text(event.study_instance_uid),
        to_text(event.sop_instance_uid),
        to_jsonb(detail) if detail else None,
    ]
    connection.execute(load("queries/audit"), values)
