"""Mends what the index names: lost and damaged objects are written anew from healthy ones, what is left of it goes."""

from __future__ import annotations

from vna.index.draining import DrainIndex
from vna.index.verification import VerificationIndex
from vna.model.identifiers import Origin
from vna.model.replicas import Copied
from vna.model.verification import Fault, Finding, KeptRow, Part
from vna.services.replication import ReplicationService
from vna.services.storage import Condition, ObjectStore

_HEALED = "written anew from a healthy copy"
_INTACT = "it can be read again"
_REMOVED = "removed: the object that stands in its place was read again"


class MendingService:
    """What `vna verify --repair` does about rows. Everything raises Unavailable."""

    def __init__(
        self,
        index: VerificationIndex,
        left: DrainIndex,
        objects: ObjectStore,
        replication: ReplicationService,
    ) -> None:
        self._index, self._left, self._objects = index, left, objects
        self._replication = replication

    def mend(self, finding: Finding, origin: Origin) -> str:
        """What was done, "" for nothing: there is no healthy copy, or it is not needed."""
        if finding.fault in {Fault.MISSING, Fault.CORRUPT}:
            return self._heal(finding, origin)
        if finding.fault is Fault.REPLACED:
            return self._remove(finding)
        return ""

    def forget(self, row: KeptRow) -> None:
        """Forget a replaced object of which nothing is left."""
        self._left.forget(row.location)

    def _heal(self, finding: Finding, origin: Origin) -> str:
        if finding.location.backend in self._objects.draining:
            return ""  # the drain takes the healthy bytes elsewhere
        outcome = self._replication.heal(finding.location, origin)
        if outcome is Copied.HEALED:
            return _HEALED
        return _INTACT if outcome is Copied.INTACT else ""

    def _remove(self, finding: Finding) -> str:
        """Remove a damaged object once the one in its place was read to its end, and nothing else names it."""
        place = finding.location
        rows = self._index.rows_of_key(place.backend, place.key)
        if any(not row.is_left for row in rows):
            return ""
        damaged = [row for row in rows if row.part is Part.DAMAGED]
        if not damaged or not all(self._is_replaced(row) for row in damaged):
            return ""
        self._objects.remove(place)
        for row in damaged:
            self._left.forget(row.location)
        return _REMOVED

    def _is_replaced(self, row: KeptRow) -> bool:
        if row.of is None:
            return False
        found = self._objects.examine(row.of, row.digest, lambda _: None)
        return found is Condition.INTACT
