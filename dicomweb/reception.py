"""One part after another of a store request: spooled, handed to the archive, reported."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Self

from dicomweb.media import DICOM, OCTET_STREAM, parse_media_type
from dicomweb.store_window import Helpers, StoreWindow
from dicomweb.stow_report import Failure, StowReport, failure_reason
from vna.dicom.header import read_held
from vna.errors import InvalidInstance, OutOfSpace, Unavailable, VnaError
from vna.model.identifiers import Origin
from vna.services.store import Expected, StoreOutcome, StoreService
from vna.spool import Spooled, SpoolWriter

log = logging.getLogger(__name__)

MAX_FAILURES = 10_000
MAX_LOGGED = 20
_META, _MAX_META = 132, 512
_UNTOLD = frozenset({DICOM, OCTET_STREAM})
"""Types of a part that may hold an object: that of one, and that of who does not tell."""
_CODING_HEADERS = ("content-transfer-encoding", "content-encoding")
_NOT_CODED = frozenset({"", "binary", "8bit", "7bit", "identity"})
_INSTANCE_UID = b"\x02\0\x03\0UI"

Result = StoreOutcome | Failure


class TooManyFailures(VnaError):
    """A request holds more parts that can't be stored than anyone sends in good faith."""


class Keeper:
    """Stores what one request brings, and reports it; the parts of it may be stored at once."""

    def __init__(
        self,
        store: StoreService,
        helpers: Helpers,
        origin: Origin,
        study_instance_uid: str,
        report: StowReport,
    ) -> None:
        self.spool = store.spool
        self._store, self._origin, self._report = store, origin, report
        self._expected = Expected(study_instance_uid=study_instance_uid)
        self._window: StoreWindow[Result] = StoreWindow(helpers, self._keep)
        self._unlogged = 0

    def keep(self, spooled: Spooled) -> None:
        """Store what came whole, soon. Raises TooManyFailures."""
        uid = _announced_uid(spooled.first(_META + _MAX_META)[_META:])
        self._note(self._window.add(uid, spooled))

    def fail(self, failure: Failure) -> None:
        """Report what can't be stored. Raises TooManyFailures."""
        self._note(self._window.flush())
        self._note([failure])

    def finish(self) -> None:
        """Store what is left; log the failures that have no line of their own."""
        try:
            self._note(self._window.finish())
        finally:
            if self._unlogged:
                log.warning(
                    "%d more instances of the same request were not stored",
                    self._unlogged,
                    extra={"correlation": self._origin.correlation_id},
                )

    def drop(self) -> None:
        """Let go of what waits to be stored."""
        self._window.drop()

    def outage(self) -> VnaError | None:
        """Once database or storage are gone the rest is not tried: each would wait in vain."""
        last = self._report.last_error
        is_outage = isinstance(last, Unavailable) and not isinstance(last, OutOfSpace)
        return last if is_outage else None

    def _keep(self, spooled: Spooled) -> Result:
        """What becomes of it; called in several threads."""
        with spooled:
            outage = self.outage()
            if outage is not None:
                return failure_of(outage, spooled)
            try:
                return self._store.store(spooled, self._origin, self._expected)
            except VnaError as exc:
                return failure_of(exc, spooled)

    def _note(self, results: Iterable[Result]) -> None:
        for result in results:
            self._report.add(result)
            if isinstance(result, Failure):
                self._log(result)
        if self._report.failed > MAX_FAILURES:
            raise TooManyFailures(
                f"more than {MAX_FAILURES} parts could not be stored: the request is read no further"
            )

    def _log(self, failure: Failure) -> None:
        if self._report.failed > MAX_LOGGED:
            self._unlogged += 1
            return
        log.log(
            logging.ERROR if failure.error.transient else logging.WARNING,
            "instance not stored: %s",
            failure.error,
            extra={
                "correlation": self._origin.correlation_id,
                "sop_instance_uid": failure.sop_instance_uid,
                "reason": f"{failure.reason:04X}",
            },
        )


class Reception:
    """Receives DICOM objects; every part ends in the report, none that broke off is stored.

    Use it as a context: leaving it drops a part that has not ended.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._writer: SpoolWriter | None = None
        self._error: VnaError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._drop()
        self._keeper.drop()

    def begin(self, headers: Mapping[str, str]) -> None:
        """A part begins; without a type it counts as application/dicom."""
        self._error = (
            _wrong_type(headers.get("content-type", ""))
            or coding_error(headers)
            or self._keeper.outage()
        )
        if self._error is None:
            try:
                self._writer = self._keeper.spool.open()
            except VnaError as exc:
                self._error = exc

    def write(self, data: bytes | memoryview) -> None:
        """Some bytes of the part; they are passed over when it can't be stored any more."""
        if self._writer is None:
            return
        try:
            self._writer.write(data)
        except VnaError as exc:
            self._error = exc
            self._drop()

    def end(self) -> None:
        """The part is complete: it is stored. Raises TooManyFailures."""
        writer, self._writer = self._writer, None
        if writer is None:
            self._fail(self._error or InvalidInstance("the part was not received"))
        elif not writer.size:
            writer.abort()
            self._fail(InvalidInstance("the part is empty"))
        else:
            try:
                spooled = writer.finish()
            except VnaError as exc:
                self._fail(exc)
            else:
                self._keeper.keep(spooled)

    def finish(self) -> None:
        """The body has ended, or broken off: what came whole is stored. Raises TooManyFailures."""
        self._drop()
        self._keeper.finish()

    def _fail(self, error: VnaError) -> None:
        self._keeper.fail(failure_of(error))

    def _drop(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abort()


def _announced_uid(head: bytes) -> str:
    """Media Storage SOP Instance UID (0002,0003); "" for a file that does not begin as most do."""
    at = head.find(_INSTANCE_UID)
    if at < 0:
        return ""
    length = int.from_bytes(head[at + 6 : at + 8], "little")
    return head[at + 8 : at + 8 + length].decode("latin-1").strip("\0 ")


def _wrong_type(content_type: str) -> VnaError | None:
    if content_type in {"", DICOM}:  # most parts of most requests
        return None
    media_type = parse_media_type(content_type) if content_type.strip() else None
    if not content_type.strip() or (media_type is not None and media_type.kind in _UNTOLD):
        return None
    return InvalidInstance(f"the part is of type {content_type[:64]!r}, not {DICOM}")


def coding_error(headers: Mapping[str, str]) -> VnaError | None:
    """Why the bytes of a part are not those of what it holds: what is coded would be kept coded, and read by nobody."""
    for name in _CODING_HEADERS:
        coding = headers.get(name, "").strip().lower()
        if coding not in _NOT_CODED:
            return InvalidInstance(
                f"the part has {name} {coding[:32]!r}: send its bytes as they are"
            )
    return None


def failure_of(error: VnaError, spooled: Spooled | None = None) -> Failure:
    """What failed, under the UIDs of the dataset where it can be read at all."""
    sop_class_uid = sop_instance_uid = ""
    if spooled is not None:
        try:
            header = read_held(spooled)
            sop_class_uid, sop_instance_uid = header.sop_class_uid, header.uids.sop_instance_uid
        except VnaError:
            log.debug("the refused part names no instance")
    return Failure(error, failure_reason(error), sop_class_uid, sop_instance_uid)
