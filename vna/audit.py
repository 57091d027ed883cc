"""What happened to whose objects, for the auditor: events and the place that keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from vna.model.identifiers import Origin


class AuditAction(StrEnum):
    """Every kind of audit event; docs/operations.md explains each."""

    INSTANCE_STORED = "instance.stored"
    INSTANCE_DUPLICATE = "instance.duplicate"
    INSTANCE_CONFLICT = "instance.conflict"
    INSTANCE_HEALED = "instance.healed"
    INSTANCE_REFUSED = "instance.refused"
    INSTANCES_RETRIEVED = "instances.retrieved"
    INSTANCES_DELETED = "instances.deleted"
    INSTANCES_RESTORED = "instances.restored"
    INSTANCES_SWEPT = "instances.swept"
    COMMITMENT_REQUESTED = "commitment.requested"
    COMMITMENT_REPORTED = "commitment.reported"
    COMMITMENT_PARKED = "commitment.parked"
    ASSOCIATION_IDENTIFIED = "association.identified"
    ASSOCIATION_REJECTED = "association.rejected"
    MIGRATION_CHANGED = "migration.changed"
    STORAGE_DRAIN_BEGAN = "storage.drain_began"
    STORAGE_DRAIN_CANCELLED = "storage.drain_cancelled"
    STORAGE_DRAINED = "storage.drained"
    ARCHIVE_STARTED = "archive.started"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One line of the audit trail; `detail` holds small JSON values, never pixel data."""

    action: AuditAction
    origin: Origin
    study_instance_uid: str = ""
    sop_instance_uid: str = ""
    detail: dict[str, str | int] = field(default_factory=dict)


class AuditLog(Protocol):
    """Keeps audit events durably."""

    def record(self, event: AuditEvent) -> None:
        """Keep `event`. Raises Unavailable."""
        ...
