"""The audit trail of who was not let in, written so that nobody can fill it up by knocking."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque

from vna.audit import AuditAction, AuditEvent, AuditLog
from vna.errors import VnaError
from vna.model.identifiers import Origin

log = logging.getLogger(__name__)

WINDOW = 60.0
ROWS_PER_ADDRESS = 10
ROWS_IN_ALL = 100
MOST_ADDRESSES = 1000
MOST_WAITING = 1000
ELSEWHERE = "(others)"


class RejectionJournal:
    """Keeps the first rejections of each address and minute as audit rows, and the number of the
    others as one row at the minute's end.

    A thread of its own writes them, so that a slow database does not keep rejected peers waiting.
    """

    def __init__(
        self,
        audit: AuditLog,
        *,
        rows_per_address: int = ROWS_PER_ADDRESS,
        rows_in_all: int = ROWS_IN_ALL,
        window: float = WINDOW,
    ) -> None:
        """`window` in seconds."""
        self._audit = audit
        self._rows_per_address, self._rows_in_all = rows_per_address, rows_in_all
        self._window = window
        self._changed = threading.Condition()
        self._waiting: deque[AuditEvent] = deque()
        self._is_writing = False
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._written: Counter[str] = Counter()
        self._suppressed: Counter[str] = Counter()
        self._window_end = 0.0

    def record(self, origin: Origin, reason: str) -> None:
        """Someone was turned away for `reason`; never waits, never raises."""
        with self._changed:
            self._turn_window()
            if (
                self._written[origin.address] >= self._rows_per_address
                or self._written.total() >= self._rows_in_all
                or len(self._waiting) >= MOST_WAITING
            ):
                self._suppress(origin.address)
                return
            self._written[origin.address] += 1
            event = AuditEvent(AuditAction.ASSOCIATION_REJECTED, origin, detail={"reason": reason})
            self._waiting.append(event)
            self._ensure_writer()
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until all rows so far are written, or were tried; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._is_writing), timeout)

    def close(self, timeout: float) -> None:
        """Write what is left, the numbers included, within `timeout` seconds."""
        with self._changed:
            self._write_numbers()
            self._is_closed = True
            if self._waiting:
                self._ensure_writer()
            self._changed.notify_all()
        self.flush(timeout)

    def _suppress(self, address: str) -> None:
        known = address in self._suppressed or len(self._suppressed) < MOST_ADDRESSES
        self._suppressed[address if known else ELSEWHERE] += 1
        self._ensure_writer()
        self._changed.notify_all()

    def _turn_window(self) -> None:
        """Begin a new minute where the last is over."""
        now = time.monotonic()
        if now < self._window_end:
            return
        self._write_numbers()
        self._written.clear()
        self._window_end = now + self._window

    def _write_numbers(self) -> None:
        """One row for each address of which not every rejection was written, the most first."""
        if len(self._waiting) >= MOST_WAITING:
            return  # the database is away: go on counting
        numbers = self._suppressed.most_common(self._rows_in_all)
        rest = self._suppressed.total() - sum(count for _, count in numbers)
        if rest:
            numbers.append((ELSEWHERE, rest))
        self._suppressed.clear()
        for address, count in numbers:
            detail: dict[str, str | int] = {
                "reason": "more rejections, not listed one by one",
                "count": count,
            }
            origin = Origin("dimse", "", address)
            event = AuditEvent(AuditAction.ASSOCIATION_REJECTED, origin, detail=detail)
            self._waiting.append(event)

    def _ensure_writer(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._write, name="rejections", daemon=True)
        try:
            thread.start()
        except RuntimeError as exc:  # no more threads: the next rejection tries again
            log.warning("rejections are not audited now: %s", exc)
        else:
            self._thread = thread

    def _write(self) -> None:
        while (event := self._next_event()) is not None:
            try:
                self._audit.record(event)
            except VnaError as exc:
                extra = {"address": event.origin.address, "peer": event.origin.peer}
                log.warning("rejection not audited: %s", exc, extra=extra)
            finally:
                with self._changed:
                    self._is_writing = False
                    self._changed.notify_all()

    def _next_event(self) -> AuditEvent | None:
        """Wait for what is to be written; None: closed, and all is written."""
        with self._changed:
            while not self._waiting:
                if self._is_closed:
                    return None
                left = self._window_end - time.monotonic() if self._suppressed else None
                if left is not None and left <= 0:
                    self._turn_window()
                else:
                    self._changed.wait(left)
            self._is_writing = True
            return self._waiting.popleft()
