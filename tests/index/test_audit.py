"""The audit trail."""

from __future__ import annotations

from vna.audit import AuditAction, AuditEvent
from vna.index.audit import PostgresAuditLog
from vna.index.database import Database
from vna.model.identifiers import Origin


def test_event_is_kept_whole(database: Database) -> None:
    origin = Origin("web", "alice", "10.0.0.7", "r1")
    event = AuditEvent(
        AuditAction.INSTANCES_RETRIEVED, origin, "1.2", "1.2.3", {"level": "STUDY", "matches": 3}
    )
    PostgresAuditLog(database).record(event)
    with database.connection() as connection:
        (row,) = connection.execute(
            "SELECT action, door, peer, address, correlation_id, study_instance_uid,"
            " sop_instance_uid, detail FROM audit"
        ).fetchall()
    assert row == (
        *("instances.retrieved", "web", "alice", "10.0.0.7", "r1", "1.2", "1.2.3"),
        {"level": "STUDY", "matches": 3},
    )


def test_event_without_detail_from_a_hostile_peer(database: Database) -> None:
    event = AuditEvent(AuditAction.ASSOCIATION_REJECTED, Origin("dimse", "A\0B\ud800"))
    PostgresAuditLog(database).record(event)
    with database.connection() as connection:
        (row,) = connection.execute("SELECT peer, detail FROM audit").fetchall()
    assert row == ("AB?", None)
