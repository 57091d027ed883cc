"""An inventory of a source, down to the instances, written into the ledger as it goes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from vna.index.inventory_ledger import InventoryLedger
from vna.migration.sources.base import MigrationSource, SourceError, SupportsWalk, Unreadable
from vna.migration.sweep import IncompleteInventory
from vna.model.campaign import Campaign
from vna.model.migration import FoundInstance, FoundStudy

STUDIES_AT_ONCE = 200
OBJECTS_AT_ONCE = 1000
MOST_TOLD = 1000
"""So many problems are told one by one; all are counted."""

_T = TypeVar("_T")


@dataclass(slots=True)
class Stock:
    """What an inventory has come to. `problems`: what is not, or perhaps not, in it, and why.

    `gone`: instances that the ledger has from an earlier one, and the source does not have any more.
    """

    number: int = 0
    studies: int = 0
    new_studies: int = 0
    changed_studies: int = 0
    instances: int = 0
    new_instances: int = 0
    gone: int = 0
    is_complete: bool = True
    problem_count: int = 0
    problems: list[str] = field(default_factory=list)

    def tell(self, problem: str, *, is_gap: bool = False) -> None:
        """One more problem; a gap leaves the inventory incomplete."""
        self.problem_count += 1
        self.is_complete = self.is_complete and not is_gap
        if len(self.problems) < MOST_TOLD:
            self.problems.append(problem)


class Stocktaking:
    """One inventory; it may be cut off and begun again, and goes on where listed studies end."""

    def __init__(
        self,
        source: MigrationSource,
        ledger: InventoryLedger,
        campaign: Campaign,
        *,
        threads: int = 4,
        on_progress: Callable[[Stock], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._source, self._ledger, self._campaign = source, ledger, campaign
        self._threads, self._on_progress, self._should_stop = threads, on_progress, should_stop
        self._lock = threading.Lock()
        self._accepts_gaps = False
        self.stock = Stock()

    def take(self, *, accepts_gaps: bool = False) -> Stock:
        """Everything in the campaign's scope. It counts as taken only when it is complete, unless `accepts_gaps`.

        Then what a study shows of itself is all that is fetched of it; else workers go on asking for the rest.
        Raises SourceError and its children, Unavailable.
        """
        stock, self._accepts_gaps = self.stock, accepts_gaps
        stock.number = self._ledger.begin(self._campaign)
        if isinstance(self._source, SupportsWalk):
            self._walk(self._source)
        else:
            self._search()
        if self._should_stop():
            stock.tell("it was stopped: take it again to go on", is_gap=True)
        elif stock.is_complete or accepts_gaps:
            self._ledger.end(self._campaign, stock.number)
        return stock

    def _search(self) -> None:
        try:
            for batch in _batches(self._source.studies(self._campaign.scope), STUDIES_AT_ONCE):
                self._record(batch)
                if self._should_stop():
                    return
        except IncompleteInventory as exc:
            self.stock.tell(str(exc), is_gap=True)
        self._list_all()

    def _record(self, found: list[FoundStudy]) -> None:
        recorded = self._ledger.studies(self._campaign, self.stock.number, found)
        with self._lock:
            self.stock.studies += recorded.new + recorded.changed + recorded.same
            self.stock.new_studies += recorded.new
            self.stock.changed_studies += recorded.changed
        self._on_progress(self.stock)

    def _list_all(self) -> None:
        """The instances of each study that is new or told otherwise than before."""
        after = 0
        with ThreadPoolExecutor(self._threads) as pool:
            while not self._should_stop():
                batch = self._ledger.unlisted(self._campaign, self.stock.number, after)
                if not batch:
                    return
                for _ in pool.map(self._list, batch):
                    pass
                after = batch[-1][0]
                self._on_progress(self.stock)

    def _list(self, item: tuple[int, FoundStudy]) -> None:
        study_id, study = item
        if self._should_stop():
            return
        found: list[FoundInstance] = []
        is_whole = True
        try:
            found.extend(self._source.instances(study))
        except SourceError as exc:
            if exc.transient:
                raise
            is_whole = self._accepts_gaps
            with self._lock:
                self.stock.tell(f"study {study.study_instance_uid}: {exc}", is_gap=True)
        self._write(study_id, found, is_whole=is_whole)

    def _write(self, study_id: int, found: list[FoundInstance], *, is_whole: bool) -> None:
        recorded = self._ledger.instances(study_id, self.stock.number, found, is_whole=is_whole)
        with self._lock:
            self.stock.instances += recorded.new + recorded.same
            self.stock.new_instances += recorded.new
            self.stock.gone += recorded.gone

    def _walk(self, source: SupportsWalk) -> None:
        """Objects in the order in which they lie: a study may go on anywhere."""
        counted: set[str] = set()
        for batch in _batches(self._readable(source), OBJECTS_AT_ONCE):
            studies: dict[str, FoundStudy] = {}
            instances: dict[str, list[FoundInstance]] = {}
            for study, instance in batch:
                studies.setdefault(study.study_instance_uid, study)
                instances.setdefault(study.study_instance_uid, []).append(instance)
            new = [study for uid, study in studies.items() if uid not in counted]
            counted.update(studies)
            self._record(new)
            ids = self._ledger.study_ids(self._campaign, list(studies))
            for uid, found in instances.items():
                self._write(ids[uid], found, is_whole=False)
            self._on_progress(self.stock)
            if self._should_stop():
                return
        self._ledger.all_listed(self._campaign, self.stock.number)

    def _readable(self, source: SupportsWalk) -> Iterator[tuple[FoundStudy, FoundInstance]]:
        for found in source.walk(self._campaign.scope):
            if isinstance(found, Unreadable):
                self.stock.tell(f"{found.place}: {found.reason}")
                number = self.stock.number
                self._ledger.unreadable(self._campaign, number, found.place, found.reason)
            else:
                yield found


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """What came before an error is given before it is raised."""
    batch: list[_T] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
    except SourceError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
