"""The listeners of a process: campaigns that name the same C-MOVE destination share one."""

from __future__ import annotations

import errno
import threading
from collections.abc import Sequence

from vna.migration.move_listener import Destination, MoveListener, bound
from vna.migration.sources.base import SourceUnavailable
from vna.spool import Spool


class MoveListeners:
    """Opens listeners where they are needed, and closes them with whoever took them last. Shared by threads."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._lock = threading.Lock()
        self._users: dict[MoveListener, int] = {}

    def take(self, destinations: Sequence[Destination]) -> MoveListener:
        """Listen at the first of `destinations` that is this process's already, else at the first that is free.

        To be given back. Raises SourceUnavailable when there is none.
        """
        with self._lock:
            known = (one for one in self._users if one.destination in destinations)
            listener = next(known, None) or MoveListener(destinations, self._spool)
            self._users[listener] = self._users.get(listener, 0) + 1
            return listener

    def give_back(self, listener: MoveListener) -> None:
        """Not needed any more by one who took it."""
        with self._lock:
            self._users[listener] -= 1
            if self._users[listener]:
                return
            del self._users[listener]
        listener.close()

    def check(self, destinations: Sequence[Destination]) -> None:
        """Whether this machine can listen at one of `destinations`, or somebody does, as other workers would.

        Raises SourceUnavailable.
        """
        with self._lock:
            if any(one.destination in destinations for one in self._users):
                return
        try:
            bound(destinations)[0].close()
        except SourceUnavailable as exc:
            cause = exc.__cause__
            if not isinstance(cause, OSError) or cause.errno != errno.EADDRINUSE:
                raise
