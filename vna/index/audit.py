"""The audit trail in Postgres."""

from __future__ import annotations

from vna.audit import AuditEvent
from vna.index.database import Database
from vna.index.jsonb import to_jsonb, to_text
from vna.index.sql import load


class PostgresAuditLog:
    """Keeps audit events as rows; implements `vna.audit.AuditLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, event: AuditEvent) -> None:
        """Keep `event` durably. Raises Unavailable, OutOfSpace."""
        origin = event.origin
        values = [
            event.action.value,
            origin.door,
            to_text(origin.peer),
            origin.address,
            origin.correlation_id,
            to_text(event.study_instance_uid),
            to_text(event.sop_instance_uid),
            to_jsonb(event.detail) if event.detail else None,
        ]
        self._database.attempt(lambda c: c.execute(load("queries/audit"), values))
