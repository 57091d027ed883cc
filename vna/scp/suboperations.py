"""The C-STORE sub-operations of a C-MOVE or C-GET and their count (PS3.4 C.4.2.3)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from vna.dimse.fragments import Reader
from vna.errors import Corrupt
from vna.model.instances import StoredInstance
from vna.scp.exchange import Counters
from vna.scp.status import is_success, is_warning

PENDING_INTERVAL = 1.0  # seconds
MAX_COUNT = 0xFFFF  # US, PS3.5 6.2


@dataclass(slots=True)
class Tally:
    """Sub-operations by what became of them; each instance is counted once."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    failed_uids: list[str] = field(default_factory=list)
    delivered: list[StoredInstance] = field(default_factory=list)

    def add(self, instance: StoredInstance, status: int) -> None:
        """Count the response `status` to the sub-operation of `instance`."""
        if not (is_success(status) or is_warning(status)):
            self.fail(instance)
            return
        self.remaining -= 1
        self.delivered.append(instance)
        if is_success(status):
            self.completed += 1
        else:
            self.warning += 1

    def fail(self, instance: StoredInstance) -> None:
        """Count `instance` as failed."""
        self.remaining -= 1
        self.failed += 1
        self.failed_uids.append(instance.uids.sop_instance_uid)

    def counters(self, *, with_remaining: bool) -> Counters:
        """For a response; remaining ones only in pending and cancelled ones (PS3.7 9.1.4)."""
        return Counters(
            remaining=min(self.remaining, MAX_COUNT) if with_remaining else None,
            completed=min(self.completed, MAX_COUNT),
            failed=min(self.failed, MAX_COUNT),
            warning=min(self.warning, MAX_COUNT),
        )


class WatchedReader:
    """A dataset of known length on its way out: ends short never, and calls back at an interval."""

    def __init__(
        self, inner: Reader, length: int, name: str, heartbeat: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._left = length
        self._name = name
        self._heartbeat = heartbeat

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes. Raises Corrupt where the stored object ends too early."""
        self._heartbeat()
        data = self._inner.read(size)
        self._left -= len(data)
        if not data and size and self._left > 0:
            raise Corrupt(f"stored object of {self._name} ends {self._left} bytes too early")
        return data


class Heartbeat:
    """Calls `beat` when called itself: the first time, then every `interval` seconds at most."""

    def __init__(self, beat: Callable[[], None], interval: float) -> None:
        self._beat = beat
        self._interval = interval
        self._last = float("-inf")

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._last >= self._interval:
            self._last = now
            self._beat()


@dataclass(frozen=True, slots=True)
class Originator:
    """Who asked for a C-MOVE: its AE title and the message id of its request (PS3.7 9.1.1.1)."""

    ae_title: str
    message_id: int
