"""The threads in which the operations of one association overlap (PS3.7 D.3.3.3)."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from itertools import count

log = logging.getLogger(__name__)

Task = Callable[[], None]

IDLE_SECONDS = 10.0
"""After which a thread without work ends; the next operation starts another."""


class Crew:
    """At most `size` stores and `size` other operations under way at once, each in a thread.

    Tasks must not raise. One thread hands them out; `on_idle` is called, from whichever thread,
    when nothing is under way any more. Threads belong to one association: a peer that does not take
    its responses holds up nobody else's.
    """

    def __init__(self, size: int, name: str, on_idle: Callable[[], None]) -> None:
        self._size = size
        self._name = name
        self._on_idle = on_idle
        self._changed = threading.Condition()
        self._tickets = count()
        self._stores: dict[int, str] = {}
        self._operations = 0
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._idle_threads = 0
        self._is_closed = False

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._stores or self._operations)

    def store(self, sop_instance_uid: str, task: Task) -> None:
        """Run the task that stores this instance; waits for room, and for an earlier store of the
        same UID, so that these keep their order.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._has_room_for(sop_instance_uid))
            ticket = next(self._tickets)
            self._stores[ticket] = sop_instance_uid
        self._start(lambda: self._run_store(ticket, task))

    def operate(self, task: Task) -> bool:
        """Run another task once all stores handed out before it are done; False: no room."""
        with self._changed:
            if self._operations >= self._size:
                return False
            self._operations += 1
            earlier = frozenset(self._stores)
        self._start(lambda: self._run_operation(earlier, task))
        return True

    def wait_for_stores(self) -> None:
        """Until no store is under way."""
        with self._changed:
            self._changed.wait_for(lambda: not self._stores)

    def wait(self) -> None:
        """Until nothing is under way."""
        with self._changed:
            self._changed.wait_for(lambda: not self.is_busy)

    def close(self) -> None:
        """As `wait`, then let the threads go; nothing may be handed out any more."""
        self.wait()
        with self._changed:
            self._is_closed = True
            for _ in range(self._idle_threads):
                self._tasks.put(None)
            self._idle_threads = 0

    def _has_room_for(self, sop_instance_uid: str) -> bool:
        stores = self._stores
        return len(stores) < self._size and sop_instance_uid not in stores.values()

    def _run_store(self, ticket: int, task: Task) -> None:
        try:
            task()
        finally:
            with self._changed:
                del self._stores[ticket]
                self._changed.notify_all()
            self._tell_idle()

    def _run_operation(self, earlier: frozenset[int], task: Task) -> None:
        with self._changed:
            self._changed.wait_for(lambda: earlier.isdisjoint(self._stores))
        try:
            task()
        finally:
            with self._changed:
                self._operations -= 1
                self._changed.notify_all()
            self._tell_idle()

    def _tell_idle(self) -> None:
        if not self.is_busy:
            self._on_idle()

    def _start(self, task: Task) -> None:
        """In a thread that has nothing to do, or in a new one; in this one where none can be had."""
        with self._changed:
            is_one_free = self._idle_threads > 0
            self._idle_threads -= is_one_free
        if is_one_free:
            self._tasks.put(task)
            return
        thread = threading.Thread(target=self._work, args=(task,), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the limit of the process or of the machine
            log.warning(
                "no thread for an operation: it is not overlapped; raise the limit of threads"
            )
            task()

    def _work(self, task: Task | None) -> None:
        while task is not None:
            task()
            with self._changed:
                if self._is_closed:
                    return
                self._idle_threads += 1
            task = self._next_task()

    def _next_task(self) -> Task | None:
        """None: there was nothing to do for so long that this thread ends."""
        try:
            return self._tasks.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            with self._changed:
                if self._idle_threads:
                    self._idle_threads -= 1
                    return None
        return self._tasks.get()  # another thread has counted on this one meanwhile
