"""What comes of one fetch: counted, matched to what was asked for, and handed over."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from vna.dicom.header import read_header
from vna.errors import InvalidInstance, VnaError
from vna.migration.sources.base import Take
from vna.model.migration import FetchFailure, FetchReport, FoundInstance
from vna.spool import Spooled

_POLL = 0.1


class Closed(VnaError):
    """The fetch is over, or is to end: nothing is taken any more."""

    transient = True


class Reception:
    """Takes the objects of one fetch; from any thread."""

    def __init__(
        self, wanted: Sequence[FoundInstance], take: Take, on_sign: Callable[[], None] | None = None
    ) -> None:
        self.study_instance_uids = {found.uids.study_instance_uid for found in wanted}
        self.error: VnaError | None = None
        self.last_at = self._started = time.monotonic()
        self.on_sign = on_sign or (lambda: None)
        self._take = take
        self._wanted: dict[str, list[FoundInstance]] = {}
        for found in wanted:
            self._wanted.setdefault(found.uids.sop_instance_uid, []).append(found)
        self._missing = set(self._wanted)
        self._failures: dict[str, FetchFailure] = {}
        self._taken = self._bytes = self._busy = 0
        self._first: float | None = None
        self._is_closed = False
        self._changed = threading.Condition()

    @property
    def missing(self) -> int:
        """How many of the wanted SOP Instance UIDs have not come, whatever became of those that have."""
        return len(self._missing)

    def is_missing(self, found: FoundInstance) -> bool:
        """Whether it has neither come nor failed."""
        uid = found.uids.sop_instance_uid
        return uid in self._missing and uid not in self._failures

    def wants(self, sop_instance_uid: str) -> bool:
        """Whether this instance was asked for, taken or not."""
        return sop_instance_uid in self._wanted

    def found(self, sop_instance_uid: str, spooled: Spooled) -> FoundInstance | None:
        """The wanted instance behind an announced UID; by its series where several have that UID."""
        known = self._wanted.get(sop_instance_uid, [])
        if len(known) < 2:
            return known[0] if known else None
        try:
            with spooled.buffer() as buffer:
                series = read_header(buffer).uids.series_instance_uid
        except InvalidInstance:
            return known[0]
        same = [found for found in known if found.uids.series_instance_uid == series]
        return same[0] if same else known[0]

    def take(self, spooled: Spooled, found: FoundInstance | None, announced: str = "") -> None:
        """Hand an object over. Raises what the taker raises, and Closed; a failure is remembered."""
        uid = found.uids.sop_instance_uid if found else announced
        with self._taking():
            try:
                self._take(spooled, found)
            except VnaError as exc:
                self.failed(uid, str(exc), exc)
                raise
        with self._changed:
            self._taken += 1
            self._bytes += spooled.size
            self._missing.discard(uid)
            self._failures.pop(uid, None)
            if self._first is None:
                self._first = time.monotonic() - self._started

    def failed(self, sop_instance_uid: str, reason: str, error: VnaError | None = None) -> None:
        """An object did not come, or could not be taken; a transient `error` of the taker ends the fetch."""
        is_transient = error is not None and error.transient
        with self._changed:
            if is_transient and not isinstance(error, Closed):
                self.error = self.error or error
            self._failures[sop_instance_uid] = FetchFailure(sop_instance_uid, reason, is_transient)

    def sign(self) -> None:
        """Bytes have come."""
        self.last_at = time.monotonic()
        self.on_sign()

    def settle(self, seconds: float, should_stop: Callable[[], bool]) -> None:
        """Wait while something is missing, until nothing has come for `seconds`."""
        began = time.monotonic()
        with self._changed:
            while self._missing and self.error is None and not should_stop():
                if time.monotonic() - max(began, self.last_at) >= seconds and not self._busy:
                    return
                self._changed.wait(_POLL)

    def close(self) -> None:
        """Take nothing any more, and wait for what is being taken."""
        with self._changed:
            self._is_closed = True
            self._changed.wait_for(lambda: not self._busy)

    def report(
        self, said: str = "", *, was_busy: bool = False, was_stopped: bool = False
    ) -> FetchReport:
        """What happened."""
        return FetchReport(
            taken=self._taken,
            taken_bytes=self._bytes,
            first_seconds=self._first,
            failures=tuple(self._failures.values()),
            said=said,
            was_busy=was_busy,
            was_stopped=was_stopped,
        )

    @contextlib.contextmanager
    def _taking(self) -> Iterator[None]:
        with self._changed:
            if self._is_closed or self.error is not None:
                raise Closed("nothing more is taken now")
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
