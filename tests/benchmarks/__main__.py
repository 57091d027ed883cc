"""`make bench`: every figure beside its floor, measured in the same run; bounded, and it stops by itself."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from tests.benchmarks import floors, memory, reading, searching, storing
from tests.benchmarks.report import Row, keep
from tests.e2e.process import ArchiveProcess, running_archive
from vna.index.embedded import EmbeddedPostgres

Part = Callable[[ArchiveProcess, bool], Iterator[Row]]


def store(archive: ArchiveProcess, short: bool) -> Iterator[Row]:
    """C-STORE and opening associations."""
    with (
        EmbeddedPostgres.start(archive.data_dir) as server,
        floors.discarding_listener() as discard,
    ):
        yield from storing.openings(archive, discard)
        synced = archive.data_dir / "floor"
        yield from storing.stores(archive, discard, server.url, 160 if short else 800, synced)


def read(archive: ArchiveProcess, _short: bool) -> Iterator[Row]:
    """C-FIND, C-GET, WADO-RS, QIDO, metadata."""
    reading.fill(archive)
    yield from reading.finds(archive)
    yield from reading.gets(archive)
    yield from reading.webs(archive)


def search(_archive: ArchiveProcess, short: bool) -> Iterator[Row]:
    """The index of a million studies."""
    yield from searching.studies(50_000 if short else 1_000_000)


def large(archive: ArchiveProcess, _short: bool) -> Iterator[Row]:
    """Memory while large objects arrive."""
    yield from memory.receiving(archive)


PARTS: dict[str, Part] = {"store": store, "read": read, "search": search, "large": large}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--short", is_flag=True, help="Smaller numbers, for a first look.")
def main(parts: tuple[str, ...], short: bool) -> None:
    """Measure PARTS (all of them by default)."""
    rows: list[Row] = []
    for name in parts or tuple(PARTS):
        folder = Path(tempfile.mkdtemp(prefix="vna-bench-"))
        folder.chmod(0o755)
        try:
            with running_archive(folder / "data", {"VNA__LOG__LEVEL": "warning"}) as archive:
                for row in PARTS[name](archive, short):
                    rows.append(row)
                    click.echo(row)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo(f"kept in {keep(rows, Path('bench-results'))}")


if __name__ == "__main__":
    sys.exit(main())
