"""A DICOM archive as a source: C-FIND for the inventory, C-MOVE or C-GET for the objects."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence

from vna.migration.dicom_fetch import DicomFetch
from vna.migration.dicom_inventory import DicomInventory
from vna.migration.dicom_link import IDENTIFIER_SYNTAXES, DicomLink
from vna.migration.dicom_probe import inspect
from vna.migration.dicom_requests import ListedCounts
from vna.migration.move_listener import MoveListener
from vna.migration.move_listeners import MoveListeners
from vna.migration.probe import ProbeReport
from vna.migration.reception import Reception
from vna.migration.source_options import DicomOptions
from vna.migration.sources.base import ShouldStop, Take
from vna.migration.sweep import StudySweep
from vna.model.migration import Capabilities, FetchReport, FoundInstance, FoundStudy, Scope
from vna.spool import Spool


class DicomSource:
    """See MigrationSource. For C-MOVE it listens from `prepare`, or the first fetch, on."""

    def __init__(
        self, options: DicomOptions, spool: Spool, listeners: MoveListeners | None = None
    ) -> None:
        """`listeners`: those of the process. Raises ConfigError for certificates that can't be used."""
        self._options, self._spool = options, spool
        self._listeners = listeners or MoveListeners(spool)
        self.link = DicomLink(options)
        self._inventory = DicomInventory(self.link)
        self._counts = ListedCounts()
        self._listener: MoveListener | None = None
        self._lock = threading.Lock()

    def capabilities(self) -> Capabilities:
        """See MigrationSource.capabilities."""
        return Capabilities(f"dicom-{self._options.retrieve}")

    def check(self) -> None:
        """See MigrationSource.check: the contexts that are needed must be accepted; C-MOVE needs a place to listen,
        which may be that of somebody who fetches now.
        """
        is_move = self._options.retrieve == "move"
        retrieve = self.link.move_class if is_move else self.link.get_class
        contexts = [(uid, IDENTIFIER_SYNTAXES) for uid in (self.link.find_class, retrieve)]
        with self.link.association(contexts) as association:
            for uid, _ in contexts:
                association.context_for(uid)
        if is_move:
            self._listeners.check(self._options.destinations)

    def prepare(self) -> None:
        """See SupportsPrepare.prepare."""
        if self._options.retrieve == "move":
            self.listener()

    def studies(self, scope: Scope) -> Iterator[FoundStudy]:
        """See MigrationSource.studies."""
        return self.sweep(scope).studies()

    def sweep(self, scope: Scope) -> StudySweep:
        """The search, with what it learns of the source."""
        return self._inventory.studies(scope)

    def inspect(self, report: ProbeReport, sample: Sequence[FoundStudy]) -> None:
        """See vna.migration.probe.Inspectable."""
        inspect(self.link, report, sample)

    def instances(self, study: FoundStudy) -> Iterator[FoundInstance]:
        """See MigrationSource.instances."""
        return self._counts.counting(study, self._inventory.instances(study))

    def fetch(
        self,
        study: FoundStudy,
        wanted: Sequence[FoundInstance],
        take: Take,
        should_stop: ShouldStop,
        known: Sequence[FoundInstance] = (),
    ) -> FetchReport:
        """See MigrationSource.fetch."""
        reception = Reception(wanted, take)
        counted = self._counts.known(study)
        fetch = DicomFetch(self.link, counted, reception, should_stop, known)
        with contextlib.closing(reception):
            if self._options.retrieve == "move":
                fetch.move(wanted, self.listener())
            else:
                fetch.get(wanted, self._spool)
        if reception.error is not None:
            raise reception.error
        return fetch.report()

    def close(self) -> None:
        """See MigrationSource.close."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            self._listeners.give_back(listener)

    def listener(self) -> MoveListener:
        """Where C-MOVE sends to. Raises SourceUnavailable when no place is free."""
        with self._lock:
            if self._listener is None:
                self._listener = self._listeners.take(self._options.destinations)
            return self._listener
