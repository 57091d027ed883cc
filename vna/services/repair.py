"""What can be done about a fault between index and storage, without ever deleting what is not proven redundant."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from vna.dicom.header import HeaderReader
from vna.errors import InvalidInstance, VnaError
from vna.model.identifiers import Origin
from vna.model.instances import Location, Outcome
from vna.model.verification import Fault, Finding
from vna.services.storage import ObjectStore
from vna.services.store import StoreOutcome, StoreService
from vna.spool import Spool, Spooled

log = logging.getLogger(__name__)

_CHUNK = 2**20
_DONE = {
    Outcome.STORED: "adopted: the instance is in the index now",
    Outcome.CONFLICT: "adopted: it is listed in conflict with another version",
    Outcome.DUPLICATE: "not needed: the same instance is kept and was read again",
}


class RepairService:
    """Describes objects that no row names, and takes them into the index. Everything raises Unavailable."""

    def __init__(self, store: StoreService, objects: ObjectStore, spool: Spool) -> None:
        self._store, self._objects, self._spool = store, objects, spool
        self._headers = HeaderReader()

    def describe(self, place: Location) -> Finding:
        """What an object that no row names is: a DICOM instance, or something else."""
        with self._read(place) as spooled, spooled.buffer() as buffer:
            try:
                header = self._headers.read(
                    buffer, sop_instance_uid="", sop_class_uid="", issuer_of_patient_id=""
                )
            except InvalidInstance as exc:
                return Finding(Fault.FOREIGN, place, detail=str(exc))
        return Finding(Fault.ORPHAN, place, header.uids)

    def repair(self, finding: Finding, origin: Origin) -> Finding:
        """The finding with what was done about it: nothing where nothing can be done safely."""
        if finding.fault is not Fault.ORPHAN:
            return finding
        try:
            outcome = self.adopt(finding.location, origin, spares=False)
        except VnaError as exc:
            log.warning("not adopted: %s", exc, extra={"key": finding.location.key})
            return replace(finding, detail=str(exc))
        return replace(finding, repaired=_DONE[outcome.outcome])

    def adopt(self, place: Location, origin: Origin, *, spares: bool) -> StoreOutcome:
        """Register an object where it lies, see StoreService.adopt. Raises InvalidInstance, Corrupt."""
        with self._read(place) as spooled:
            return self._store.adopt(spooled, place, origin, spares=spares)

    @contextmanager
    def _read(self, place: Location) -> Iterator[Spooled]:
        with self._objects.open(place) as reader, self._spool.open() as writer:
            while chunk := reader.read(_CHUNK):
                writer.write(chunk)
            spooled = writer.finish()
        with spooled:
            yield spooled
