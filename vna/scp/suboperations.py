"""The C-STORE sub-operations of a C-MOVE or C-GET and their count (PS3.4 C.4.2.3)."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from vna.dimse.fragments import Reader
from vna.errors import Corrupt
from vna.model.instances import StoredInstance
from vna.scp.exchange import Counters
from vna.scp.status import is_success, is_warning

MAX_COUNT = 0xFFFF  # US, PS3.5 6.2
MAX_FAILED_UIDS = 100_000
"""How many failed instances are named; all are counted."""


class Tally:
    """Sub-operations by what became of them, each counted once; may be used by any thread.

    After `seal` nothing changes any more: what was under way has failed.
    """

    def __init__(self, total: int) -> None:
        self._lock = threading.Lock()
        self._total = total
        self._under_way: dict[int, str] = {}
        self._is_sealed = False
        self.completed = 0
        self.failed = 0
        self.warning = 0
        self.failed_uids: list[str] = []
        self.delivered: Counter[str] = Counter()
        """How many instances of each study arrived."""

    @property
    def remaining(self) -> int:
        """Sub-operations whose end is not known yet."""
        return max(0, self._total - self.completed - self.failed - self.warning)

    def begin(self, instance: StoredInstance) -> None:
        """The sub-operation of `instance` is initiated."""
        with self._lock:
            self._under_way[instance.instance_id] = instance.uids.sop_instance_uid

    def postpone(self, instance: StoredInstance) -> None:
        """The sub-operation of `instance` came to nothing and will be initiated again."""
        with self._lock:
            if not self._is_sealed:
                self._under_way.pop(instance.instance_id, None)

    def add(self, instance: StoredInstance, status: int) -> None:
        """Count the response `status` to the sub-operation of `instance`."""
        if not (is_success(status) or is_warning(status)):
            self.fail(instance)
            return
        with self._lock:
            if self._is_sealed:
                return
            self._under_way.pop(instance.instance_id, None)
            self.delivered[instance.uids.study_instance_uid] += 1
            if is_success(status):
                self.completed += 1
            else:
                self.warning += 1

    def fail(self, instance: StoredInstance) -> None:
        """Count `instance` as failed."""
        with self._lock:
            if not self._is_sealed:
                self._under_way.pop(instance.instance_id, None)
                self._fail(instance.uids.sop_instance_uid)

    def lose(self, count: int) -> None:
        """Count instances that went from the index since they were selected."""
        with self._lock:
            if not self._is_sealed:
                self.failed += count

    def seal(self) -> None:
        """The operation is cancelled: what was initiated and is not answered has failed."""
        with self._lock:
            for uid in self._under_way.values():
                self._fail(uid)
            self._under_way.clear()
            self._is_sealed = True

    def counters(self, *, with_remaining: bool) -> Counters:
        """For a response; remaining ones only in pending and cancelled ones (PS3.7 9.1.4)."""
        with self._lock:
            return Counters(
                remaining=min(self.remaining, MAX_COUNT) if with_remaining else None,
                completed=min(self.completed, MAX_COUNT),
                failed=min(self.failed, MAX_COUNT),
                warning=min(self.warning, MAX_COUNT),
            )

    def _fail(self, sop_instance_uid: str) -> None:
        self.failed += 1
        if len(self.failed_uids) < MAX_FAILED_UIDS:
            self.failed_uids.append(sop_instance_uid)


class ExactReader:
    """A dataset of known length on its way out: it never ends short."""

    def __init__(self, inner: Reader, length: int, name: str) -> None:
        self._inner = inner
        self._left = length
        self._name = name

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes. Raises Corrupt where the stored object ends too early."""
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
