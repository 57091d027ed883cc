"""A backend that keeps each object as an object of an S3-compatible store."""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, BinaryIO

from storage_backends.base import (
    KEY_GRAMMAR,
    Digest,
    FreshKey,
    ObjectInfo,
    ObjectReader,
    check_key,
    resolve_range,
)
from storage_backends.errors import (
    BackendUnavailable,
    InvalidRange,
    ObjectExists,
    ObjectNotFound,
)
from storage_backends.probing import probe_with_object
from storage_backends.s3 import checksums
from storage_backends.s3.checksums import Checksum
from storage_backends.s3.client import Client
from storage_backends.s3.conditions import KeyLocks, refuses_taken_names
from storage_backends.s3.errors import translated
from storage_backends.s3.options import S3Options
from storage_backends.s3.reader import ResponseReader, bytes_due
from storage_backends.s3.upload import MultipartUpload, part_bytes_for, pieces
from storage_backends.streams import empty_reader

_PREFIX = re.compile(r"(?:[a-z0-9][a-z0-9_.-]*/)*(?:[a-z0-9][a-z0-9_.-]*)?")


class S3Backend:
    """Objects of one bucket, below an optional prefix.

    A name that is taken is refused by the store itself where it knows conditional requests; elsewhere the driver
    looks before it writes, unless the key was made at random. Bytes are covered by a checksum on their way and by
    the caller's digest before. After BackendUnavailable from `put` the object may be there all the same: nobody
    knows what became of a request whose answer did not come.
    """

    def __init__(self, options: S3Options, name: str = "s3") -> None:
        self.name = name
        self._options = options
        self._client = Client(options)
        self._senders = ThreadPoolExecutor(
            max_workers=options.connections, thread_name_prefix=f"{name}-parts"
        )
        self._locks = KeyLocks()
        self._trial_lock = threading.Lock()
        self._known_checksum: Checksum | None = checksums.NAMES.get(options.checksum)
        self._is_conditional: bool | None = {"yes": True, "no": False}.get(options.conditional_put)
        self._is_closed = False

    def put(self, key: str, source: BinaryIO, *, size: int, digest: Digest) -> ObjectInfo:
        """See StorageBackend.put."""
        name = self._name(key)
        only_new, checksum = self._knows_conditions(), self._checksum()
        part_bytes = part_bytes_for(size, self._options.part_bytes)
        with contextlib.ExitStack() as stack:
            if not only_new and not isinstance(key, FreshKey):
                stack.enter_context(self._locks.hold(key))
                self._refuse_taken(key)
            parts = stack.enter_context(pieces(key, source, size, digest, part_bytes))
            if size <= part_bytes:
                body = next(parts)
                with translated(self.name, key, writes=True):
                    self._client.put(name, body, only_new=only_new, checksum=checksum)
                return ObjectInfo(key, size, time.time())
            upload = MultipartUpload(
                self._client, self._senders, self._options.parallel_parts, only_new=only_new
            )
            upload.send(self.name, key, name, parts)
        return self._confirmed(key, size)

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> ObjectReader:
        """See StorageBackend.open."""
        name = self._name(key)
        if start < 0 or (length is not None and length <= 0):
            resolve_range(key, self.stat(key).size, start, length)
            return empty_reader()
        try:
            with translated(self.name, key):
                response = self._get(name, start, length)
        except InvalidRange:
            _, count = resolve_range(key, self.stat(key).size, start, length)
            if count:
                raise
            return empty_reader()
        try:
            count = bytes_due(response, f"{self.name}: {key!r}", start, length)
        except BaseException:
            response.close()
            response.release_conn()
            raise
        return ResponseReader(self.name, key, response, count)

    def stat(self, key: str) -> ObjectInfo:
        """See StorageBackend.stat."""
        name = self._name(key)
        with translated(self.name, key):
            found = self._client.stat_object(
                self._options.bucket, name, ssec=self._client.customer_key
            )
        return ObjectInfo(key, int(found.size or 0), found.last_modified.timestamp())

    def delete(self, key: str) -> None:
        """See StorageBackend.delete. In a bucket that keeps versions the store keeps the old one."""
        name = self._name(key)
        with contextlib.suppress(ObjectNotFound), translated(self.name, key, writes=True):
            self._client.remove_object(self._options.bucket, name)

    def scan(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """See StorageBackend.scan. What does not look like an object of the archive is left out."""
        if not _PREFIX.fullmatch(prefix):
            return
        first = f"{self._root()}{after}{self._options.object_suffix}" if after else ""
        with translated(self.name, f"scan of {prefix!r}"):
            for found in self._client.list_objects(
                self._options.bucket,
                prefix=f"{self._root()}{prefix}",
                start_after=first or None,
                recursive=True,
            ):
                key = self._key(found.object_name)
                if key and key.startswith(prefix) and key > after:
                    yield ObjectInfo(key, int(found.size or 0), found.last_modified.timestamp())

    def probe(self) -> None:
        """See StorageBackend.probe."""
        probe_with_object(self)

    def presign(self, key: str, *, seconds: int) -> str:
        """See SupportsPresign.presign."""
        name = self._name(key)
        with translated(self.name, key):
            return str(
                self._client.presigned_get_object(
                    self._options.bucket, name, expires=timedelta(seconds=seconds)
                )
            )

    def close(self) -> None:
        """See StorageBackend.close."""
        if not self._is_closed:
            self._is_closed = True
            self._senders.shutdown()
            self._client.close()

    def _root(self) -> str:
        return f"{self._options.prefix}/" if self._options.prefix else ""

    def _name(self, key: str) -> str:
        if self._is_closed:
            raise BackendUnavailable(f"{self.name}: the backend was closed")
        return f"{self._root()}{check_key(key)}{self._options.object_suffix}"

    def _key(self, name: str) -> str:
        """The key behind an object's name, "" for a name that the driver would not give."""
        suffix = self._options.object_suffix
        key = name[len(self._root()) : len(name) - len(suffix)] if name.endswith(suffix) else ""
        return key if KEY_GRAMMAR.fullmatch(key) else ""

    def _get(self, name: str, start: int, length: int | None) -> Any:
        headers = {}
        if start or length is not None:
            last = "" if length is None else start + length - 1
            headers["Range"] = f"bytes={start}-{last}"
        return self._client.get_object(
            self._options.bucket, name, request_headers=headers, ssec=self._client.customer_key
        )

    def _refuse_taken(self, key: str) -> None:
        with contextlib.suppress(ObjectNotFound):
            self.stat(key)
            raise ObjectExists(f"{self.name}: object {key!r} exists")

    def _confirmed(self, key: str, size: int) -> ObjectInfo:
        """What the store made of the parts: it may answer 200 and fail all the same."""
        try:
            info = self.stat(key)
        except ObjectNotFound as exc:
            raise BackendUnavailable(f"{self.name}: {key!r} was not made of its parts") from exc
        if info.size != size:
            self.delete(key)
            raise BackendUnavailable(
                f"{self.name}: {key!r} has {info.size} bytes, {size} were sent"
            )
        return info

    def _knows_conditions(self) -> bool:
        if self._is_conditional is None:
            with self._trial_lock:
                if self._is_conditional is None:
                    self._is_conditional = refuses_taken_names(
                        self._client, self.name, self._trial_name()
                    )
        return self._is_conditional

    def _checksum(self) -> Checksum:
        if self._known_checksum is None:
            with self._trial_lock:
                if self._known_checksum is None:
                    self._known_checksum = checksums.proven_by(
                        self._client, self.name, self._trial_name()
                    )
        return self._known_checksum

    def _trial_name(self) -> str:
        return f"{self._root()}probe-{secrets.token_hex(16)}{self._options.object_suffix}"
