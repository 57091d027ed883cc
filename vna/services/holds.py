"""Keeps claims on pieces of work alive while a process works on them, so that no other process takes them over."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from uuid import uuid4

from vna.errors import VnaError
from vna.index.commitments import Hold

log = logging.getLogger(__name__)

Renew = Callable[[Sequence[str], float], set[str]]
"""Prolongs the claims of these holders by so many seconds; returns those that still hold."""


class HoldKeeper:
    """Prolongs claims three times as often as needed, in a thread that lives as long as there are any."""

    def __init__(self, renew: Renew, seconds: float) -> None:
        self._renew = renew
        self._seconds = seconds
        self._changed = threading.Condition()
        self._until: dict[str, float] = {}
        self._thread: threading.Thread | None = None

    def new(self) -> Hold:
        """A claim to be made; `keep` it once it is made."""
        return Hold(uuid4().hex, self._seconds)

    def keep(self, hold: Hold) -> None:
        """Prolong `hold`, made just now, until it is dropped."""
        with self._changed:
            self._until[hold.holder] = time.monotonic() + hold.seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="holds", daemon=True)
                self._thread.start()

    def drop(self, hold: Hold) -> None:
        """Prolong it no longer."""
        with self._changed:
            self._until.pop(hold.holder, None)
            self._changed.notify_all()

    def holds(self, hold: Hold) -> bool:
        """Whether nobody else can have taken the work over, as far as is known without asking."""
        with self._changed:
            return time.monotonic() < self._until.get(hold.holder, 0.0)

    def confirm(self, hold: Hold) -> bool:
        """Whether the claim holds, prolonged just now. Raises Unavailable."""
        with self._changed:
            if hold.holder not in self._until:
                return False
        self._prolong([hold.holder])
        return self.holds(hold)

    def close(self) -> None:
        """Prolong nothing any more; returns once nothing is asked of the index."""
        with self._changed:
            self._until.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._until, self._seconds / 3)
                holders = list(self._until)
                if not holders:
                    self._thread = None
                    return
            try:
                self._prolong(holders)
            except VnaError as exc:
                log.warning("claims could not be prolonged: %s", exc)

    def _prolong(self, holders: list[str]) -> None:
        until = time.monotonic() + self._seconds
        still = self._renew(holders, self._seconds)
        with self._changed:
            for holder in holders:
                if holder not in still:
                    self._until.pop(holder, None)
                elif holder in self._until:
                    self._until[holder] = until
