"""Empties a backend while the archive works: every object goes where the rules of placement now say."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile

from vna import metrics
from vna.audit import AuditAction, AuditEvent, AuditLog
from vna.errors import ConfigError, Unavailable, VnaError
from vna.index.commitments import Hold
from vna.index.draining import DrainIndex, Place
from vna.model.draining import GRACE, Drain
from vna.model.identifiers import Origin
from vna.services.at_once import AtOnce
from vna.services.holds import HoldKeeper
from vna.services.leaving import LeftObjects
from vna.services.pace import Pace, wait_while
from vna.services.rehousing import Rehoused, RehousingService
from vna.services.storage import ObjectStore

log = logging.getLogger(__name__)

HOLD_SECONDS = 60.0
_ACCOUNT_EVERY = 2.0
_ENOUGH = 50
"""So many objects in a row that could not be written say that nothing can be written now."""
_RETRY = 600.0
_AGAIN = 30.0


@dataclass(frozen=True, slots=True)
class HowToDrain:
    """`rate`: bytes a second, 0 for all that goes; `threads` move at once; `waits`: until moved objects are gone."""

    rate: int = 0
    threads: int = 4
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Watching:
    """Who is told of what a drain does, and who may stop it."""

    on_failure: Callable[[Place, str], object] = lambda *_: None
    on_progress: Callable[[Drain], object] = lambda _: None
    should_stop: Callable[[], bool] = lambda: False


def _nothing() -> dict[str, int]:
    return dict.fromkeys(("moved", "dropped", "size", "failed"), 0)


@dataclass(slots=True)
class _Pass:
    """What one walk over what the backend is named for has done."""

    drain: Drain
    hold: Hold
    done: dict[str, int] = field(default_factory=_nothing)
    error: str = ""
    told: dict[str, int] = field(default_factory=_nothing)
    accounted: float = field(default_factory=time.monotonic)
    in_a_row: int = 0

    @property
    def is_idle(self) -> bool:
        return not any(self.done.values())


class DrainService:
    """Begins, does and cancels drains. Shared by all threads; everything raises Unavailable."""

    def __init__(
        self,
        index: DrainIndex,
        objects: ObjectStore,
        rehousing: RehousingService,
        left: LeftObjects,
        audit: AuditLog,
    ) -> None:
        self.index = index
        self._objects, self._rehousing, self._left, self._audit = objects, rehousing, left, audit
        self._keeper = HoldKeeper(index.renew, HOLD_SECONDS)

    def begin(self, backend: str, target: str, origin: Origin, grace: int = GRACE) -> Drain:
        """Have `backend` emptied from now on, audited; worked on by whoever calls `work`. Raises ConfigError."""
        self._check(backend, target)
        drain = self.index.begin(backend, target, grace)
        detail: dict[str, str | int] = {"backend": backend, "target": target}
        self._audit.record(AuditEvent(AuditAction.STORAGE_DRAIN_BEGAN, origin, detail=detail))
        return drain

    def cancel(self, backend: str, origin: Origin) -> bool:
        """Leave what is still there where it is, audited; False: it was not being emptied."""
        if not self.index.cancel(backend):
            return False
        event = AuditEvent(AuditAction.STORAGE_DRAIN_CANCELLED, origin, detail={"backend": backend})
        self._audit.record(event)
        return True

    def find(self, backend: str) -> Drain | None:
        """The drain of `backend`, ended or not."""
        return next((drain for drain in self.index.drains() if drain.backend == backend), None)

    def work(
        self,
        backend: str,
        origin: Origin,
        how: HowToDrain | None = None,
        watching: Watching | None = None,
    ) -> Drain | None:
        """Go on with a drain until it is done, fails or is stopped; None: somebody else works on it, or there is none.

        Killed at any moment, it is gone on with once the claim has run out.
        """
        how, watching = how or HowToDrain(), watching or Watching()
        hold = self._keeper.new()
        drain = self.index.claim(backend, hold)
        if drain is None:
            return None
        self._keeper.keep(hold)
        is_ended, pause = False, _RETRY
        try:
            self._check(backend, drain.target)
            is_ended, pause = self._all(drain, hold, how, watching)
        finally:
            self._keeper.drop(hold)
            self.index.release(backend, hold, is_ended=is_ended, pause=pause)
        ended = self.find(backend)
        if ended is not None and is_ended:
            detail: dict[str, str | int] = {
                "backend": backend,
                "moved": ended.moved,
                "dropped": ended.dropped,
                "bytes": ended.size,
            }
            log.info("a backend was emptied", extra=detail)
            self._audit.record(AuditEvent(AuditAction.STORAGE_DRAINED, origin, detail=detail))
        return ended

    def remove_moved(self, should_stop: Callable[[], bool] = lambda: False) -> int:
        """Remove moved objects whose time has passed, of all backends; how many."""
        return self._left.remove(should_stop)

    def close(self) -> None:
        """Prolong no claims any more."""
        self._keeper.close()

    def _check(self, backend: str, target: str) -> None:
        names, draining = self._objects.names, self._objects.draining
        for name in filter(None, (backend, target)):
            if name not in names:
                raise ConfigError(f"there is no backend {name!r}; there are {', '.join(names)}")
        if backend not in draining:
            raise ConfigError(
                f"backend {backend!r} gets new objects: set storage.backends.{backend}.drain = true "
                "and restart every process of the archive first"
            )
        if target in draining:
            raise ConfigError(f"backend {target!r} is to be drained itself: name another target")

    def _all(
        self, drain: Drain, hold: Hold, how: HowToDrain, watching: Watching
    ) -> tuple[bool, float]:
        """Whether nothing is left to do, and else in how many seconds to go on."""

        def is_stopped() -> bool:
            return watching.should_stop() or not self._keeper.holds(hold)

        pace = Pace(how.rate, lambda delay: wait_while(delay, is_stopped))
        while True:
            done = self._pass(drain, hold, how, watching, pace)
            self._left.remove(is_stopped)
            left = self.index.left(drain.backend)
            if is_stopped() or not self._is_ours(done):
                return False, _AGAIN
            if left.is_named and (done.done["failed"] or done.is_idle):
                return False, _RETRY
            if left.is_named:
                continue
            while how.waits and self.index.left(drain.backend).moved and not is_stopped():
                wait_while(1.0, is_stopped)
                self._left.remove(is_stopped)
            left = self.index.left(drain.backend)
            return not left.is_named and not left.moved, min(_RETRY, drain.grace or _AGAIN)

    def _pass(
        self, drain: Drain, hold: Hold, how: HowToDrain, watching: Watching, pace: Pace
    ) -> _Pass:
        seen = _Pass(drain, hold)

        def goes_on(_: object) -> bool:
            return (
                seen.in_a_row < _ENOUGH and not watching.should_stop() and self._keeper.holds(hold)
            )

        with AtOnce(how.threads, "drain") as threads:
            work = (
                partial(self._moved, place, drain, pace)
                for place in self.index.named(drain.backend)
            )
            for place, done in threads.results(takewhile(goes_on, work)):
                _count(seen, done)
                if done.failure:
                    log.warning("not moved: %s", done.failure, extra={"key": place[0]})
                    watching.on_failure(place, done.failure)
                if time.monotonic() - seen.accounted > _ACCOUNT_EVERY:
                    if not self._is_ours(seen):
                        break
                    watching.on_progress(self.find(drain.backend) or drain)
        self._is_ours(seen)
        watching.on_progress(self.find(drain.backend) or drain)
        return seen

    def _moved(self, place: Place, drain: Drain, pace: Pace) -> tuple[Place, Rehoused]:
        try:
            done = self._rehousing.rehouse(place, drain.backend, drain.target)
        except VnaError as exc:
            return place, Rehoused(failure=str(exc), is_target=isinstance(exc, Unavailable))
        pace(done.size)
        return place, done

    def _is_ours(self, seen: _Pass) -> bool:
        """Whether the claim holds, what was done since the last time being accounted for."""
        news = {name: count - seen.told[name] for name, count in seen.done.items()}
        seen.told, seen.accounted = dict(seen.done), time.monotonic()
        return self.index.account(seen.drain.backend, seen.hold, news, seen.error)


def _count(seen: _Pass, done: Rehoused) -> None:
    seen.done["moved"] += done.is_moved
    seen.done["dropped"] += done.is_dropped
    seen.done["size"] += done.size
    seen.done["failed"] += bool(done.failure)
    seen.error = done.failure or seen.error
    seen.in_a_row = seen.in_a_row + 1 if done.is_target else 0
    outcome = "moved" if done.is_moved else "kept elsewhere" if done.is_dropped else "failed"
    if done != Rehoused():
        metrics.OBJECTS_DRAINED.labels(seen.drain.backend, outcome).inc()


def work_on_all(
    service: DrainService, origin: Origin, should_stop: Callable[[], bool] = lambda: False
) -> None:
    """Go on with every drain that nobody works on; what fails is left for later. Raises Unavailable."""
    tried: set[str] = set()
    while names := [name for name in service.index.due() if name not in tried]:
        if should_stop():
            return
        tried.add(names[0])
        try:
            service.work(names[0], origin, HowToDrain(threads=2), Watching(should_stop=should_stop))
        except ConfigError as exc:
            log.warning("a backend is not drained now: %s", exc)
