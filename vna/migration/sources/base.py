"""The contract of a migration source: what the engine may rely on, and the errors it may see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from vna.errors import VnaError
from vna.model.migration import (
    Capabilities,
    FetchReport,
    FoundInstance,
    FoundStudy,
    Scope,
)
from vna.spool import Spooled

Take = Callable[[Spooled, FoundInstance | None], None]
"""Keep one object that has come whole. It returns when the object is durable and raises a VnaError when it is not
kept. The second argument is the wanted instance that the object claims to be, None when it is none of them. The object
stays the source's to close. Several threads may call it at once, and not only the one that called `fetch`."""

ShouldStop = Callable[[], bool]
"""Whether the work is to end soon; asked several times a second, so it must be quick and not raise."""


class SourceError(VnaError):
    """The source can't give what it was asked for, and asking again will not help."""


class SourceUnavailable(SourceError):
    """The source does not answer, or broke off; the same request may succeed later."""

    transient = True


class SourceBusy(SourceUnavailable):
    """The source answers, and asks for less: it rejects associations, is out of resources, or says 429."""


class MigrationSource(Protocol):
    """An archive, folder or bucket that studies are taken from. One instance is shared by every thread."""

    def capabilities(self) -> Capabilities:
        """What it can do; asks nothing of the source."""
        ...

    def check(self) -> None:
        """Ask the source something small. Raises SourceError, with the remedy, when it does not let us in."""
        ...

    def studies(self, scope: Scope) -> Iterator[FoundStudy]:
        """Every study in `scope`, each once, however few results at a time the source gives away.

        Lazy; a consumer may stop at any time. Raises SourceUnavailable, SourceBusy; SourceError when the source can't
        be made to show everything: an inventory that ends without an error is complete, as far as the source's
        answers tell.
        """
        ...

    def instances(self, study: FoundStudy) -> Iterator[FoundInstance]:
        """Every instance of the study, each place once: the same SOP Instance UID in two series comes twice.

        None at all for a study that exists without instances. Raises as `studies`.
        """
        ...

    def fetch(
        self,
        study: FoundStudy,
        wanted: Sequence[FoundInstance],
        take: Take,
        should_stop: ShouldStop,
        known: Sequence[FoundInstance] = (),
    ) -> FetchReport:
        """Hand over the wanted instances, all of them of `study`, to `take`; what else the source sends, too.

        It asks for the study, for series or for single instances, whatever fits `wanted`; `known` is all that is listed
        of the study, () when the caller does not know. It goes on after an object
        that can't be had, or that `take` refuses (both are failures of the report), and returns within two seconds
        after `should_stop` says so. When it returns or raises, no call of `take` is under way or will follow. Raises
        SourceUnavailable or SourceBusy when nothing more can be had now; and what `take` raised when that is
        transient, since it would happen again with the next object.
        """
        ...

    def close(self) -> None:
        """Let go of connections and listeners; after that nothing else is called."""
        ...


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that may have been an instance and can't be read as one: where it lies, and why."""

    place: str
    reason: str


@runtime_checkable
class SupportsWalk(Protocol):
    """A source that comes by its studies only by reading every object: both are told at once, in no order."""

    def walk(self, scope: Scope) -> Iterator[tuple[FoundStudy, FoundInstance] | Unreadable]:
        """Every object in `scope` once, with its study as it is told there. Raises as `studies`."""
        ...


@runtime_checkable
class SupportsPrepare(Protocol):
    """A source that needs something of this machine before anything can be fetched."""

    def prepare(self) -> None:
        """Take hold of it, until `close`. Raises SourceUnavailable, with the remedy, when others have it."""
        ...
