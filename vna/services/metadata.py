"""Describe instances without their bulk data: DICOM JSON from the stored headers (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import orjson

from vna.dicom.json import JSON_VERSION
from vna.index.instances import InstanceIndex
from vna.model.identifiers import Selection
from vna.model.instances import StoredInstance
from vna.model.query import JsonElement
from vna.services.header_json import header_json
from vna.services.retrieve import RetrieveService

_GZIP_LEVEL = 1


@dataclass(frozen=True, slots=True)
class MetadataDocument:
    """A JSON array of instances, gzip-compressed, and its entity tag (unquoted)."""

    body: bytes
    etag: str


class MetadataService:
    """Header documents of series, kept compressed in memory up to `cache_bytes`."""

    def __init__(self, index: InstanceIndex, retrieve: RetrieveService, cache_bytes: int) -> None:
        self._index = index
        self._retrieve = retrieve
        self._cache = DocumentCache(cache_bytes)

    def series_etag(self, study: str, series: str, bulk_root: str) -> str | None:
        """The entity tag of the series' document now, None when there is no such series."""
        state = self._index.series_state(study, series)
        if state is None:
            return None
        text = "\n".join((str(JSON_VERSION), study, series, bulk_root, *map(str, state)))
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    def series_document(self, study: str, series: str, bulk_root: str) -> MetadataDocument | None:
        """The metadata of every instance of a series; `bulk_root` is the URL up to and with "/studies".

        None when there is no such series. Raises Corrupt, Unavailable.
        """
        etag = self.series_etag(study, series, bulk_root)
        if etag is None:
            return None
        body = self._cache.get(etag)
        if body is None:
            selection = Selection(study_instance_uids=(study,), series_instance_uids=(series,))
            instances = self._retrieve.select(selection)
            body = gzip.compress(self.array(instances, bulk_root), _GZIP_LEVEL, mtime=0)
            self._cache.put(etag, body)
        return MetadataDocument(body, etag)

    def array(self, instances: Sequence[StoredInstance], bulk_root: str) -> bytes:
        """A JSON array with one object per instance."""
        return b"[" + b",".join(self.objects(instances, bulk_root)) + b"]"

    def objects(self, instances: Sequence[StoredInstance], bulk_root: str) -> Iterator[bytes]:
        """One JSON object per instance, as it is read."""
        for instance in instances:
            yield orjson.dumps(self.attributes(instance, bulk_root))

    def attributes(self, instance: StoredInstance, bulk_root: str) -> dict[str, JsonElement]:
        """The instance's header in the DICOM JSON model, bulk data by URI."""
        uids = instance.uids
        names = (uids.study_instance_uid, uids.series_instance_uid, uids.sop_instance_uid)
        study, series, sop_instance = (quote(name, safe="") for name in names)
        prefix = f"{bulk_root}/{study}/series/{series}/instances/{sop_instance}/bulkdata/"
        return header_json(self._retrieve, instance, lambda path: prefix + path)


class DocumentCache:
    """Least recently used documents, up to a number of bytes; safe for threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._documents: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """The document, or None."""
        with self._lock:
            document = self._documents.get(key)
            if document is not None:
                self._documents.move_to_end(key)
            return document

    def put(self, key: str, document: bytes) -> None:
        """Keep `document`; older ones make room, one larger than the bound is not kept."""
        if len(document) > self._max_bytes:
            return
        with self._lock:
            self._bytes += len(document) - len(self._documents.pop(key, b""))
            self._documents[key] = document
            while self._bytes > self._max_bytes:
                _, oldest = self._documents.popitem(last=False)
                self._bytes -= len(oldest)
