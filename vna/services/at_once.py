"""Some calls at once out of a stream of them, their results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self, TypeVar

T = TypeVar("T")

_WAITING = 4
"""Calls that are begun or wait, for each thread: the stream is never read much further than it is worked off."""


class AtOnce:
    """Threads that end with the block."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, name)

    def results(self, work: Iterable[Callable[[], T]]) -> Iterator[T]:
        """What the calls give, in their order. Raises what they raise, and what `work` raises."""
        waiting: deque[Future[T]] = deque()
        for call in work:
            waiting.append(self._pool.submit(call))
            if len(waiting) >= _WAITING * self._threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._pool.shutdown(cancel_futures=True)
