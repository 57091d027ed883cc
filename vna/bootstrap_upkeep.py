"""Builds the services that look after what is stored: verification, repair, rebuilding and draining."""

from __future__ import annotations

from dataclasses import dataclass

from vna.audit import AuditLog
from vna.index.database import Database
from vna.index.draining import DrainIndex
from vna.index.kept_objects import KeptObjectIndex
from vna.index.verification import VerificationIndex
from vna.services.draining import DrainService
from vna.services.leaving import LeftObjects
from vna.services.mending import MendingService
from vna.services.placement import Placement
from vna.services.rebuilding import RebuildService
from vna.services.rehousing import RehousingService
from vna.services.repair import RepairService
from vna.services.replication import ReplicationService
from vna.services.storage import ObjectStore
from vna.services.store import StoreService
from vna.services.verification import VerificationService


@dataclass(frozen=True, slots=True)
class Parts:
    """What these services work with."""

    database: Database
    objects: ObjectStore
    placement: Placement
    store: StoreService
    replication: ReplicationService
    audit: AuditLog


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The services."""

    verification: VerificationService
    rebuilding: RebuildService
    draining: DrainService
    left: LeftObjects


def upkeep_of(parts: Parts) -> Upkeep:
    """All of them."""
    database, objects, spool = parts.database, parts.objects, parts.store.spool
    named, drains = VerificationIndex(database), DrainIndex(database)
    left = LeftObjects(drains, objects)
    repair = RepairService(
        parts.store,
        objects,
        spool,
        KeptObjectIndex(database),
        parts.placement,
        MendingService(named, drains, objects, parts.replication),
    )
    rehousing = RehousingService(drains, objects, parts.placement, spool)
    return Upkeep(
        VerificationService(named, objects, repair, drains.amounts),
        RebuildService(named, objects, repair),
        DrainService(drains, objects, rehousing, left, parts.audit),
        left,
    )
