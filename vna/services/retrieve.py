"""Select and deliver stored instances: whole, as datasets, by frame or by element."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from typing import cast

from storage_backends.base import FileSpan, ObjectReader, span_of
from storage_backends.streams import read_exactly
from vna import metrics
from vna.audit import AuditAction, AuditEvent, AuditLog
from vna.dicom.envelope import names_syntax
from vna.dicom.part10 import file_meta
from vna.dicom.splices import Splices
from vna.errors import Corrupt, Unavailable
from vna.index.instances import InstanceIndex
from vna.model.chosen import Chosen
from vna.model.found_frames import FoundFrames
from vna.model.frames import FrameTable
from vna.model.identifiers import InstanceUids, Origin, Selection
from vna.model.instances import Location, StoredInstance
from vna.services.corrected import CorrectedObjects, StoredHeader
from vna.services.header_bytes import stored_header_bytes
from vna.services.readers import PrefixedReader
from vna.services.sources import Sources
from vna.services.spans import Pieces, begun, following, read_pieces, verified_spans
from vna.services.storage import ObjectStore
from vna.services.verified import VerifiedReader, check_digest
from vna.services.views import RecentViews

VIEW_SECONDS = 600.0
_MAX_VIEWS = 10_000
_MAX_META = 2**20
"""A longer file meta group is nothing that was written in good faith: it is kept and not looked at."""

_AT_ONCE = 4 * 2**20
"""Bytes up to which an object is verified before its first byte leaves: a damaged one spoils no transfer."""

_Leaving = tuple[ObjectReader, int]  # what is sent, and its length


class RetrieveService:
    """Finds instances in the index and opens their bytes; nothing is decoded here."""

    def __init__(self, index: InstanceIndex, objects: ObjectStore, audit: AuditLog) -> None:
        self._index = index
        self._sources = Sources(index.replicas, objects)
        self._objects = objects
        self._corrected = CorrectedObjects(index.corrections)
        self._audit = audit
        self._views = RecentViews(VIEW_SECONDS, _MAX_VIEWS)

    def select(self, selection: Selection) -> list[StoredInstance]:
        """The instances of `selection` by study, series and instance number; empty when it narrows nothing."""
        if selection.is_empty:
            return []
        return self._index.select(selection)

    def choose(self, selection: Selection) -> Chosen:
        """As `select`, but only what they are and how many: a few bytes for each. Raises Unavailable."""
        return self._index.selections.choose(selection)

    def load(self, ids: Sequence[int]) -> list[StoredInstance]:
        """The instances with these ids in this order, without those that are gone. Raises Unavailable."""
        return self._index.selections.load(ids)

    def frame_table(self, instance: StoredInstance) -> FrameTable | None:
        """Where the frames lie; None without pixel data or when frames cannot be told apart."""
        return self._index.frames(instance.instance_id)

    def find_frames(self, uids: InstanceUids, numbers: Sequence[int]) -> FoundFrames | None:
        """An instance and the places of its frames `numbers` (from 1) at once; None: no such instance.
        Raises Unavailable.
        """
        return self._index.frame_places.find(uids, numbers)

    def open(
        self, instance: StoredInstance, *, start: int = 0, length: int | None = None
    ) -> ObjectReader:
        """The stored object's bytes from `start`, uncorrected: for what lies at known positions of it.

        Raises Corrupt, Unavailable.
        """
        return self._sources.open(instance.location, start=start, length=length)

    def read(self, instance: StoredInstance, start: int, length: int) -> bytes:
        """`length` bytes of the stored object from `start`, fewer at its end."""
        with self.open(instance, start=start, length=length) as reader:
            return read_fully(reader)

    def open_part10(self, instance: StoredInstance) -> tuple[ObjectReader, int]:
        """The instance as a DICOM file (PS3.10 7) and its length in bytes.

        The stored bytes as they came, but for what a correction changes. Where preamble or prefix are missing, or the
        file meta does not name the transfer syntax in which the dataset truly is, new ones stand in front.
        """
        return self._as_part10(instance, self._open_whole(instance))

    def part10_pieces(self, instance: StoredInstance) -> tuple[Pieces, int]:
        """As `open_part10`, in pieces: as spans of a file where the object lies in one. Closing them ends the work.

        A span is to be sent before the next piece is taken. Raises Corrupt, Unavailable; so may taking pieces.
        """
        if instance.correction is not None:
            opened, length = self.open_part10(instance)
            return read_pieces(opened), length
        return self._sources.attempt(instance.location, lambda place: self._pieces(instance, place))

    def _pieces(self, instance: StoredInstance, place: Location) -> tuple[Pieces, int]:
        reader = self._objects.open(place)
        try:
            span = span_of(reader)
        except Corrupt:
            reader.close()
            raise
        if span is None:
            opened, length = self._as_part10(instance, self._verified(instance, place, reader))
            return read_pieces(opened), length
        start = instance.layout.dataset_offset
        new_head = b""
        head = os.pread(span.fd, start, span.offset) if start <= _MAX_META else b""
        if start <= _MAX_META and not names_syntax(head, instance.transfer_syntax_uid):
            new_head = file_meta(
                instance.sop_class_uid, instance.uids.sop_instance_uid, instance.transfer_syntax_uid
            )
        skip = start if new_head else 0
        spans = verified_spans(span, instance.object_digest, place.key, skip=skip, at_once=_AT_ONCE)
        pieces = following(new_head, self._blamed(spans, place), reader)
        if self._objects.has_several:  # another place may do as well, as long as nothing was sent
            pieces = begun(pieces)
        return pieces, len(new_head) + span.length - skip

    def _blamed(
        self, spans: Generator[FileSpan, None, None], place: Location
    ) -> Generator[FileSpan, None, None]:
        """`spans`; whoever heals is told when they turn out to be damaged behind the first of them."""
        is_begun = False
        try:
            for span in spans:
                yield span
                is_begun = True
        except (Corrupt, Unavailable) as exc:
            if is_begun:
                self._sources.doubt(place, exc)
            raise

    def open_dataset(self, instance: StoredInstance) -> tuple[ObjectReader, int]:
        """The dataset bytes that leave, without preamble and file meta, and their length."""
        reader, start = self._open_whole(instance), instance.layout.dataset_offset
        try:
            read_exactly(reader, start)
        except BaseException:
            reader.close()
            raise
        return self._leaving(instance, reader, start)

    @staticmethod
    def is_small(instance: StoredInstance) -> bool:
        """Whether it is verified in memory before its first byte leaves."""
        return instance.location.length <= _AT_ONCE

    def load_whole(self, instance: StoredInstance) -> memoryview:
        """The stored object in memory, verified, uncorrected. Raises Corrupt, Unavailable."""
        return memoryview(self._sources.load(instance.location, instance.object_digest))

    def verify(self, instance: StoredInstance) -> None:
        """Read all of the stored object and compare its digest: before parts of it are made into something else.

        Raises Corrupt, Unavailable.
        """
        self._sources.verify(instance.location, instance.object_digest)

    def load_dataset(self, instance: StoredInstance) -> memoryview:
        """As `open_dataset`, in memory: for small ones."""
        data, start = self.load_whole(instance), instance.layout.dataset_offset
        if instance.correction is None:
            return data[start:]
        self._corrected.learn(instance, data)
        body, _ = self._leaving(instance, cast("ObjectReader", io.BytesIO(data[start:])), start)
        with body:
            return memoryview(read_fully(body))

    def splices(
        self, instance: StoredInstance, header: StoredHeader | None = None
    ) -> Splices | None:
        """What is changed in the stored object on its way out; None: nothing. `header`: for who has read it.

        Raises Corrupt, Unavailable, Unsupported.
        """
        if instance.correction is None:
            return None
        found = self._corrected.find(instance)
        if found is not None:
            return found
        if header is not None:
            return self._corrected.make(instance, header)
        with stored_header_bytes(self, instance) as stored:
            return self._corrected.make(instance, stored.stored(instance))

    def _as_part10(self, instance: StoredInstance, reader: ObjectReader) -> _Leaving:
        """See `open_part10`; `reader` has the whole object."""
        start = instance.layout.dataset_offset
        try:
            head = read_exactly(reader, start) if start <= _MAX_META else b""
        except BaseException:
            reader.close()
            raise
        if not names_syntax(head, instance.transfer_syntax_uid) and start <= _MAX_META:
            head = file_meta(
                instance.sop_class_uid, instance.uids.sop_instance_uid, instance.transfer_syntax_uid
            )
        else:
            start = len(head)
        body, length = self._leaving(instance, reader, start)
        return PrefixedReader(head, body), len(head) + length

    def _leaving(self, instance: StoredInstance, reader: ObjectReader, start: int) -> _Leaving:
        """What `reader`, which is at `start` of the stored object, gives with its correction, and its length."""
        try:
            splices = self.splices(instance)
            if splices is None:
                return reader, instance.location.length - start
            return self._corrected.open(instance, reader, start, splices)
        except BaseException:
            reader.close()
            raise

    def _open_whole(self, instance: StoredInstance) -> ObjectReader:
        location, digest = instance.location, instance.object_digest
        if location.length > _AT_ONCE:
            return self._sources.open_verified(location, digest)
        data = self._sources.load(location, digest)
        if instance.correction is not None:
            self._corrected.learn(instance, memoryview(data))
        return cast("ObjectReader", io.BytesIO(data))

    def _verified(
        self, instance: StoredInstance, place: Location, reader: ObjectReader
    ) -> ObjectReader:
        """As `_open_whole`, of all that lies at `place`, which `reader` has: to open it again would be a request."""
        if self.is_small(instance):
            with reader:
                data = read_exactly(reader, place.length)
            check_digest(data, instance.object_digest, place.key)
            return cast("ObjectReader", io.BytesIO(data))
        if self._objects.has_several:  # what fails in the middle is read on from another place
            reader.close()
            return self._open_whole(instance)
        return VerifiedReader(reader, instance.object_digest, place.length, place.key)

    def record_retrieved(self, instances: Sequence[StoredInstance], origin: Origin) -> None:
        """Count and audit a finished delivery, one event per study. Raises Unavailable."""
        per_study = Counter(instance.uids.study_instance_uid for instance in instances)
        self.record_delivered(per_study, origin)

    def record_delivered(self, per_study: Mapping[str, int], origin: Origin) -> None:
        """As `record_retrieved`, by the number of instances of each study. Raises Unavailable."""
        metrics.INSTANCES_DELIVERED.labels(origin.door).inc(sum(per_study.values()))
        for study, count in per_study.items():
            self._audit.record(
                AuditEvent(
                    AuditAction.INSTANCES_RETRIEVED,
                    origin,
                    study_instance_uid=study,
                    detail={"instances": count},
                )
            )

    def record_viewed(self, study_instance_uid: str, origin: Origin, what: str) -> None:
        """Audit that frames, bulk data or metadata (`what`) of a study went out: once in VIEW_SECONDS for who
        goes on looking at it, since a viewer asks thousands of times. Raises Unavailable.
        """
        viewing = (origin.peer, origin.address, study_instance_uid)
        if not self._views.is_new(viewing):
            return
        try:
            self._audit.record(
                AuditEvent(
                    AuditAction.INSTANCES_RETRIEVED,
                    origin,
                    study_instance_uid=study_instance_uid,
                    detail={"view": what},
                )
            )
        except BaseException:
            self._views.forget(viewing)
            raise


def read_fully(reader: ObjectReader) -> bytes:
    """Everything `reader` has; a reader may give less than was asked for at a time."""
    chunks = []
    while chunk := reader.read():
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
