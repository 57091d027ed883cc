"""Objects of an S3-compatible bucket as a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from storage_backends.errors import BackendUnavailable, InvalidOptions, StorageError
from storage_backends.s3.client import Client
from storage_backends.s3.errors import translated
from storage_backends.s3.options import S3Options, read_options
from storage_backends.s3.reader import ResponseReader, bytes_due
from vna.dicom.header import Header, HeaderReader
from vna.errors import ConfigError, InvalidInstance
from vna.migration.header_entry import entry_of, is_in_scope
from vna.migration.sniff import Kind, sniff
from vna.migration.sources.base import SourceError, SourceUnavailable, Unreadable
from vna.migration.sources.walking import WalkingSource
from vna.model.migration import Capabilities, FoundInstance, FoundStudy, Scope
from vna.spool import Spool, Spooled

HEADER_BYTES = 128 * 1024
"""As much is read of an object to list it; more only where its header is longer."""

_NAME = "source bucket"
_CHUNK = 2**20
_GROWTH = 16


class BucketSource(WalkingSource):
    """See MigrationSource. An object's place is its name in the bucket."""

    def __init__(self, options: Mapping[str, str], spool: Spool) -> None:
        """`options`: those of the storage backend s3, with any `prefix`. Raises ConfigError."""
        self._prefix = options.get("prefix", "")
        self._options = bucket_options(options)
        try:
            self._client = Client(self._options)
        except StorageError as exc:
            raise ConfigError(f"source option: {exc}") from exc
        self._spool = spool
        self._headers = HeaderReader()

    def capabilities(self) -> Capabilities:
        """See MigrationSource.capabilities."""
        return Capabilities("s3", keeps_bytes=True, counts_instances=False)

    def check(self) -> None:
        """See MigrationSource.check."""
        next(self._objects(), None)

    def walk(self, scope: Scope) -> Iterator[tuple[FoundStudy, FoundInstance] | Unreadable]:
        """See SupportsWalk.walk. What is no DICOM is passed over."""
        for name, size in self._objects():
            try:
                header = self._header(name, size)
            except InvalidInstance as exc:
                yield Unreadable(name, str(exc))
                continue
            if header is not None:
                found = entry_of(header, name, size)
                if is_in_scope(found[0], scope):
                    yield found

    def spooled(self, place: str) -> Spooled:
        """See WalkingSource.spooled."""
        with self._open(place) as reader, self._spool.open() as writer:
            try:
                while chunk := reader.read(_CHUNK):
                    writer.write(chunk)
            except StorageError as exc:
                raise _source_error(exc) from exc
            return writer.finish()

    def close(self) -> None:
        """See MigrationSource.close."""
        self._client.close()

    def _objects(self) -> Iterator[tuple[str, int]]:
        """Name and size of every object below the prefix."""
        try:
            with translated(_NAME, f"the list of {self._options.bucket}/{self._prefix}"):
                for found in self._client.list_objects(
                    self._options.bucket, prefix=self._prefix or None, recursive=True
                ):
                    if not found.is_dir and found.size:
                        yield str(found.object_name), int(found.size)
        except StorageError as exc:
            raise _source_error(exc) from exc

    def _header(self, name: str, size: int) -> Header | None:
        """None for what is no DICOM. Raises InvalidInstance."""
        length = HEADER_BYTES
        while True:
            with self._open(name, min(length, size)) as reader:
                head = reader.read()
            if sniff(head[:1024], size) is not Kind.DICOM:
                return None
            if len(head) >= size:
                return self._headers.read(head)
            try:
                header = self._headers.read(head)
            except InvalidInstance:
                header = None
            if header is not None and header.layout.pixel_offset >= 0:
                return header
            length *= _GROWTH

    def _open(self, name: str, length: int | None = None) -> ResponseReader:
        """All of an object, or its first bytes."""
        headers = {} if length is None else {"Range": f"bytes=0-{length - 1}"}
        try:
            with translated(_NAME, name):
                response = self._client.get_object(
                    self._options.bucket,
                    name,
                    request_headers=headers,
                    ssec=self._client.customer_key,
                )
            return ResponseReader(
                _NAME, name, response, bytes_due(response, f"{_NAME}: {name}", 0, length)
            )
        except StorageError as exc:
            raise _source_error(exc) from exc


def bucket_options(options: Mapping[str, str]) -> S3Options:
    """The options without their prefix, which here may be any text. Raises ConfigError."""
    kept = {name: value for name, value in options.items() if name != "prefix"}
    try:
        return read_options(kept, Path.cwd())
    except InvalidOptions as exc:
        text = str(exc).removeprefix("storage backend 's3'").lstrip(": ")
        raise ConfigError(f"source s3: {text}") from exc


def _source_error(error: StorageError) -> SourceError:
    if isinstance(error, BackendUnavailable) and error.transient:
        return SourceUnavailable(str(error))
    return SourceError(str(error))
