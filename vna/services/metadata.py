"""Describe instances without their bulk data: DICOM JSON from the stored headers (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

import orjson

from vna import metrics
from vna.dicom.json import JSON_VERSION
from vna.dicom.json_memo import JsonMemo, Remembering
from vna.errors import VnaError
from vna.index.instances import InstanceIndex
from vna.index.metadata_documents import KeptDocument
from vna.model.identifiers import Selection
from vna.model.instances import StoredInstance
from vna.model.query import JsonElement
from vna.model.series import SeriesState
from vna.services.document_cache import DocumentCache, Turns
from vna.services.header_json import header_json
from vna.services.metadata_documents import document_of, joined, rebased, unpacked
from vna.services.retrieve import RetrieveService
from vna.services.several import several

log = logging.getLogger(__name__)

_LAYOUT = 1
"""Counts the changes of what documents look like around the JSON of their instances."""
VERSION = 1000 * _LAYOUT + JSON_VERSION
_MOST_PLAIN = 8 * 2**20


@dataclass(frozen=True, slots=True)
class MetadataDocument:
    """A JSON array of instances as a zstd frame, and its entity tag (unquoted)."""

    body: bytes
    etag: str


class MetadataService:
    """Header documents of series: kept in the index, and in memory up to `cache_bytes`.

    A document belongs to a set of instances, which are never changed: a series that has others now
    has another document.
    """

    def __init__(self, index: InstanceIndex, retrieve: RetrieveService, cache_bytes: int) -> None:
        self._documents = index.documents
        self._retrieve = retrieve
        self._cache = DocumentCache(cache_bytes)
        self._most_plain = min(_MOST_PLAIN, cache_bytes // 8)
        self._turns = Turns()

    def states(self, study: str, series: str = "") -> list[SeriesState]:
        """The series of a study that have instances, or the one; nothing of it is read. Raises Unavailable."""
        return self._documents.states(study, series)

    def etag(self, states: Sequence[SeriesState], bulk_root: str) -> str:
        """The entity tag of what `states` are described by."""
        digest = hashlib.blake2b(f"{VERSION}\n{bulk_root}".encode(), digest_size=12)
        for state in states:
            digest.update(f"\n{state.study_instance_uid}\n{state.series_instance_uid}\n".encode())
            digest.update(state.digest)
        return digest.hexdigest()

    def document(self, state: SeriesState, bulk_root: str) -> MetadataDocument:
        """The metadata of every instance of a series; `bulk_root` is the URL up to and with "/studies".

        Of the instances that it has when they are read, should they be others than in `state`: the
        entity tag tells. Raises Corrupt, Unavailable, Abandoned.
        """
        etag = self.etag([state], bulk_root)
        body = self._cache.get(etag)
        if body is not None:
            metrics.METADATA_DOCUMENTS.labels("memory").inc()
            return MetadataDocument(body, etag)
        with self._turns.of(etag):  # who waited finds what the first one made
            body = self._cache.get(etag)
            if body is None:
                state, body = self._kept(state, bulk_root) or self.make(state, bulk_root)
                etag = self.etag([state], bulk_root)
                self._cache.put(etag, body)
        return MetadataDocument(body, etag)

    def variant(self, etag: str, name: str, make: Callable[[], bytes]) -> bytes:
        """A document in another form, made once and kept in memory beside it."""
        key = f"{etag}.{name}"
        body = self._cache.get(key)
        if body is None:
            body = make()
            self._cache.put(key, body)
        return body

    def plain(self, document: MetadataDocument) -> bytes | None:
        """The JSON of a document of moderate size; None of a larger one, which is not held as a whole."""
        key = f"{document.etag}.plain"
        body = self._cache.get(key)
        if body is None:
            body = b""
            if len(document.body) <= self._most_plain:
                body = _up_to(self._most_plain, unpacked(document.body))
            self._cache.put(key, body)
        return body or None

    def study_array(self, states: Sequence[SeriesState], bulk_root: str) -> Iterator[bytes]:
        """A JSON array with one object per instance of all `states`, in chunks."""
        return joined(self.document(state, bulk_root).body for state in states)

    def make(self, state: SeriesState, bulk_root: str) -> tuple[SeriesState, bytes]:
        """Read the headers of a series as it is now, and keep their document in the index."""
        instances = self._retrieve.select(
            Selection(
                study_instance_uids=(state.study_instance_uid,),
                series_instance_uids=(state.series_instance_uid,),
            )
        )
        body = document_of(self.objects(instances, bulk_root))
        state = replace(state, instances=len(instances), digest=digest_of(instances))
        metrics.METADATA_DOCUMENTS.labels("objects").inc()
        try:
            self._documents.keep(state, VERSION, KeptDocument(bulk_root, body))
        except VnaError as exc:
            log.warning("a metadata document is not kept, and will be made again: %s", exc)
        return state, body

    def objects(self, instances: Sequence[StoredInstance], bulk_root: str) -> Iterator[bytes]:
        """One JSON object per instance, in their order; several are read at a time."""

        memo = JsonMemo()

        def serialised(instance: StoredInstance) -> bytes:
            return orjson.dumps(self._attributes(instance, bulk_root, memo))

        return several(serialised, instances, lambda instance: instance.layout.header_length)

    def attributes(self, instance: StoredInstance, bulk_root: str) -> dict[str, JsonElement]:
        """The instance's header in the DICOM JSON model, bulk data by URI."""
        return self._attributes(instance, bulk_root, None)

    def _attributes(
        self, instance: StoredInstance, bulk_root: str, memo: JsonMemo | None
    ) -> dict[str, JsonElement]:
        uids = instance.uids
        names = (uids.study_instance_uid, uids.series_instance_uid, uids.sop_instance_uid)
        study, series, sop_instance = (quote(name, safe="") for name in names)
        prefix = f"{bulk_root}/{study}/series/{series}/instances/{sop_instance}/bulkdata/"

        def uri(path: str) -> str:
            return prefix + path

        bulk_uri = uri if memo is None else Remembering(uri, memo)
        return header_json(self._retrieve, instance, bulk_uri)

    def _kept(self, state: SeriesState, bulk_root: str) -> tuple[SeriesState, bytes] | None:
        kept = self._documents.find(state, VERSION)
        if kept is None:
            return None
        metrics.METADATA_DOCUMENTS.labels("index").inc()
        if kept.root == bulk_root:
            return state, kept.body
        return state, rebased(kept.body, kept.root, bulk_root)


def digest_of(instances: Sequence[StoredInstance]) -> bytes:
    """What the index tells of a series that has just these instances."""
    ids = sorted(instance.instance_id for instance in instances)
    return hashlib.sha256(",".join(map(str, ids)).encode()).digest()


def _up_to(most: int, chunks: Iterator[bytes]) -> bytes:
    """All `chunks` together, b"" when they are more than `most` bytes."""
    held: list[bytes] = []
    left = most
    for chunk in chunks:
        held.append(chunk)
        left -= len(chunk)
        if left < 0:
            return b""
    return b"".join(held)
