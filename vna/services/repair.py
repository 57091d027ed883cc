"""What can be done about a fault between index and storage, without ever deleting what is not proven redundant."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from vna.dicom.header import Header, HeaderReader
from vna.errors import Corrupt, InvalidInstance, Unavailable, VnaError
from vna.index.kept_objects import KeptObjectIndex
from vna.model.identifiers import InstanceUids, Origin
from vna.model.instances import KeptObject, Location
from vna.model.verification import Adoption, Fault, Finding, KeptRow
from vna.services.mending import MendingService
from vna.services.placement import Facts, Placement
from vna.services.storage import Condition, ObjectStore
from vna.services.store import StoreService
from vna.spool import Spool, Spooled

log = logging.getLogger(__name__)

_CHUNK = 2**20
_CLOCKS = 3600.0
"""Seconds by which the clocks of a storage and of the index may differ."""
_DONE = {
    Adoption.STORED: "adopted: the instance is in the index now",
    Adoption.CONFLICT: "adopted: it is listed in conflict with another version",
    Adoption.DUPLICATE: "not needed: the same instance is kept and was read again",
    Adoption.COPY: "adopted: it is a copy of an instance that is kept in another backend",
}


class NotTaken(InvalidInstance):
    """An object that stays where it is, and out of the index."""


class RepairService:
    """Describes objects that no row names, and takes them into the index. Everything raises Unavailable."""

    def __init__(
        self,
        store: StoreService,
        objects: ObjectStore,
        spool: Spool,
        kept: KeptObjectIndex,
        placement: Placement,
        mending: MendingService,
    ) -> None:
        self._store, self._objects, self._spool = store, objects, spool
        self._kept, self._placement, self._mending = kept, placement, mending
        self._headers = HeaderReader()

    def describe(self, place: Location) -> Finding:
        """What an object that no row names is: a DICOM instance, or something else."""
        try:
            with self._read(place) as spooled:
                header = self._header(spooled)
        except (InvalidInstance, Corrupt) as exc:
            return Finding(Fault.FOREIGN, place, detail=str(exc))
        except Unavailable as exc:
            return Finding(Fault.UNREADABLE, place, detail=str(exc))
        return Finding(Fault.ORPHAN, place, header.uids)

    def forget(self, row: KeptRow) -> None:
        """What is left of a replaced object is nothing: it was lost, and not damaged."""
        if self._objects.examine(row.location, None, lambda _: None) is Condition.MISSING:
            self._mending.forget(row)

    def repair(self, finding: Finding, origin: Origin) -> Finding:
        """The finding with what was done about it: nothing where nothing can be done safely."""
        try:
            if finding.fault is Fault.ORPHAN:
                done = _DONE[self.adopt(finding.location, origin, spares=False)]
            else:
                done = self._mending.mend(finding, origin)
        except VnaError as exc:
            log.warning("not repaired: %s", exc, extra={"key": finding.location.key})
            return replace(finding, detail=str(exc))
        return replace(finding, repaired=done)

    def adopt(self, place: Location, origin: Origin, *, spares: bool) -> Adoption:
        """Register an object where it lies, see StoreService.adopt. Raises InvalidInstance (NotTaken), Corrupt.

        The bytes of what is kept in another backend are a copy of that where the rules of placement want one there, or
        (with `spares`) there is none yet.
        """
        with self._read(place) as spooled:
            header = self._header(spooled)
            known = self._known(header)
            trashed = [] if known else self._kept.in_trash(header.uids)
            self._check_apart(place, [*known, *trashed])
            if self._is_copy(spooled, header, place, known, spares=spares):
                return Adoption.COPY
            if self._is_intact_in(trashed, spooled):
                if not spares:
                    self._objects.remove(place)
                return Adoption.DUPLICATE
            if not known:
                self._check_not_deleted(place, header.uids, is_in_trash=bool(trashed))
            stored = self._store.adopt(spooled, place, origin, spares=spares)
        return Adoption(stored.outcome.value)

    def _is_copy(
        self,
        spooled: Spooled,
        header: Header,
        place: Location,
        known: Sequence[KeptObject],
        *,
        spares: bool,
    ) -> bool:
        """Whether the object is the copy of a version that is kept in another backend, from now on."""
        if not self._objects.has_several:
            return False
        if place.backend in self._objects.draining and not spares:
            return False
        same = [kept for kept in known if kept.object_digest == spooled.digest]
        if not same or not (spares or self._wants(place.backend, header, spooled.size)):
            return False
        return self._kept.add_copy(same[0].location, place)

    def _is_intact_in(self, trashed: Sequence[KeptObject], spooled: Spooled) -> bool:
        """Whether the same object was deleted, is kept in the trash and was read there: it must not come back."""
        return any(
            kept.object_digest == spooled.digest
            and self._objects.is_intact(kept.location, kept.object_digest)
            for kept in trashed
        )

    def _check_apart(self, place: Location, kept: Sequence[KeptObject]) -> None:
        """Raises NotTaken for an object that is named already, by another name of its backend."""
        for other in (item for one in kept for item in (one.location, *one.copies)):
            if other.key != place.key or other.backend == place.backend:
                continue
            if self._objects.is_one_place(place.backend, other.backend):
                raise NotTaken(
                    f"storage backends {place.backend!r} and {other.backend!r} are one place under two names: "
                    "give each a root, bucket or prefix of its own"
                )

    def _check_not_deleted(self, place: Location, uids: InstanceUids, *, is_in_trash: bool) -> None:
        """Raises NotTaken for what is left of an instance that somebody deleted: it must not come back."""
        if is_in_trash:
            raise NotTaken(
                "its instance lies in the trash; it can be taken in once that is restored"
            )
        swept_at = self._kept.swept_at(uids)
        if swept_at is not None and self._objects.modified(place) < swept_at + _CLOCKS:
            raise NotTaken(
                f"its instance was deleted for good on {datetime.fromtimestamp(swept_at, UTC):%Y-%m-%d %H:%M}; "
                "if nobody needs it, remove it by hand"
            )

    def _known(self, header: Header) -> list[KeptObject]:
        uid = header.uids.sop_instance_uid
        return self._kept.find([uid]).get(uid, [])

    def _wants(self, backend: str, header: Header, size: int) -> bool:
        targets = self._placement.targets(Facts(header.sop_class_uid, size, "", header.attributes))
        return backend in (*targets.copies, *targets.later)

    def _header(self, spooled: Spooled) -> Header:
        with spooled.buffer() as buffer:
            return self._headers.read(
                buffer, sop_instance_uid="", sop_class_uid="", issuer_of_patient_id=""
            )

    @contextmanager
    def _read(self, place: Location) -> Iterator[Spooled]:
        with self._objects.open(place) as reader, self._spool.open_plain() as writer:
            while chunk := reader.read(_CHUNK):
                writer.write(chunk)
            spooled = writer.finish()
        with spooled:
            yield spooled
