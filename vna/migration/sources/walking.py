"""What sources of single objects have in common: whoever wants one study of them reads them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from vna.errors import VnaError
from vna.migration.reception import Reception
from vna.migration.sources.base import ShouldStop, SourceUnavailable, Take, Unreadable
from vna.model.migration import FetchReport, FoundInstance, FoundStudy, Scope
from vna.spool import Spooled


class WalkingSource(ABC):
    """Studies, instances and fetches of a MigrationSource; a child walks, and reads what lies at a place."""

    @abstractmethod
    def walk(self, scope: Scope) -> Iterator[tuple[FoundStudy, FoundInstance] | Unreadable]:
        """See SupportsWalk.walk."""

    @abstractmethod
    def spooled(self, place: str) -> Spooled:
        """The object at `place`, the caller's to close. Raises SourceError, OutOfSpace, Unavailable."""

    def studies(self, scope: Scope) -> Iterator[FoundStudy]:
        """See MigrationSource.studies."""
        known: set[str] = set()
        for found in self.walk(scope):
            if not isinstance(found, Unreadable) and found[0].study_instance_uid not in known:
                known.add(found[0].study_instance_uid)
                yield found[0]

    def instances(self, study: FoundStudy) -> Iterator[FoundInstance]:
        """See MigrationSource.instances; every object is looked at for it."""
        for found in self.walk(Scope(study_instance_uids=(study.study_instance_uid,))):
            if not isinstance(found, Unreadable):
                yield found[1]

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
        was_stopped = False
        for found in wanted:
            if was_stopped := should_stop():
                break
            try:
                with self.spooled(found.place) as spooled:
                    reception.take(spooled, found)
            except SourceUnavailable:
                raise
            except VnaError as exc:
                reception.failed(found.uids.sop_instance_uid, str(exc), exc)
                if reception.error is not None:
                    raise
        return reception.report(was_stopped=was_stopped)
