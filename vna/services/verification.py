"""Whether every row has its object with the right bytes, and every object its row."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from storage_backends.base import ObjectInfo
from vna import metrics
from vna.errors import ConfigError, Unavailable
from vna.index.verification import VerificationIndex
from vna.model.draining import Amount
from vna.model.identifiers import Origin
from vna.model.instances import Location
from vna.model.verification import Coverage, Fault, Finding, KeptRow, Part, Run, Tally
from vna.services.at_once import AtOnce
from vna.services.merging import merged
from vna.services.pace import Pace, wait_while
from vna.services.repair import RepairService
from vna.services.storage import Condition, ObjectStore

YOUNG = 86_400.0
"""Seconds in which an object without a row may still get one: a store may be under way."""
_REMEMBER_EVERY = 5.0
_FAULT_OF = {
    Condition.MISSING: Fault.MISSING,
    Condition.CORRUPT: Fault.CORRUPT,
    Condition.UNREADABLE: Fault.UNREADABLE,
}


@dataclass(frozen=True, slots=True)
class HowToVerify:
    """`is_deep`: read all bytes, not only their number. `rate`: bytes a second, 0 for as fast as it goes.

    `threads` read at once. `origin`: who repairs. `young`: seconds that an object may be without a row. `only`: one
    backend, "" for all.
    """

    origin: Origin
    is_deep: bool = True
    is_scheduled: bool = False
    repairs: bool = False
    rate: int = 0
    threads: int = 4
    young: float = YOUNG
    only: str = ""


@dataclass(slots=True)
class _Checked:
    """What came of one key."""

    key: str
    findings: list[Finding]
    objects: int
    size: int


@dataclass(slots=True)
class _Way:
    """Through one backend; `away`: why no more of it can be listed."""

    should_stop: Callable[[], bool]
    away: Unavailable | None = None

    def ends(self) -> bool:
        """Whether to go no further."""
        return self.away is not None or self.should_stop()


class VerificationService:
    """Compares index and storage. Nothing is changed unless repairs are asked for. Everything raises Unavailable."""

    def __init__(
        self,
        index: VerificationIndex,
        objects: ObjectStore,
        repair: RepairService,
        amounts: Callable[[], Iterable[Amount]] = tuple,
    ) -> None:
        """`amounts`: what each backend holds, see DrainIndex."""
        self.index = index
        self._objects, self._repair, self._amounts = objects, repair, amounts

    def rows(
        self,
        rows: Iterable[KeptRow],
        how: HowToVerify,
        on_finding: Callable[[Finding], object],
        on_progress: Callable[[Tally], object] = lambda _: None,
    ) -> Tally:
        """Check the objects of some rows."""
        tally = Tally()
        pace = Pace(how.rate)
        with AtOnce(how.threads, "verify") as threads:
            work = (
                partial(self._checked, row.location.key, [row], None, how, pace) for row in rows
            )
            for checked in threads.results(work):
                self._account(checked, tally, on_finding, how)
                on_progress(tally)
        return tally

    def everything(
        self,
        how: HowToVerify,
        on_finding: Callable[[Finding], object] = lambda _: None,
        on_progress: Callable[[Run, Tally], object] = lambda *_: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Run:
        """Go through all backends and rows by key, on from where the last run of this kind was cut off.

        Ends early, to be gone on with, when `should_stop` says so. The run's totals are those of all its parts.
        For a backend that can't be listed the run stays open; Unavailable is raised once the others were seen. Raises
        ConfigError where there is no backend of the name that alone is asked for.
        """
        kind = {"is_deep": how.is_deep, "is_scheduled": how.is_scheduled}
        names = self._names(how.only)
        run = self.index.open_run(**kind, only=how.only) or self.index.begin(**kind, only=how.only)
        seen, tally = self.index.seen(run.run_id), Tally()
        left: tuple[Run, Unavailable] | None = None
        for name in names:
            if name in seen:
                continue
            after, way = run.position if name == run.backend else "", _Way(should_stop)
            now = replace(run, backend=name, position=after)
            now = self._backend(now, how, (on_finding, on_progress), tally, way)
            if way.away is not None:
                left = left or (now, way.away)
            if should_stop():
                break
        if left is not None:
            self.index.advance(left[0], (), 0, 0)
            raise left[1]
        if not should_stop():
            self.index.end(run)
        return self.index.run(run.run_id)

    def coverage(self) -> list[Coverage]:
        """How much of each backend was read, and when."""
        objects = dict.fromkeys(self._objects.names, 0)
        objects |= {found.backend: found.objects + found.copies for found in self._amounts()}
        return self.index.coverage(objects)

    def _names(self, only: str) -> list[str]:
        """The backends to look at: also those that rows name and that are not configured any more."""
        names = {*self._objects.names, *self.index.backends()}
        if only and only not in names:
            raise ConfigError(f"there is no backend {only!r}; there are {', '.join(sorted(names))}")
        return [only] if only else sorted(names)

    def _backend(
        self,
        run: Run,
        how: HowToVerify,
        told: tuple[Callable[[Finding], object], Callable[[Run, Tally], object]],
        tally: Tally,
        way: _Way,
    ) -> Run:
        pace = Pace(how.rate, lambda delay: wait_while(delay, way.ends))
        remembered, pending, seen = time.monotonic(), list[Finding](), Tally()
        with AtOnce(how.threads, "verify") as threads:
            for checked in threads.results(self._work(run, how, pace, way)):
                pending += self._account(checked, tally, told[0], how)
                seen.objects += checked.objects
                seen.size += checked.size
                run = replace(run, position=checked.key)
                if time.monotonic() - remembered >= _REMEMBER_EVERY or len(pending) >= 100:
                    self.index.advance(run, pending, seen.objects, seen.size)
                    remembered, pending, seen = time.monotonic(), [], Tally()
                told[1](run, tally)
        is_through = not way.ends()
        self.index.advance(run, pending, seen.objects, seen.size, is_through=is_through)
        return run

    def _work(
        self, run: Run, how: HowToVerify, pace: Pace, way: _Way
    ) -> Iterator[Callable[[], _Checked]]:
        """A call for each key that is left of the backend; none any more where the way ends."""
        is_known = run.backend in self._objects.names
        objects = self._scanned(run, way) if is_known else ()
        rows = self.index.rows(run.backend, run.position)
        for key, found, named in merged(objects, rows):
            if way.ends():
                return
            if named:
                yield partial(self._checked, key, named, found, how, pace)
            elif found is not None:
                place = Location(run.backend, key, 0, found.size)
                yield partial(self._unnamed, place, found, how)

    def _scanned(self, run: Run, way: _Way) -> Iterator[ObjectInfo]:
        try:
            yield from self._objects.scan(run.backend, run.position)
        except Unavailable as exc:
            way.away = exc

    def _checked(
        self,
        key: str,
        rows: list[KeptRow],
        found: ObjectInfo | None,
        how: HowToVerify,
        pace: Pace,
    ) -> _Checked:
        checked = _Checked(key, [], 0, 0)
        for row in rows:
            if row.is_left:
                fault = self._left(row, found, how)
            else:
                digest = row.digest if how.is_deep else None
                fault = _FAULT_OF.get(self._objects.examine(row.location, digest, pace))
                checked.objects += 1
                checked.size += row.location.length
            if fault is not None and self._is_named(row):
                checked.findings.append(_finding(fault, row))
        return checked

    def _left(self, row: KeptRow, found: ObjectInfo | None, how: HowToVerify) -> Fault | None:
        if row.part is not Part.DAMAGED:
            return None
        if found is None and how.repairs:
            self._repair.forget(row)
        return None if found is None else Fault.REPLACED

    def _unnamed(self, place: Location, found: ObjectInfo, how: HowToVerify) -> _Checked:
        is_young = time.time() - found.modified < how.young
        checked = _Checked(place.key, [], 1, 0)
        if is_young or self.index.rows_of_key(place.backend, place.key):
            return checked
        if self._objects.examine(place, None, lambda _: None) is not Condition.MISSING:
            checked.findings.append(self._repair.describe(place))
        return checked

    def _is_named(self, row: KeptRow) -> bool:
        """Whether the row still names this object: it may have been deleted, healed or moved meanwhile."""
        return any(
            (now.location, now.part) == (row.location, row.part)
            for now in self.index.rows_of_key(row.location.backend, row.location.key)
        )

    def _account(
        self,
        checked: _Checked,
        tally: Tally,
        on_finding: Callable[[Finding], object],
        how: HowToVerify,
    ) -> list[Finding]:
        """Count what came of a key, after its repair."""
        findings = [
            self._repair.repair(finding, how.origin) if how.repairs else finding
            for finding in checked.findings
        ]
        tally.objects += checked.objects
        tally.size += checked.size
        metrics.OBJECTS_VERIFIED.labels("deep" if how.is_deep else "quick").inc(checked.objects)
        if how.is_deep:
            metrics.BYTES_VERIFIED.inc(checked.size)
        for finding in findings:
            tally.add(finding)
            if not finding.repaired:
                metrics.STORAGE_FAULTS.labels(finding.fault.value).inc()
            on_finding(finding)
        return findings


def _finding(fault: Fault, row: KeptRow) -> Finding:
    of = row.of
    what = "a copy of" if row.part is Part.COPY else "in its place is"
    detail = "" if of is None else f"{what} {of.backend} {of.key}"
    return Finding(fault, row.location, row.uids, row.owner, detail)
