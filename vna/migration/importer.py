"""Store many files through the store service with several workers; no file can stop the others."""

from __future__ import annotations

import logging
import os
import queue
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from lzma import LZMAError
from typing import BinaryIO, Protocol

from vna.errors import InvalidInstance, Unavailable, VnaError
from vna.migration.candidates import Candidate, Fate, Finding
from vna.migration.sniff import HEAD_BYTES, Kind, sniff
from vna.model.identifiers import Origin
from vna.model.instances import Outcome
from vna.services.store import StoreOutcome
from vna.spool import Spool, Spooled

log = logging.getLogger(__name__)

_CHUNK = 2**20
_QUEUED_PER_WORKER = 4
_UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, LZMAError, RuntimeError)
_FATES = {
    Outcome.STORED: Fate.STORED,
    Outcome.DUPLICATE: Fate.DUPLICATE,
    Outcome.CONFLICT: Fate.CONFLICT,
}
_SKIPPED = {
    Kind.OTHER: "not DICOM",
    Kind.DICOMDIR: "a DICOMDIR is not stored; name it as a PATH to import what it lists",
    Kind.ZIP: "a zip archive; unpack it, or name it as a PATH",
}


class Store(Protocol):
    """What is needed of vna.services.store.StoreService."""

    @property
    def spool(self) -> Spool: ...
    def store(self, spooled: Spooled, origin: Origin) -> StoreOutcome: ...


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """`workers` threads (0: four a core, 16 at most); `run` names the import in logs and audit.

    A transient failure is tried again `retries` times, first after `retry_delay` seconds, then
    after twice as long each time.
    """

    workers: int = 0
    retries: int = 4
    retry_delay: float = 0.25
    run: str = ""

    @property
    def worker_count(self) -> int:
        return self.workers or min(16, 4 * (os.cpu_count() or 1))


@dataclass(slots=True)
class ImportReport:
    """What an import did. Everything but stored, known and skipped files is listed; of the skipped the first."""

    MAX_SKIPPED = 10_000

    counts: dict[Fate, int] = field(default_factory=lambda: dict.fromkeys(Fate, 0))
    stored_bytes: int = 0
    listed: list[Finding] = field(default_factory=list)
    interrupted: bool = False

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def has_failures(self) -> bool:
        return bool(self.interrupted or self.counts[Fate.REFUSED] or self.counts[Fate.FAILED])

    def add(self, finding: Finding) -> None:
        """Count one more file."""
        self.counts[finding.fate] += 1
        if finding.fate is Fate.STORED:
            self.stored_bytes += finding.size
        elif finding.fate is Fate.SKIPPED:
            if self.counts[Fate.SKIPPED] <= self.MAX_SKIPPED:
                self.listed.append(finding)
        elif finding.fate is not Fate.DUPLICATE:
            self.listed.append(finding)

    def of(self, fate: Fate) -> list[Finding]:
        """The listed findings of one fate."""
        return [finding for finding in self.listed if finding.fate is fate]


