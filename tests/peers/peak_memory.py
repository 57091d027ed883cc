"""The most memory that a tree of processes takes while something is done to it."""

from __future__ import annotations

import threading
from typing import Self

from tests.peers import usage

_SAMPLE_SECONDS = 0.2


class PeakMemory:
    """Watches proportional set sizes: shared pages divided among those who share them. A context manager."""

    def __init__(self, root: int) -> None:
        self._root, self._done = root, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peak_bytes = self.first_bytes = usage.pss_bytes([root])

    @property
    def growth_bytes(self) -> int:
        """How much more it was than at the beginning."""
        return self.peak_bytes - self.first_bytes

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, usage.pss_bytes([self._root]))
