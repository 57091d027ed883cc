"""Some calls at once out of a stream of them, their results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self, TypeVar

from vna.interrupts import check_interrupt

T = TypeVar("T")

_WAITING = 4


class AtOnce:
    """Threads that end with the block; `ahead` calls, else a few for each thread, are begun or wait."""

    def __init__(self, threads: int, name: str, ahead: int = 0) -> None:
        self._ahead = ahead or _WAITING * threads
        self._pool = ThreadPoolExecutor(threads, name)

    def results(self, work: Iterable[Callable[[], T]]) -> Iterator[T]:
        """What the calls give, in their order. Raises what they raise, what `work` raises, and Abandoned."""
        waiting: deque[Future[T]] = deque()
        for call in work:
            waiting.append(self._pool.submit(call))
            if len(waiting) >= self._ahead:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._pool.shutdown(cancel_futures=True)


def _next(waiting: deque[Future[T]]) -> T:
    check_interrupt()
    return waiting.popleft().result()
