"""Keep one received instance: parse, put, register, only then report."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

from prometheus_client import Counter, Histogram

from storage_backends.base import Digest
from vna import metrics
from vna.audit import AuditAction, AuditEvent, AuditLog
from vna.dicom.header import Header, HeaderReader
from vna.errors import InvalidInstance, MismatchedInstance, VnaError
from vna.index.instances import InstanceIndex
from vna.model.corrections import Correction
from vna.model.identifiers import InstanceUids, Origin
from vna.model.instances import Location, NewInstance, Outcome, Registration
from vna.services.copies import HEALED, CopyService, VersionGone
from vna.services.correcting import read_header
from vna.services.digests import instance_digests
from vna.services.keeping import Keeping, Kept, Spared
from vna.services.placement import Facts, Placement, Targets
from vna.services.sources import Sources
from vna.services.storage import ObjectStore
from vna.spool import Spool, Spooled

log = logging.getLogger(__name__)

MAX_OVERLAPPED_BYTES = 4 * 2**20
"""Larger objects are durable before the index is told of them."""

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Expected:
    """What the door announced before the bytes came; "" announces nothing."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """What became of a received instance; `size` in bytes of the received object, `dataset_digest` of its dataset.

    `is_corrected`: it leaves with the correction that was asked for, also where it had been stored with it before.
    """

    outcome: Outcome
    uids: InstanceUids
    sop_class_uid: str
    transfer_syntax_uid: str
    size: int
    warnings: tuple[str, ...] = ()
    conflict_id: int | None = None
    dataset_digest: Digest | None = None
    is_corrected: bool = False


@dataclass(frozen=True, slots=True)
class _Lying:
    """Where an object lies already, and whether it is left there whatever comes of it."""

    location: Location
    spares: bool


@dataclass(frozen=True, slots=True)
class _Meters:
    instances: Counter
    bytes: Counter
    seconds: Histogram


class StoreService:
    """Blob first, index second, acknowledge last: what `store` returns is durable."""

    def __init__(
        self,
        index: InstanceIndex,
        objects: ObjectStore,
        spool: Spool,
        audit: AuditLog,
        issuer_of_patient_id: str = "",
        placement: Placement | None = None,
    ) -> None:
        self.spool = spool
        self._placement = placement
        self._index = index
        self._copies = CopyService(index.copies, Sources(index.replicas, objects))
        self._objects = objects
        self._audit = audit
        self._issuer = issuer_of_patient_id
        self._headers = HeaderReader()
        self._is_index_in_doubt = False
        self._meters: dict[tuple[str, str], _Meters] = {}

    def store(
        self,
        spooled: Spooled,
        origin: Origin,
        expected: Expected | None = None,
        *,
        correction: Correction | None = None,
    ) -> StoreOutcome:
        """Keep `spooled`, which stays the caller's to close; its bytes stay whatever the `correction`, by which it is
        found and leaves. A duplicate stays as it was.

        Raises InvalidInstance, MismatchedInstance, OutOfSpace, Unavailable; nothing is visible then.
        """
        started = time.perf_counter()
        outcome = "failed"
        try:
            stored = self._store(spooled, origin, expected or Expected(), None, correction)
            outcome = stored.outcome.value
        except InvalidInstance as exc:
            outcome = "refused"
            self._record_refusal(exc, origin, expected or Expected())
            raise
        finally:
            meters = self._meters_of(origin.door, outcome)
            meters.instances.inc()
            meters.bytes.inc(spooled.size)
            meters.seconds.observe(time.perf_counter() - started)
        return stored

    def adopt(
        self, spooled: Spooled, location: Location, origin: Origin, *, spares: bool
    ) -> StoreOutcome:
        """Register what lies at `location` already and no row names, with the correction that a backup told of it;
        `spooled` has the same bytes. Of a duplicate the copy that is kept is read: where it is lost or damaged, this
        object takes its place; else it is removed, unless `spares`. Raises InvalidInstance, Unavailable.
        """
        told = self._index.corrections.told(spooled.digest)
        return self._store(spooled, origin, Expected(), _Lying(location, spares), told)

    def _store(
        self,
        spooled: Spooled,
        origin: Origin,
        expected: Expected,
        lying: _Lying | None = None,
        correction: Correction | None = None,
    ) -> StoreOutcome:
        header = read_header(
            self._headers,
            spooled,
            correction,
            sop_instance_uid=expected.sop_instance_uid,
            sop_class_uid=expected.sop_class_uid,
            issuer_of_patient_id=self._issuer,
        )
        _check_expected(header, expected)
        self._check_index()
        targets = self._targets(header, spooled.size, origin)
        if lying is None:
            keeping = Keeping(self._objects, spooled, targets)
        else:
            kind = Spared if lying.spares else Kept
            keeping = kind(self._objects, spooled, targets, lying.location)
        instance = _new_instance(header, spooled, keeping)
        if correction is not None:
            number = self._index.corrections.keep_for(spooled.digest, correction)
            instance = replace(instance, correction=number)
        registration, notes = self._registered(instance, origin, keeping)
        if correction is not None:
            self._index.corrections.named(spooled.digest)
        return StoreOutcome(
            outcome=registration.outcome,
            uids=header.uids,
            sop_class_uid=header.sop_class_uid,
            transfer_syntax_uid=header.transfer_syntax_uid,
            size=spooled.size,
            warnings=header.warnings + notes,
            conflict_id=registration.conflict_id,
            dataset_digest=instance.dataset_digest,
            is_corrected=self._is_corrected(instance, registration.outcome),
        )

    def _is_corrected(self, instance: NewInstance, outcome: Outcome) -> bool:
        if instance.correction is None or outcome is not Outcome.DUPLICATE:
            return instance.correction is not None
        return self._index.corrections.of(instance.uids.sop_instance_uid) == instance.correction

    def _targets(self, header: Header, size: int, origin: Origin) -> Targets:
        if self._placement is None:
            return Targets((self._objects.default,))
        calling_ae = origin.peer if origin.door == "dimse" else ""
        return self._placement.targets(
            Facts(header.sop_class_uid, size, calling_ae, header.attributes)
        )

    def _registered(
        self, instance: NewInstance, origin: Origin, keeping: Keeping
    ) -> tuple[Registration, tuple[str, ...]]:
        """The registration with all that is to be told of it; anew where a known version was deleted meanwhile."""
        attempt = 0
        while True:
            attempt += 1
            registration = self._register(instance, origin, keeping)
            if registration.location_is_kept:
                return registration, registration.notes
            try:
                is_healed = self._copies.heal(instance, origin)
            except VersionGone:
                if attempt == _ATTEMPTS:
                    raise
                continue
            if is_healed:
                return registration, (*registration.notes, HEALED)
            if keeping.removes:
                keeping.remove()
            return registration, registration.notes

    def _meters_of(self, door: str, outcome: str) -> _Meters:
        """Looking a label up costs more than counting: both are few, so they are kept."""
        meters = self._meters.get((door, outcome))
        if meters is None:
            meters = self._meters[door, outcome] = _Meters(
                metrics.INSTANCES_RECEIVED.labels(door, outcome),
                metrics.BYTES_RECEIVED.labels(door, outcome),
                metrics.STORE_SECONDS.labels(door),
            )
        return meters

    def _check_index(self) -> None:
        """After a failed registration ask first: senders repeat, and an object without a row helps nobody."""
        if self._is_index_in_doubt:
            self._index.check()
            self._is_index_in_doubt = False

    def _register(self, instance: NewInstance, origin: Origin, keeping: Keeping) -> Registration:
        """The object becomes durable while the index works, and the index commits after that.

        A large one is kept before: the index would hold its locks for long. An object whose registration failed
        stays: the commit may have reached the database.
        """
        if instance.location.length > MAX_OVERLAPPED_BYTES:
            keeping.run()
        try:
            return self._index.register(instance, origin, keeping.run)
        except VnaError as exc:
            if exc is not keeping.error:
                self._is_index_in_doubt = True
            if keeping.is_done:
                log.warning(
                    "object stored but not indexed; it is not visible, and the sender was told to send again",
                    extra={"key": instance.location.key, "correlation": origin.correlation_id},
                )
            raise

    def _record_refusal(self, error: InvalidInstance, origin: Origin, expected: Expected) -> None:
        event = AuditEvent(
            AuditAction.INSTANCE_REFUSED,
            origin,
            study_instance_uid=expected.study_instance_uid,
            sop_instance_uid=expected.sop_instance_uid,
            detail={"reason": str(error)},
        )
        try:
            self._audit.record(event)
        except VnaError as exc:
            log.warning("refusal not audited: %s", exc)


def _check_expected(header: Header, expected: Expected) -> None:
    uids = header.uids
    if expected.sop_instance_uid and uids.sop_instance_uid != expected.sop_instance_uid:
        raise MismatchedInstance(
            f"SOP Instance UID {expected.sop_instance_uid} was announced, the dataset is {uids.sop_instance_uid}"
        )
    if expected.study_instance_uid and uids.study_instance_uid != expected.study_instance_uid:
        raise MismatchedInstance(
            f"instance {uids.sop_instance_uid} belongs to study {uids.study_instance_uid}, "
            f"not to {expected.study_instance_uid}"
        )


def _new_instance(header: Header, spooled: Spooled, keeping: Keeping) -> NewInstance:
    dataset_digest, pixel_digest = instance_digests(spooled, header)
    return NewInstance(
        uids=header.uids,
        sop_class_uid=header.sop_class_uid,
        transfer_syntax_uid=header.transfer_syntax_uid,
        attributes=header.attributes,
        layout=header.layout,
        frames=header.frames,
        number_of_frames=header.number_of_frames,
        location=keeping.location,
        object_digest=spooled.digest,
        dataset_digest=dataset_digest,
        pixel_digest=pixel_digest,
        warnings=header.warnings,
        copies=keeping.copies,
        later=keeping.later,
    )
