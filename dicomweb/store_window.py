"""Several instances of one request stored at once, told of in the order in which they came."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

from vna.spool import Spooled

WINDOW = 4
"""Instances of a request that are being stored at once."""

T = TypeVar("T")


class Helpers:
    """Threads of the process that store for requests; who finds none free stores by itself.

    So does everyone while there are more requests than helpers: they keep the processors busy without them.
    """

    def __init__(self, count: int = 0) -> None:
        self._count = count or max(2, os.cpu_count() or 1)
        self._free = threading.BoundedSemaphore(self._count)
        self._lock = threading.Lock()
        self._requests = 0
        self._threads: ThreadPoolExecutor | None = None  # begun behind the fork of the worker

    @contextmanager
    def serving(self) -> Iterator[None]:
        """One more request stores with them meanwhile."""
        with self._lock:
            self._requests += 1
        try:
            yield
        finally:
            with self._lock:
                self._requests -= 1

    def submit(self, work: Callable[[], T]) -> Future[T] | None:
        """`work` under way in a thread, None when all are busy."""
        if self._requests > self._count or not self._free.acquire(blocking=False):
            return None
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._count, "store")
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: self._free.release())
        return future


class StoreWindow(Generic[T]):
    """Stores with `keep`, which closes what it is given; results come in order.

    The newest instance waits until the next one has come, or the end: one alone needs no other thread. Instances
    of one UID are stored one after the other, so that the first keeps the UID; so is whatever names none.
    """

    def __init__(self, helpers: Helpers, keep: Callable[[Spooled], T]) -> None:
        self._helpers, self._keep = helpers, keep
        self._held: tuple[str, Spooled] | None = None
        self._running: deque[tuple[str, Future[T]]] = deque()

    def add(self, sop_instance_uid: str, spooled: Spooled) -> list[T]:
        """Take an instance; the results that are there by now."""
        held, self._held = self._held, (sop_instance_uid, spooled)
        return self._begin(held) + self._finished()

    def flush(self) -> list[T]:
        """Begin to store what waits; all results up to that, in order."""
        held, self._held = self._held, None
        return self._begin(held) + self._drain()

    def finish(self) -> list[T]:
        """Store the rest, the last instance in this thread; all results that are left."""
        held, self._held = self._held, None
        if held is None:
            return self._drain()
        uid, spooled = held
        before = self._drain() if self._collides(uid) else []
        last = self._keep(spooled)
        return [*before, *self._drain(), last]

    def drop(self) -> None:
        """Let go of what waits, and wait for what is under way."""
        held, self._held = self._held, None
        if held is not None:
            held[1].close()
        while self._running:
            self._running.popleft()[1].exception()

    def _begin(self, held: tuple[str, Spooled] | None) -> list[T]:
        if held is None:
            return []
        uid, spooled = held
        before = self._drain() if self._collides(uid) else []
        future = self._helpers.submit(lambda: self._keep(spooled)) if uid else None
        if future is None:
            result = self._keep(spooled)
            return [*before, *self._drain(), result]
        self._running.append((uid, future))
        return before

    def _collides(self, uid: str) -> bool:
        return not uid or any(uid == running for running, _ in self._running)

    def _finished(self) -> list[T]:
        """The results in front of the first instance that is still under way, when the window has room."""
        results = []
        while self._running and (len(self._running) >= WINDOW or self._running[0][1].done()):
            results.append(self._running.popleft()[1].result())
        return results

    def _drain(self) -> list[T]:
        results = []
        while self._running:
            results.append(self._running.popleft()[1].result())
        return results
