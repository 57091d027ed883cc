"""Eyes on a transfer that waits for its source: it ends when it is told to, or when the source falls silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

LOOK_EVERY = 0.1
CANCEL_SECONDS = 1.0
"""How long a source may take to end what was cancelled, before the connection is cut."""


class Watch:
    """For the duration of a block: calls `cancel` when `should_stop`, and `cut` a second later, or after `patience`
    seconds without a `sign` of life. Both are called from a thread of its own, and must not raise.
    """

    def __init__(
        self,
        should_stop: Callable[[], bool],
        cancel: Callable[[], None],
        cut: Callable[[], None],
        patience: float,
    ) -> None:
        self._should_stop, self._cancel, self._cut = should_stop, cancel, cut
        self._patience = patience
        self._seen = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="migration-watch", daemon=True)
        self.was_stopped = False
        self.was_silent = False

    def sign(self) -> None:
        """The source has said something."""
        self._seen = time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(LOOK_EVERY):
            if self._should_stop():
                self.was_stopped = True
                self._cancel()
                if not self._is_over.wait(CANCEL_SECONDS):
                    self._cut()
                return
            if time.monotonic() - self._seen > self._patience:
                self.was_silent = True
                self._cut()
                return
