"""`make bench`: every figure beside its floor, measured in the same run; bounded, and it stops by itself."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import click
import orjson

from tests.benchmarks import (
    decoding,
    floors,
    memory,
    migrating,
    plots,
    pulling,
    pushing,
    reading,
    scaling,
    searching,
    storage_frames,
    storage_index,
    storage_stores,
    storage_verification,
    storing,
)
from tests.benchmarks.report import Row, keep
from tests.e2e.process import ArchiveProcess, running_archive
from vna.index.embedded import EmbeddedPostgres

Part = Callable[[Path, bool], Iterator[Row]]
DOCUMENTS = Path("docs")
RESULTS = Path("bench-results")


def with_archive(measure: Callable[[ArchiveProcess, bool], Iterator[Row]]) -> Part:
    """The part that measures one archive, which runs as it comes."""

    def part(folder: Path, short: bool) -> Iterator[Row]:
        with running_archive(folder / "data", {"VNA__LOG__LEVEL": "warning"}) as archive:
            yield from measure(archive, short)

    return part


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


def search(folder: Path, short: bool) -> Iterator[Row]:
    """The index of a million studies."""
    yield from searching.studies(folder, 50_000 if short else 1_000_000)


def large(archive: ArchiveProcess, _short: bool) -> Iterator[Row]:
    """Memory while large objects arrive."""
    yield from memory.receiving(archive)


def pull(archive: ArchiveProcess, short: bool) -> Iterator[Row]:
    """Memory while clients pull studies of 2 GB."""
    yield from pulling.pulls(archive, 2 * 10**8 if short else 2 * 10**9)


def push(archive: ArchiveProcess, short: bool) -> Iterator[Row]:
    """Memory while one request stores 10 000 instances, or 20 GB."""
    yield from pushing.pushes(archive, 0.01 if short else 1.0)


PARTS: dict[str, Part] = {
    "store": with_archive(store),
    "read": with_archive(read),
    "search": search,
    "decode": decoding.calls,
    "large": with_archive(large),
    "pull": with_archive(pull),
    "push": with_archive(push),
    "migrate": migrating.migrating,
    storage_stores.INTO_BUCKET: storage_stores.into_bucket,
    storage_frames.FRAMES: storage_frames.from_bucket,
    storage_stores.ENCRYPTION: storage_stores.encrypted,
    storage_verification.VERIFICATION: storage_verification.from_files,
    storage_index.INDEX: storage_index.bytes_of_instance,
    scaling.STORING: scaling.storing,
    scaling.SEARCHING: scaling.searching,
}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--short", is_flag=True, help="Smaller numbers, for a first look.")
def main(parts: tuple[str, ...], short: bool) -> None:
    """Measure PARTS (all of them by default); plots go to docs, of a short run to bench-results."""
    rows: list[Row] = []
    failed = []
    for name in parts or tuple(PARTS):
        folder = Path(tempfile.mkdtemp(prefix="vna-bench-"))
        folder.chmod(0o755)
        try:
            for row in PARTS[name](folder, short):
                rows.append(replace(row, part=name))
                click.echo(row)
        except (OSError, RuntimeError, AssertionError) as exc:
            failed.append(name)
            click.echo(f"{name}: {type(exc).__name__}: {exc}", err=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    path = keep(rows, RESULTS, is_whole=not short and not failed)
    click.echo(f"kept in {path}")
    kept = orjson.loads(path.read_bytes())["rows"]
    for drawn in plots.draw_all(kept, RESULTS if short else DOCUMENTS):
        click.echo(f"drawn in {drawn}")
    if failed:
        raise click.ClickException(f"could not be measured to the end: {', '.join(failed)}")


if __name__ == "__main__":
    sys.exit(main())
