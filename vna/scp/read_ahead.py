"""Reads the next instances from the storage while one is being sent."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from dataclasses import dataclass

from vna.dimse.negotiation import PresentationContext
from vna.errors import Unsupported, VnaError
from vna.scp.feed import Attempt, Feed
from vna.scp.plan import Routes
from vna.scp.rendition import Payload, Rendition

log = logging.getLogger(__name__)

INTERNAL_ERROR = "internal error, see the archive's log"

SLOW, SLOW_ONES = 0.02, 3
"""Seconds that are too long for one instance, and how many of those in a row call for a thread."""

DEPTH = 3
"""Instances that wait in memory to be sent, each of 4 MiB at most; larger ones are opened at their turn."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An instance and how it goes; `payload` None: made at its turn; `error`: it can't be sent."""

    attempt: Attempt
    context: PresentationContext | None = None
    payload: Payload | None = None
    error: VnaError | None = None


class ReadAhead:
    """Prepares instances of `feed` before their turn; what was not sent goes back there at the end.

    As long as the storage answers at once, the thread that sends does it itself, while it waits for
    the receiver: `prefetch`. From the first slow ones on a thread does it. `close` it whatever
    happened; one thread calls all.
    """

    def __init__(self, feed: Feed, rendition: Rendition, routes: Routes) -> None:
        self._feed, self._rendition, self._routes = feed, rendition, routes
        self._ready: queue.Queue[Prepared | VnaError | None] = queue.Queue(DEPTH)
        self._is_over = False
        self._thread: threading.Thread | None = None
        self._slow = 0

    def next(self, seconds: float | None = None) -> Prepared | None:
        """The next one; None when there is none left.

        Raises queue.Empty when none is there after so many seconds, and what made the feed fail.
        """
        self.prefetch()
        item = self._ready.get(timeout=seconds)
        if not isinstance(item, Prepared):
            self._is_over = True
            self._ready.put(item)  # the end stays the end; nobody else puts any more
        if isinstance(item, VnaError):
            raise item
        return item

    def prefetch(self) -> None:
        """Prepare one, unless one waits or a thread sees to it."""
        if self._thread is not None or self._is_over or not self._ready.empty():
            return
        started = time.monotonic()
        self._step()
        self._slow = self._slow + 1 if time.monotonic() - started > SLOW else 0
        if self._slow >= SLOW_ONES:
            self._thread = threading.Thread(target=self._work, name="read-ahead", daemon=True)
            self._thread.start()

    def close(self, *, at_once: bool = False) -> None:
        """Give back what was prepared; `at_once`: without waiting for the storage."""
        self._is_over = True
        unsent = self._drained()
        while not at_once and self._thread is not None and self._thread.is_alive():
            with contextlib.suppress(queue.Empty):
                unsent += _attempts(self._ready.get(timeout=0.01))
        self._feed.give_back(unsent + self._drained())

    def _drained(self) -> list[Attempt]:
        unsent: list[Attempt] = []
        with contextlib.suppress(queue.Empty):
            while True:
                unsent += _attempts(self._ready.get_nowait())
        return unsent

    def _work(self) -> None:
        while not self._is_over and self._step():
            pass

    def _step(self) -> bool:
        """Put the next one, or why there is none, into the queue; whether there may be more."""
        item: Prepared | VnaError | None
        try:
            attempt = self._feed.take()
            item = None if attempt is None else self._prepare(attempt)
        except VnaError as exc:
            item = exc
        except Exception:
            log.exception("unexpected error")
            item = VnaError(INTERNAL_ERROR)
        self._ready.put(item)
        return isinstance(item, Prepared)

    def _prepare(self, attempt: Attempt) -> Prepared:
        instance, rendition = attempt.instance, self._rendition
        context = self._routes.find(instance.sop_class_uid, rendition.syntaxes(instance))
        if context is None:
            syntax = instance.transfer_syntax_uid
            reason = f"{instance.sop_class_uid} in {syntax} was not accepted, nor another that fits"
            return Prepared(attempt, error=Unsupported(reason))
        if self._is_over or not rendition.is_light(instance, context.transfer_syntax):
            return Prepared(attempt, context)
        try:
            return Prepared(attempt, context, rendition.payload(instance, context.transfer_syntax))
        except VnaError as exc:
            return Prepared(attempt, context, error=exc)
        except Exception:
            log.exception("unexpected error")
            return Prepared(attempt, context, error=VnaError(INTERNAL_ERROR))


def _attempts(item: Prepared | VnaError | None) -> list[Attempt]:
    if not isinstance(item, Prepared):
        return []
    if item.payload is not None:
        item.payload.close()
    return [item.attempt]
