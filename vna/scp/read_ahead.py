"""Reads the next instances from the storage while one is being sent."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from dataclasses import dataclass

from vna.dimse.negotiation import PresentationContext
from vna.errors import Unsupported, VnaError
from vna.scp.feed import Attempt, Feed
from vna.scp.plan import Routes
from vna.scp.rendition import Payload, Rendition

log = logging.getLogger(__name__)

INTERNAL_ERROR = "internal error, see the archive's log"

FIRST_ONES = 2
"""So many instances are prepared without a thread: for fewer it would not pay to start one."""

DEPTH = 2
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

    The first ones are prepared by the thread that sends, while it waits for the receiver:
    `prefetch`. From then on a thread does it: reading and hashing need neither the interpreter nor
    the core that sends. `close` it whatever happened; one thread calls all.
    """

    def __init__(self, feed: Feed, rendition: Rendition, routes: Routes) -> None:
        self._feed, self._rendition, self._routes = feed, rendition, routes
        # Two simple queues, not one with a limit: handing over an instance costs a tenth so.
        self._ready: queue.SimpleQueue[Prepared | VnaError | None] = queue.SimpleQueue()
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_over = False
        self._thread: threading.Thread | None = None
        self._first_ones = 0

    def next(self, seconds: float | None = None) -> Prepared | None:
        """The next one; None when there is none left.

        Raises queue.Empty when none is there after so many seconds, and what made the feed fail.
        """
        self.prefetch()
        item = self._ready.get(timeout=seconds)
        if isinstance(item, Prepared):
            if self._thread is not None:
                self._room.put(None)
            return item
        self._is_over = True
        self._ready.put(item)  # the end stays the end; nobody else puts any more
        if isinstance(item, VnaError):
            raise item
        return None

    def prefetch(self) -> None:
        """See to it that one waits or will."""
        if self._thread is not None or self._is_over:
            return
        if self._first_ones == FIRST_ONES:
            for _ in range(DEPTH - self._ready.qsize()):
                self._room.put(None)
            self._thread = threading.Thread(target=self._work, name="read-ahead", daemon=True)
            self._thread.start()
        elif self._ready.empty():
            self._first_ones += 1
            self._step()

    def close(self, *, at_once: bool = False) -> None:
        """Give back what was prepared; `at_once`: without waiting for the storage."""
        self._is_over = True
        self._room.put(None)
        if not at_once and self._thread is not None:
            self._thread.join()
        self._feed.give_back(self._drained())

    def _drained(self) -> list[Attempt]:
        unsent: list[Attempt] = []
        with contextlib.suppress(queue.Empty):
            while True:
                unsent += _attempts(self._ready.get_nowait())
        return unsent

    def _work(self) -> None:
        may_be_more = True
        while may_be_more:
            self._room.get()
            may_be_more = not self._is_over and self._step()

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
