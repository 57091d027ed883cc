"""The `vna` command: every verb of the archive, its options and its exit codes."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path
from typing import Any

import click
import orjson

from vna import __version__
from vna.cli_common import common as _common
from vna.cli_common import load as _load
from vna.cli_corrections import corrections
from vna.cli_migrate import migrate
from vna.cli_storage import storage
from vna.cli_trash import trash
from vna.cli_verify import rebuild, verify
from vna.config import Config
from vna.config_storage import secret_options
from vna.errors import ConfigError, VnaError

EXIT_FAILURES = 1
EXIT_USAGE = 2


class VnaGroup(click.Group):
    """Turns the archive's errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; 2 for wrong configuration, 1 for what could not be done."""
        try:
            return super().invoke(ctx)
        except VnaError as exc:
            click.echo(f"vna: {exc}", err=True)
            ctx.exit(EXIT_USAGE if isinstance(exc, ConfigError) else EXIT_FAILURES)


@click.group(cls=VnaGroup)
@click.version_option(__version__)
def main() -> None:
    """A vendor-neutral archive for medical images."""


@main.command()
@_common
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--dicom-port", type=int, help="DICOM listener.  [default: 11112]")
@click.option("--http-port", type=int, help="DICOMweb gateway.  [default: 8080]")
@click.option("--ae-title", help="The archive's AE title.  [default: VNA]")
@click.option(
    "--role", type=click.Choice(["all", "dimse", "web", "worker"]), default="all", show_default=True
)
def serve(role: str, **options: object) -> None:
    """Run the archive until it is told to stop (SIGTERM drains)."""
    config, variables = _load(options)
    if role == "worker":  # small as long as it is idle: nothing of the doors is loaded
        from vna.work import run_worker

        sys.exit(run_worker(config))
    from vna.serve import serve as run

    sys.exit(run(config, role, variables))


main.add_command(storage)
main.add_command(trash)
main.add_command(migrate)
main.add_command(verify)


@main.command("import")
@_common
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=None,
    help="[default: four per core, at most 16]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")
def import_(paths: tuple[Path, ...], workers: int | None, as_json: bool, **options: object) -> None:
    """Store files, folders, zip archives and DICOMDIRs; running it again stores nothing twice."""
    from vna.bootstrap import build
    from vna.migration.command import import_paths

    config, _ = _load(options)
    with build(config) as archive:
        code = import_paths(archive.store, paths, workers=workers, as_json=as_json)
    sys.exit(code)


@main.command()
@_common
def demo(**options: object) -> None:
    """Store the images that come with pydicom and say what to try next."""
    from vna.demo import run_demo

    config, _ = _load(options)
    sys.exit(run_demo(config))


@main.group()
def db() -> None:
    """The index's schema."""


db.add_command(rebuild)
db.add_command(corrections)


@db.command()
@_common
@click.option(
    "--post", is_flag=True, help="Also what older versions can't live with: all nodes are upgraded."
)
def upgrade(post: bool, **options: object) -> None:
    """Bring the schema up to this version; safe while other nodes start or the version before serves."""
    from vna.bootstrap_database import open_database
    from vna.index.upgrade import status
    from vna.index.upgrade import upgrade as run

    config, _ = _load(options)
    with open_database(config) as database:
        applied = run(database, config.database.partitions, with_post=post)
        waiting = status(database).pending
    click.echo("\n".join(applied) if applied or waiting else "the schema is up to date")
    if waiting:
        click.echo(f"not yet, since older versions may serve: {', '.join(waiting)}")
    if waiting and post:
        raise click.ClickException(
            "an older version of the archive is connected to the database: upgrade or stop it, then run this again"
        )


@main.group("config")
def config_group() -> None:
    """The configuration."""


@config_group.command()
@_common
def show(**options: object) -> None:
    """Print the configuration in force, secrets hidden."""
    config, _ = _load(options)
    tree = dataclasses.asdict(config)
    tree["database"]["url"] = "***" if config.database.url else ""
    tree["archive"]["pseudonym_secret"] = "***" if config.archive.pseudonym_secret else ""
    tree["web"]["users"] = dict.fromkeys(config.web.users, "***")
    tree["dimse"]["identity"]["users"] = dict.fromkeys(config.dimse.identity.users, "***")
    for table in (tree["storage"], *tree["storage"]["backends"].values()):
        table["options"] |= dict.fromkeys(secret_options(table["options"]), "***")
    click.echo(orjson.dumps(tree, default=str, option=orjson.OPT_INDENT_2).decode())


@main.command()
@_common
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    show_default=True,
)
@click.option("--defaults", is_flag=True, help="Whatever is configured: as without configuration.")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder to write to."
)
def conformance(form: str, defaults: bool, output: Path | None, **options: object) -> None:
    """Print the DICOM conformance statement for the configuration in force, then its tables."""
    from vna.conformance.statement import conformance as conformance_of

    config = Config() if defaults else _load(options)[0]
    # By name, as the gateway is started: what is above the archive is not imported by it.
    web = importlib.import_module("dicomweb.conformance").tables()
    stated = conformance_of(config, web)
    documents = stated.documents() if form == "markdown" else {"conformance.json": stated.json()}
    if output is None:
        click.echo("\n".join(documents.values()), nl=False)
        return
    output.mkdir(parents=True, exist_ok=True)
    for name, text in documents.items():
        (output / name).write_text(text, encoding="utf-8")


@main.command()
@_common
@click.option("--retry", is_flag=True, help="Report all of them again now.")
def commitments(retry: bool, **options: object) -> None:
    """List storage commitment requests that are not reported to who asked for them."""
    from vna.bootstrap_database import open_database
    from vna.index.commitments import CommitmentIndex, listed
    from vna.index.jobs import JobQueue

    config, _ = _load(options)
    with open_database(config) as database:
        index = CommitmentIndex(database, JobQueue(database))
        lines = index.open()
        if retry:
            tried = index.retry([line.commitment_id for line in lines])
            click.echo(
                f"{len(tried)} of {len(lines)} are tried again; the others are being worked on"
            )
            return
    click.echo("\n".join(map(listed, lines)) if lines else "every request has been reported")


@main.command()
@_common
def doctor(**options: object) -> None:
    """Check configuration, database and storage, and count what is kept."""
    from vna.bootstrap import build

    config, _ = _load(options)
    with build(config) as archive:
        health = archive.health.check()
        if archive.objects.has_several:
            backends = archive.health.check_backends()
            health |= {f"backend {name}": state for name, state in backends.items()}
        counts = dataclasses.asdict(archive.index.counts())
        counts |= {f"jobs {row.state} {row.name}": row.count for row in archive.jobs.counts()}
        counts["commitments not reported"] = len(archive.commitments.open())
        counts["in the trash"] = sum(entry.instances for entry in archive.trash.entries())
        drains = [found for found in archive.draining.index.drains() if found.ended_at is None]
        counts["backends being drained"] = len(drains)
        waiting = {f"copies due in {row.backend}": row for row in archive.replication.index.due()}
    click.echo("\n".join(f"{name:10} {state}" for name, state in health.items()))
    click.echo("\n".join(f"{name:10} {count}" for name, count in (counts | waiting).items()))
    sys.exit(0 if set(health.values()) == {"ok"} else EXIT_FAILURES)


@main.command("hash-password")
@click.password_option()
def hash_password(password: str) -> None:
    """Print the hash of a password, for web.users and dimse.identity.users."""
    from werkzeug.security import generate_password_hash

    click.echo(generate_password_hash(password))


if __name__ == "__main__":
    main()
