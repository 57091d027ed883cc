"""What reading one input may cost, counted in calls and bytes, so that no machine is too slow."""

from __future__ import annotations

import resource
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

BASE_CALLS = 300_000
CALLS_PER_BYTE = 200
MOST_CALLS = 8_000_000
BASE_BYTES = 8 * 2**20
BYTES_PER_BYTE = 400
GROWTH = 128 * 2**20
"""By so much the process may grow while one input is read."""


class TooMuch(BaseException):
    """An input cost more work or memory than its size allows; no handler in the code may swallow it."""


class Work:
    """Counts the function calls of this thread and raises TooMuch, out of any loop, beyond `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.calls = 0

    @classmethod
    def for_size(cls, size: int) -> Self:
        """What an input of so many bytes may cost."""
        return cls(min(MOST_CALLS, BASE_CALLS + CALLS_PER_BYTE * size))

    def __enter__(self) -> Self:
        sys.setprofile(self._count)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.setprofile(None)

    def _count(self, frame: FrameType, event: str, argument: object) -> None:
        if event in {"call", "c_call"}:
            self.calls += 1
            if self.calls > self._limit:
                raise TooMuch(f"more than {self._limit} calls")


def measured(check: Callable[[bytes], None], data: bytes, *, expansion: int = 0) -> None:
    """Run `check` with its work and its memory bounded by the size of `data`.

    `expansion`: bytes into which the input may unfold (a deflate stream). Raises TooMuch.
    """
    size = len(data) + expansion
    most = BASE_BYTES + BYTES_PER_BYTE * size
    tracemalloc.start()
    try:
        with Work.for_size(size):
            check(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if peak > most:
        raise TooMuch(f"{peak} bytes of memory for {len(data)} bytes, {most} are allowed")


def watched(check: Callable[[bytes], None], data: bytes) -> None:
    """Run `check`, looking only at how far the process has grown: nearly free. Raises TooMuch."""
    before = _peak()
    check(data)
    grown = _peak() - before
    if grown > GROWTH:
        raise TooMuch(f"the process grew by {grown} bytes for {len(data)} bytes")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
