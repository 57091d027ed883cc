"""Makes the next items of a sequence in a thread while those before them are used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from contextvars import copy_context
from typing import Generic, TypeVar

T = TypeVar("T")

DEPTH = 8
"""Items that wait for their turn; few enough to hold something open for each."""


def ahead(
    items: Generator[T, None, None], discard: Callable[[T], object]
) -> Generator[T, None, None]:
    """`items`, made in a thread from the first `next` on, up to DEPTH before they are taken.

    Closing this closes `items` and gives what was made in vain to `discard`. What `items` raise is raised here,
    when all before it was taken.
    """
    maker = _Maker(items)
    try:
        while (item := maker.take()) is not None:
            yield item[0]
    finally:
        for left in maker.stop():
            discard(left)


class _Maker(Generic[T]):
    """The thread, and two queues of the simple kind: one with a limit costs ten times as much."""

    def __init__(self, items: Generator[T, None, None]) -> None:
        self._items = items
        self._ready: queue.SimpleQueue[tuple[T] | BaseException | None] = queue.SimpleQueue()
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_over = False
        for _ in range(DEPTH - 1):
            self._room.put(None)
        work = copy_context().run  # what calls off the caller's work calls off this, too
        self._thread = threading.Thread(target=work, args=(self._run,), name="ahead", daemon=True)
        self._thread.start()

    def take(self) -> tuple[T] | None:
        """The next item; None at the end. Raises what making it raised."""
        self._room.put(None)
        found = self._ready.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def stop(self) -> list[T]:
        """Make no more; what was not taken."""
        self._is_over = True
        self._room.put(None)
        self._thread.join()
        left = [self._ready.get() for _ in range(self._ready.qsize())]
        return [item[0] for item in left if isinstance(item, tuple)]

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            with closing(self._items):
                self._make()
        except BaseException as exc:  # noqa: BLE001 – raised by `take`
            end = exc
        self._ready.put(end)

    def _make(self) -> None:
        self._room.get()
        for item in self._items:
            self._ready.put((item,))
            self._room.get()
            if self._is_over:
                return
