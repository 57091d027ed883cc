"""vna db corrections: in a file of their own, for an index that has to be made anew."""

from __future__ import annotations

import os
from pathlib import Path

import click

from vna.cli_common import common, load


@click.group()
def corrections() -> None:
    """What a migration's rules have changed: the one thing about instances that no stored object tells."""


@corrections.command("export")
@common
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export_corrections(file: Path, **options: object) -> None:
    """Write all corrections, and of which objects they are, to FILE; it takes the place of an older one at its end."""
    from vna.bootstrap_database import open_database
    from vna.index.corrections import CorrectionIndex
    from vna.services.correction_backup import write_corrections

    config, _ = load(options)
    part = file.with_name(f"{file.name}.part")
    with open_database(config) as database, part.open("wb") as target:
        count = write_corrections(CorrectionIndex(database), target)
        target.flush()
        os.fsync(target.fileno())
    part.replace(file)
    click.echo(f"{count} corrected objects")


@corrections.command("import")
@common
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_corrections(file: Path, **options: object) -> None:
    """Take in FILE, before `vna db rebuild`: what that registers is corrected as it was. The rest stays as it is."""
    from vna.bootstrap import build
    from vna.services.correction_backup import read_corrections

    config, _ = load(options)
    with build(config) as archive, file.open("rb") as lines:
        count = read_corrections(archive.index.corrections, lines, str(file))
    click.echo(f"{count} corrected objects")
