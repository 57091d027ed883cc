"""A rehearsal from its first silo to its last certificate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.rehearsal import checks, contents, doors, proof, silos
from tests.rehearsal.book import Book
from tests.rehearsal.campaigns import begin, work
from tests.rehearsal.commands import Migrate, Target
from tests.rehearsal.contents import Scale
from tests.rehearsal.ledger import Inside, inside
from tests.rehearsal.objects import Placed
from tests.rehearsal.silos import Silo

Filling = Callable[[Scale], list[Placed]]
Opening = Callable[[Path, Sequence[Placed]], AbstractContextManager[Silo]]

KINDS: dict[str, tuple[Filling, Opening]] = {
    "orthanc": (contents.orthanc, silos.orthanc),
    "dcmqrscp-get": (contents.dcmqrscp_by_get, silos.dcmqrscp_by_get),
    "dcmqrscp-move": (contents.dcmqrscp_by_move, silos.dcmqrscp_by_move),
    "archive": (contents.archive, silos.archive),
    "folder": (contents.folder, silos.folder),
}
"""What silos there are: what each is filled with, and what starts it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a rehearsal takes place. `workers`: processes beside those that the target may have of its own.

    `root`: of the target's web door, where it has one.
    """

    folder: Path
    target: Target
    migrate: Migrate
    workers: int
    tell: Callable[[str], None] = lambda _: None
    root: str = ""


def rehearse(stage: Stage, names: Sequence[str], scale: Scale, book: Book) -> None:
    """Run everything; what is found goes into `book`. Raises RuntimeError when a command fails that must not."""
    with ExitStack() as stack:
        sources = []
        for name in names:
            fill, start = KINDS[name]
            sources.append(stack.enter_context(start(stage.folder / name, fill(scale))))
            stage.tell(f"{name}: {sources[-1].listed} instances")
        for silo in sources:
            begin(stage.migrate, silo, stage.folder, book)
            stage.tell(f"{silo.name}: started")
        work(stage.target, stage.workers, stage.folder)
        stage.tell("all campaigns are done")
        with inside(stage.target) as within:
            _check(stage, within, sources, book)
            _prove(stage, within, sources, book)


def _check(stage: Stage, within: Inside, sources: Sequence[Silo], book: Book) -> None:
    checks.exceptions_are_the_planted_faults(stage.migrate, sources, book)
    for silo in sources:
        checks.ledger_explains_everything(within, silo, book)
        checks.everything_is_kept_as_it_came(within, silo, book)
    checks.nothing_is_kept_twice(within, sources, book)
    checks.domains_stay_apart(within, sources, book)
    checks.rules_are_in_force(within, sources, book)
    if stage.root:
        doors.deliveries_are_corrected(stage.root, sources, book)


def _prove(stage: Stage, within: Inside, sources: Sequence[Silo], book: Book) -> None:
    before = (within.attempts(), within.objects())
    proof.begin_again(stage.migrate, sources, book)
    work(stage.target, 1, stage.folder)
    after = (within.attempts(), within.objects())
    book.note("second run", "all", "fetches, and objects, after it", before, after)
    stage.tell("the second run is over")
    proof.finish(stage.migrate, sources, book)
    proof.certificates(stage.migrate, within, sources, stage.folder, book)
    proof.reports(stage.migrate, sources, stage.folder, book)
