"""Store requests whose metadata and bulk data come apart (PS3.18 10.5.2): instances are built as their data arrive."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Self
from urllib.parse import urljoin

import orjson

from dicomweb.media import DICOM_JSON, DICOM_XML, JSON, OCTET_STREAM, MediaType, parse_media_type
from dicomweb.received_bulk import ReceivedBulk
from dicomweb.received_metadata import Attributes, BrokenMetadata, ReceivedMetadata, bulk_uris
from dicomweb.reception import Keeper, coding_error
from dicomweb.stow_report import Failure, failure_reason
from vna.dicom.building import SOP_CLASS_UID, SOP_INSTANCE_UID, build_file, text_of
from vna.dicom.element_writer import Frames
from vna.errors import InvalidInstance, VnaError

MAX_SPOOLED = 256
"""Large bulk data that may wait for metadata, or for other bulk data, at once."""
MAX_SMALL_BYTES = 8 * 2**20
"""Bytes of all small ones that wait."""

_METADATA = frozenset({DICOM_JSON, DICOM_XML})
_LEVEL, _LARGE = 1, 2**20
_one_large = threading.Lock()  # parsed metadata takes ten times their bytes: one such at a time
_BARE = {JSON: DICOM_JSON, "application/xml": DICOM_XML, "text/xml": DICOM_XML}


class TooMuchMetadata(VnaError):
    """The metadata of one request that are in memory are more than the gateway holds."""


class _Waiting:
    """An instance whose bulk data have not all come: its metadata, deflated, the locations, those that lack."""

    __slots__ = ("document", "locations", "missing", "size")

    def __init__(self, document: bytes, locations: frozenset[str], missing: set[str]) -> None:
        self.document, self.size = zlib.compress(document, _LEVEL), len(document)
        self.locations, self.missing = locations, missing

    def attributes(self) -> Attributes:
        """Its metadata."""
        found: Attributes = orjson.loads(zlib.decompress(self.document))
        return found


class MetadataReception:
    """Receives metadata and bulk data; every instance ends in the report.

    An instance is stored when the last of its bulk data has come, and these are let go of when no instance that is
    known waits for them any more. Use it as a context: leaving it drops what has not been stored.
    """

    def __init__(self, keeper: Keeper, max_metadata_bytes: int, base_url: str) -> None:
        self._keeper, self._base_url = keeper, base_url
        self._room = max_metadata_bytes
        self._metadata: ReceivedMetadata | None = None
        self._bulk: dict[str, ReceivedBulk] = {}
        self._open: ReceivedBulk | None = None
        self._waiting: dict[str, list[_Waiting]] = {}
        self._uses: dict[str, int] = {}
        self._spooled = self._small_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for bulk in (*self._bulk.values(), *filter(None, [self._open])):
            bulk.close()
        self._keeper.drop()

    def begin(self, headers: Mapping[str, str]) -> None:
        """A part begins. Raises BrokenMetadata."""
        media_type = parse_media_type(headers.get("content-type", "")) or MediaType(OCTET_STREAM)
        location = _location(headers)
        kind = media_type.kind if location else _BARE.get(media_type.kind, media_type.kind)
        error = coding_error(headers)
        if kind in _METADATA:
            if error is not None:
                raise BrokenMetadata(str(error))
            self._end_bulk()
            self._metadata = ReceivedMetadata(kind)
        elif not location:
            raise BrokenMetadata(f"a part of type {kind[:64]} has no Content-Location")
        else:
            bulk = self._begin_bulk(urljoin(self._base_url, location), media_type)
            bulk.error = bulk.error or error

    def write(self, data: bytes | memoryview) -> None:
        """Some bytes of the part. Raises BrokenMetadata, TooMuchMetadata, TooManyFailures."""
        if self._metadata is not None:
            with _turn(self._metadata.held):
                self._expect_all(self._metadata.feed(data))
            self._check_room(self._metadata.held)
        elif self._open is not None:
            self._open.write(data)

    def end(self) -> None:
        """The part is complete. Raises BrokenMetadata, TooMuchMetadata, TooManyFailures."""
        if self._metadata is not None:
            ended, self._metadata = self._metadata, None
            with _turn(ended.held):
                self._expect_all(ended.finish())
        elif self._open is not None:
            self._open.end_piece()

    def finish(self) -> None:
        """The body has ended, or broken off: report what lacks its bulk data. Raises TooManyFailures."""
        self._metadata = None
        self._end_bulk()
        unfinished = {id(item): item for items in self._waiting.values() for item in items}
        self._waiting.clear()
        for item in unfinished.values():
            missing = min(item.missing)
            error = InvalidInstance(f"no part has the Content-Location {missing[:64]!r}")
            self._keeper.fail(_failure(error, item.attributes()))
        for location in sorted(set(self._bulk) - set(self._uses)):
            unnamed = InvalidInstance(f"no metadata name the bulk data at {location[:64]!r}")
            self._keeper.fail(Failure(unnamed, failure_reason(unnamed)))
        self._keeper.finish()

    def _check_room(self, count: int) -> None:
        """Whether there is room for so many bytes of metadata more. Raises TooMuchMetadata."""
        if count > self._room:
            raise TooMuchMetadata(
                "more metadata wait than the gateway holds (web.max_metadata_bytes): divide the request"
            )

    # --- bulk data ---

    def _begin_bulk(self, location: str, media_type: MediaType) -> ReceivedBulk:
        """The next piece of the same location, or a new one."""
        if self._open is not None and self._open.location == location:
            self._open.begin_piece()
            return self._open
        self._end_bulk()
        if location in self._bulk:
            raise BrokenMetadata(f"parts named {location[:64]!r} stand apart from each other")
        if self._spooled >= MAX_SPOOLED or self._small_bytes >= MAX_SMALL_BYTES:
            raise BrokenMetadata("too many parts wait for their metadata, or for other parts")
        syntax = media_type.get("transfer-syntax").strip()
        syntax = "" if syntax == "*" else syntax
        self._open = ReceivedBulk(self._keeper.spool, location, media_type.kind, syntax)
        return self._open

    def _end_bulk(self) -> None:
        """What is open is complete, unless it broke off: instances may have waited for it."""
        bulk, self._open = self._open, None
        if bulk is None:
            return
        if not bulk.is_whole:
            bulk.close()
            return
        bulk.finish()
        self._bulk[bulk.location] = bulk
        self._count(bulk, 1)
        for item in self._waiting.pop(bulk.location, ()):
            item.missing.discard(bulk.location)
            if not item.missing:
                self._room += len(item.document)
                with _turn(item.size):
                    self._build(item.attributes(), item.locations)

    def _drop(self, location: str) -> None:
        bulk = self._bulk.pop(location)
        self._count(bulk, -1)
        bulk.close()

    def _count(self, bulk: ReceivedBulk, sign: int) -> None:
        self._small_bytes += sign * bulk.memory_bytes
        self._spooled += sign * (not bulk.memory_bytes)

    # --- instances ---

    def _expect_all(self, found: Iterator[Attributes]) -> None:
        for attributes in found:
            self._expect(attributes)

    def _expect(self, attributes: Attributes) -> None:
        """An instance is announced: build it when its bulk data are there."""
        locations = frozenset(urljoin(self._base_url, uri) for uri in bulk_uris(attributes))
        for location in locations:
            self._uses[location] = self._uses.get(location, 0) + 1
        missing = {location for location in locations if location not in self._bulk}
        if not missing:
            self._build(attributes, locations)
            return
        item = _Waiting(orjson.dumps(attributes), locations, missing)
        self._check_room(len(item.document))
        self._room -= len(item.document)
        for location in missing:
            self._waiting.setdefault(location, []).append(item)

    def _build(self, attributes: Attributes, locations: frozenset[str]) -> None:
        try:
            self._write(attributes, locations)
        except VnaError as exc:
            self._keeper.fail(_failure(exc, attributes))
        finally:
            for location in locations:
                self._uses[location] -= 1
                if not self._uses[location]:
                    del self._uses[location]
                    self._drop(location)

    def _write(self, attributes: Attributes, locations: frozenset[str]) -> None:
        """The file into the spool and on its way. Raises InvalidInstance, Unsupported, OutOfSpace, Unavailable."""
        received = [self._bulk[location] for location in locations]
        outage = self._keeper.outage()
        if outage is not None:
            raise outage
        errors = [bulk.error for bulk in received if bulk.error is not None]
        if errors:
            raise errors[0]
        with self._keeper.spool.open() as writer:
            with ExitStack() as stack:
                named = {
                    uri: stack.enter_context(self._bulk[urljoin(self._base_url, uri)].shown())
                    for uri in bulk_uris(attributes)
                }
                for chunk in build_file(attributes, named):
                    for piece in chunk.make() if isinstance(chunk, Frames) else (chunk,):
                        writer.write(piece)
            spooled = writer.finish()
        self._keeper.keep(spooled)


def _turn(size: int) -> AbstractContextManager[object]:
    """What to hold while metadata of `size` bytes are parsed."""
    return _one_large if size > _LARGE else nullcontext()


def _location(headers: Mapping[str, str]) -> str:
    """The name of a part; "" for one that has none (RFC 2557 4.2, RFC 2392)."""
    location = headers.get("content-location", "").strip()
    content_id = headers.get("content-id", "").strip().strip("<>")
    return location or (f"cid:{content_id}" if content_id else "")


def _failure(error: VnaError, attributes: Attributes) -> Failure:
    sop_class_uid, sop_instance_uid = (
        text_of(attributes, key) for key in (SOP_CLASS_UID, SOP_INSTANCE_UID)
    )
    return Failure(error, failure_reason(error), sop_class_uid, sop_instance_uid)