class Importer:
    """One import: `run` it once."""

    def __init__(
        self,
        store: Store,
        settings: ImportSettings | None = None,
        on_finding: Callable[[Finding], object] = lambda _: None,
    ) -> None:
        self._store = store
        self._settings = settings or ImportSettings()
        self._on_finding = on_finding
        workers = self._settings.worker_count
        self._queue: queue.Queue[Candidate | None] = queue.Queue(workers * _QUEUED_PER_WORKER)
        self._lock = threading.Lock()
        self._local = threading.local()
        self._stop = threading.Event()
        self._report = ImportReport()
        self._error: BaseException | None = None

    def run(self, found: Iterable[Candidate | Finding]) -> ImportReport:
        """Import what a walk finds. An interrupt ends it after the files that are being stored."""
        workers = [
            threading.Thread(target=self._work, name=f"import-{number}", daemon=True)
            for number in range(self._settings.worker_count)
        ]
        for worker in workers:
            worker.start()
        try:
            self._feed(found)
            self._finish(workers)
        except KeyboardInterrupt:
            self._report.interrupted = True
            self._stop.set()
            self._finish(workers)
        except BaseException:
            self._stop.set()
            self._finish(workers)
            raise
        if self._error is not None:
            raise self._error
        return self._report

    def _feed(self, found: Iterable[Candidate | Finding]) -> None:
        for item in found:
            if self._stop.is_set():
                return
            if isinstance(item, Finding):
                self._tell(item)
            else:
                self._queue.put(item)

    def _finish(self, workers: list[threading.Thread]) -> None:
        for _ in workers:
            self._queue.put(None)
        for worker in workers:
            worker.join()

    def _work(self) -> None:
        while (candidate := self._queue.get()) is not None:
            if self._stop.is_set():
                continue
            try:
                self._tell(self._import(candidate))
            except Exception as exc:  # noqa: BLE001 - the listener's; whoever called run shall have it
                self._error = exc
                self._stop.set()

    def _tell(self, finding: Finding) -> None:
        with self._lock:
            self._report.add(finding)
            self._on_finding(finding)

    def _import(self, candidate: Candidate) -> Finding:
        delay = self._settings.retry_delay
        for attempt in range(self._settings.retries + 1):
            try:
                return self._import_once(candidate)
            except Unavailable as exc:
                if attempt == self._settings.retries or self._stop.wait(delay):
                    return _finding(candidate, Fate.FAILED, str(exc))
                delay *= 2
            except InvalidInstance as exc:
                return _finding(candidate, Fate.REFUSED, str(exc))
            except VnaError as exc:
                return _finding(candidate, Fate.FAILED, str(exc))
            except Exception as exc:
                log.exception("import of one file failed in an unforeseen way")
                return _finding(candidate, Fate.FAILED, f"unforeseen {type(exc).__name__}: {exc}")
        raise AssertionError("the last attempt returns")

    def _import_once(self, candidate: Candidate) -> Finding:
        spooled = self._receive(candidate)
        if isinstance(spooled, Finding):
            return spooled
        with spooled:
            origin = Origin("import", peer=candidate.name, correlation_id=self._settings.run)
            stored = self._store.store(spooled, origin)
        return Finding(
            candidate.name,
            _FATES[stored.outcome],
            _conflict(stored),
            stored.size,
            stored.uids.sop_instance_uid,
            stored.warnings,
        )

    def _receive(self, candidate: Candidate) -> Spooled | Finding:
        try:
            with candidate.open() as stream:
                head = _read_head(stream)
                kind = sniff(head, candidate.size())
                if kind is not Kind.DICOM:
                    return _finding(candidate, Fate.SKIPPED, _SKIPPED[kind])
                return _spool(self._store.spool, head, stream, self._buffer())
        except _UNREADABLE as exc:
            return _finding(candidate, Fate.FAILED, f"cannot be read: {_reason(exc)}")

    def _buffer(self) -> bytearray:
        """This worker's own buffer: fresh memory for each file would cost more than the copy."""
        buffer: bytearray | None = getattr(self._local, "buffer", None)
        if buffer is None:
            buffer = self._local.buffer = bytearray(_CHUNK)
        return buffer


def _read_head(stream: BinaryIO) -> bytes:
    head = b""
    while len(head) < HEAD_BYTES and (more := stream.read(HEAD_BYTES - len(head))):
        head += more
    return head


def _spool(spool: Spool, head: bytes, stream: BinaryIO, buffer: bytearray) -> Spooled:
    with spool.open() as writer, memoryview(buffer) as view:
        writer.write(head)
        while count := stream.readinto(view):  # type: ignore[attr-defined]
            writer.write(view[:count])
        return writer.finish()


def _conflict(stored: StoreOutcome) -> str:
    if stored.outcome is not Outcome.CONFLICT:
        return ""
    return (
        f"SOP Instance UID {stored.uids.sop_instance_uid} is known with other content; "
        f"both are kept, conflict {stored.conflict_id}"
    )


def _finding(candidate: Candidate, fate: Fate, reason: str) -> Finding:
    return Finding(candidate.name, fate, reason)


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) else ""
    return text or str(error) or type(error).__name__
