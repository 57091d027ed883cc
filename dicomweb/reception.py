"""One part after another of a store request: spooled, handed to the archive, reported."""

from __future__ import annotations

import logging
from typing import Self

from dicomweb.media import DICOM, parse_media_type
from dicomweb.stow_report import Failure, StowReport, failure_reason
from vna.dicom.header import read_header
from vna.errors import InvalidInstance, OutOfSpace, Unavailable, VnaError
from vna.model.identifiers import Origin
from vna.services.store import Expected, StoreService
from vna.spool import Spooled, SpoolWriter

log = logging.getLogger(__name__)

MAX_FAILURES = 10_000
MAX_LOGGED = 20


class TooManyFailures(VnaError):
    """A request holds more parts that can't be stored than anyone sends in good faith."""


class Reception:
    """Receives parts; every one ends in the report, none that broke off is stored.

    Use it as a context: leaving it drops a part that has not ended.
    """

    def __init__(
        self, store: StoreService, origin: Origin, study_instance_uid: str, report: StowReport
    ) -> None:
        self._store = store
        self._origin = origin
        self._expected = Expected(study_instance_uid=study_instance_uid)
        self._report = report
        self._writer: SpoolWriter | None = None
        self._error: VnaError | None = None
        self._unlogged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._drop()

    def begin(self, content_type: str) -> None:
        """A part begins; without a type it counts as application/dicom."""
        self._error = _wrong_type(content_type) or self._outage()
        if self._error is None:
            try:
                self._writer = self._store.spool.open()
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
        """The part is complete: store it and note what became of it."""
        writer, self._writer = self._writer, None
        if writer is None:
            self._fail(self._error or InvalidInstance("the part was not received"))
        elif not writer.size:
            writer.abort()
            self._fail(InvalidInstance("the part is empty"))
        else:
            try:
                with writer.finish() as spooled:
                    self._keep(spooled)
            except VnaError as exc:
                self._fail(exc)

    def _keep(self, spooled: Spooled) -> None:
        try:
            self._report.stored.append(self._store.store(spooled, self._origin, self._expected))
        except VnaError as exc:
            self._fail(exc, spooled)

    def _fail(self, error: VnaError, spooled: Spooled | None = None) -> None:
        failure = _failure(error, spooled)
        self._report.failed.append(failure)
        if len(self._report.failed) <= MAX_LOGGED:
            self._log(error, failure)
        else:
            self._unlogged += 1
        if len(self._report.failed) > MAX_FAILURES:
            raise TooManyFailures(
                f"more than {MAX_FAILURES} parts could not be stored: the request is read no further"
            )

    def summarise(self) -> None:
        """One log line for the failures that have none of their own."""
        if self._unlogged:
            log.warning(
                "%d more instances of the same request were not stored",
                self._unlogged,
                extra={"correlation": self._origin.correlation_id},
            )

    def _log(self, error: VnaError, failure: Failure) -> None:
        log.log(
            logging.ERROR if error.transient else logging.WARNING,
            "instance not stored: %s",
            error,
            extra={
                "correlation": self._origin.correlation_id,
                "sop_instance_uid": failure.sop_instance_uid,
                "reason": f"{failure.reason:04X}",
            },
        )

    def _outage(self) -> VnaError | None:
        """Once database or storage are gone the rest is not tried: each would wait in vain."""
        last = self._report.failed[-1].error if self._report.failed else None
        is_outage = isinstance(last, Unavailable) and not isinstance(last, OutOfSpace)
        return last if is_outage else None

    def _drop(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abort()


def _wrong_type(content_type: str) -> VnaError | None:
    media_type = parse_media_type(content_type) if content_type.strip() else None
    if not content_type.strip() or (media_type is not None and media_type.kind == DICOM):
        return None
    return InvalidInstance(f"the part is of type {content_type[:64]!r}, not {DICOM}")


def _failure(error: VnaError, spooled: Spooled | None) -> Failure:
    """What failed, under the UIDs of the dataset where it can be read at all."""
    sop_class_uid = sop_instance_uid = ""
    if spooled is not None:
        try:
            with spooled.buffer() as buffer:
                header = read_header(buffer)
            sop_class_uid, sop_instance_uid = header.sop_class_uid, header.uids.sop_instance_uid
        except VnaError:
            log.debug("the refused part names no instance")
    return Failure(error, failure_reason(error), sop_class_uid, sop_instance_uid)
