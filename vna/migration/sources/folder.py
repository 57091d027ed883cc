"""Files as a source: a folder tree with zip archives, or what a DICOMDIR lists; copied, or adopted where they lie."""

from __future__ import annotations

import contextlib
import mmap
import os
import zipfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from lzma import LZMAError
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote_from_bytes, unquote_to_bytes

from vna.dicom.header import HeaderReader
from vna.errors import InvalidInstance
from vna.migration.candidates import Candidate, Fate, Finding, LooseFile, ZipMember
from vna.migration.files import walk
from vna.migration.header_entry import entry_of, is_in_scope
from vna.migration.sniff import HEAD_BYTES, Kind, sniff
from vna.migration.source_options import FolderOptions
from vna.migration.sources.base import SourceError, Unreadable
from vna.migration.sources.walking import WalkingSource
from vna.migration.spooling import check_linkable, linked, spool_stream
from vna.model.migration import Capabilities, FoundInstance, FoundStudy, Scope
from vna.spool import Spool, Spooled

_CAN_FAIL = (OSError, EOFError, zipfile.BadZipFile, zlib.error, LZMAError, RuntimeError)
_IN_ZIP = "!"
_OPEN_ARCHIVES = 8
MOST_IN_ZIP = 2**28
"""A zip member is inflated as a whole to read its header; larger ones are not."""


class FolderSource(WalkingSource):
    """See MigrationSource. A file's place is its path below the root, in percent encoding: paths are bytes."""

    def __init__(self, options: FolderOptions, spool: Spool) -> None:
        self._options, self._spool = options, spool
        self._top = Path(options.path)
        self._root = self._top if self._top.is_dir() else self._top.parent
        self._headers = HeaderReader()
        self._archive = lru_cache(maxsize=_OPEN_ARCHIVES)(zipfile.ZipFile)

    def capabilities(self) -> Capabilities:
        """See MigrationSource.capabilities."""
        return Capabilities(
            "folder", keeps_bytes=True, counts_instances=False, adopts=self._options.adopt
        )

    def check(self) -> None:
        """See MigrationSource.check."""
        try:
            self._top.stat()
            if self._top.is_dir():
                next(self._top.iterdir(), None)
            if self._options.adopt:
                check_linkable(self._spool, self._top)
        except OSError as exc:
            raise SourceError(
                f"{self._top} cannot be read: {exc.strerror}; check path, and that it is mounted here"
            ) from exc

    def walk(self, scope: Scope) -> Iterator[tuple[FoundStudy, FoundInstance] | Unreadable]:
        """See SupportsWalk.walk. What is no DICOM is passed over."""
        self.check()
        for candidate in walk([self._top]):
            if isinstance(candidate, Finding):
                if candidate.fate is not Fate.SKIPPED:
                    yield Unreadable(candidate.name, candidate.reason)
                continue
            found = self._entry(candidate)
            if isinstance(found, Unreadable) or (found and is_in_scope(found[0], scope)):
                yield found

    def spooled(self, place: str) -> Spooled:
        """See WalkingSource.spooled."""
        try:
            candidate = self._candidate(place)
            if self._options.adopt and isinstance(candidate, LooseFile):
                return linked(self._spool, candidate.path)
            with candidate.open() as stream:
                return spool_stream(self._spool, stream)
        except _CAN_FAIL as exc:
            raise SourceError(f"{place}: {_reason(exc)}") from exc

    def close(self) -> None:
        """See MigrationSource.close."""
        self._archive.cache_clear()

    def _entry(self, candidate: Candidate) -> tuple[FoundStudy, FoundInstance] | Unreadable | None:
        """None for what is no DICOM."""
        place = self._place(candidate)
        try:
            with candidate.open() as stream:
                size = candidate.size()
                if sniff(stream.read(HEAD_BYTES), size) is not Kind.DICOM:
                    return None
            return self._read(candidate, place, size)
        except (*_CAN_FAIL, InvalidInstance) as exc:
            return Unreadable(place, _reason(exc))

    def _read(
        self, candidate: Candidate, place: str, size: int
    ) -> tuple[FoundStudy, FoundInstance] | Unreadable:
        with candidate.open() as stream:
            if isinstance(candidate, LooseFile):
                return self._mapped(stream, place, size)
            if size > MOST_IN_ZIP:
                return Unreadable(
                    place, "too large to be read inside a zip archive: unpack it first"
                )
            return entry_of(self._headers.read(stream.read()), place, size)

    def _mapped(self, stream: BinaryIO, place: str, size: int) -> tuple[FoundStudy, FoundInstance]:
        view = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        try:
            return entry_of(self._headers.read(view), place, size)
        finally:
            with contextlib.suppress(BufferError):  # somebody kept a slice: it goes with that
                view.release()

    def _place(self, candidate: Candidate) -> str:
        path = quote_from_bytes(os.fsencode(os.path.relpath(candidate.path, self._root)))
        if isinstance(candidate, ZipMember):
            return path + _IN_ZIP + quote_from_bytes(candidate.info.filename.encode())
        return path

    def _candidate(self, place: str) -> Candidate:
        path, _, member = place.partition(_IN_ZIP)
        file = self._root / os.fsdecode(unquote_to_bytes(path))
        if not member:
            return LooseFile(file)
        archive = self._archive(file)
        return ZipMember(file, archive, archive.getinfo(unquote_to_bytes(member).decode()))


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) else ""
    return text or str(error) or type(error).__name__
