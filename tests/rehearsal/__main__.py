"""`make rehearsal`: three archives and a folder are migrated on this machine, and every promise is checked."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from tests.e2e.process import running_archive
from tests.peers import dcmqrscp, namespace, orthanc
from tests.rehearsal.book import Book
from tests.rehearsal.commands import Target
from tests.rehearsal.contents import FULL, SHORT, Scale
from tests.rehearsal.run import KINDS, Stage, rehearse

WORKERS = 2
"""Processes of `vna migrate work` beside the workers of the archive."""


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(KINDS)))
@click.option("--short", is_flag=True, help="A few instances of each kind.")
@click.option("--keep", is_flag=True, help="Leave everything in its folder.")
def main(names: tuple[str, ...], short: bool, keep: bool) -> None:
    """Rehearse the migration of the silos NAMES, all of them by default, in a network of their own."""
    missing = sorted({orthanc.missing(), dcmqrscp.missing()} - {""})
    if missing:
        raise click.ClickException(f"to be installed, as root: apt-get install {' '.join(missing)}")
    try:
        namespace.enter()  # Orthanc and others listen on every address
    except namespace.NoNamespaces as exc:
        raise click.ClickException(f"no network of its own: {exc}; run it as root") from exc
    folder = Path(tempfile.mkdtemp(prefix="vna-rehearsal-"))
    folder.chmod(0o755)
    began = time.monotonic()

    def tell(text: str) -> None:
        click.echo(f"{time.monotonic() - began:6.1f} s  {text}")

    book, failed = Book(), ""
    try:
        _rehearse(folder, names or tuple(KINDS), tell, SHORT if short else FULL, book)
    except (RuntimeError, AssertionError, OSError) as exc:
        failed = f"it could not go on: {exc}"
    finally:
        if keep:
            click.echo(f"kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo("\n".join(book.table()))
    click.echo(
        f"{len(book.lines)} checks, {len(book.wrong)} of them wrong; {time.monotonic() - began:.0f} s"
    )
    if failed:
        raise click.ClickException(failed)
    sys.exit(1 if book.wrong else 0)


def _rehearse(
    folder: Path, names: Sequence[str], tell: Callable[[str], None], scale: Scale, book: Book
) -> None:
    target = Target(folder / "target", {"VNA__LOG__LEVEL": "warning"})
    with running_archive(target.data_dir, target.environment) as running:
        tell("the archive is running")
        stage = Stage(folder, target, target.by_process, WORKERS, tell, running.root)
        rehearse(stage, names, scale, book)


if __name__ == "__main__":
    main()
