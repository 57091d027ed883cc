"""The commands that show what a migration brought: its certificate, and its report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click
import orjson

from vna.cli_common import common, load, operator
from vna.cli_migrate_common import campaigns, json_option
from vna.cli_migrate_source import Progress
from vna.errors import ConfigError

_OWN_KEY = "certificate.key"


@click.command()
@common
@click.argument("name", required=False, default="")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="PEM file of an Ed25519 key to sign with.  [default: one of the archive's own]",
)
@click.option(
    "--public-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --check: PEM file of the key that must have signed it. Else the file to write the public key to.",
)
@click.option(
    "--check",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="A certificate to check, '-' for what comes in; the archive is not needed for it.",
)
@json_option
def certificate(
    name: str,
    output: Path | None,
    key: Path | None,
    public_key: Path | None,
    check: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Write the ledger of a campaign as a chained and signed file, or check such a file.

    A check ends with exit code 0 when the file is as it was signed, with 1 when it is not.
    """
    if check is not None:
        if name or output or key:
            raise ConfigError("--check takes a certificate and --public-key, nothing else")
        _check(check, public_key, as_json)
        return
    if not name or output is None:
        raise ConfigError("name a campaign and -o FILE; or a certificate with --check FILE")
    _write(name, output, (key, public_key), options, as_json=as_json)


@click.command()
@common
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="A folder for all forms; or a file whose ending names the form.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "json", "csv"]),
    default=None,
    help="Only this form. As a single file csv has the exceptions alone.",
)
@json_option
def report(
    names: tuple[str, ...],
    output: Path,
    form: str | None,
    as_json: bool,
    **options: object,
) -> None:
    """Tell what campaigns have brought, and what they have not, in a page for people and in tables."""
    from vna.index.campaigns import CampaignIndex
    from vna.index.snapshot import snapshot
    from vna.migration.report.facts import facts_of
    from vna.migration.report.writing import write_report

    with campaigns(options) as (database, _), snapshot(database) as moment:
        index = CampaignIndex(moment)
        chosen = [index.find(name) for name in dict.fromkeys(names)]
        found = [facts_of(moment, campaign) for campaign in chosen]
        files = write_report(found, moment.moment, output, form or "")
    total = sum(one.total.instances for one in found)
    verified = sum(one.total.verified for one in found)
    exceptional = sum(one.exception_count for one in found)
    if as_json:
        document = {"files": list(map(str, files)), "instances": total, "verified": verified}
        click.echo(orjson.dumps(document | {"exceptions": exceptional}))
    else:
        click.echo("\n".join(map(str, files)))
        click.echo(f"{verified} of {total} instances verified, {exceptional} exceptions")


def _write(
    name: str,
    output: Path,
    keys: tuple[Path | None, Path | None],
    options: dict[str, object],
    *,
    as_json: bool,
) -> None:
    from vna.bootstrap_database import prepare_data_dir
    from vna.migration.certificate.certifying import Order, certify
    from vna.migration.certificate.keys import given_key, own_key
    from vna.migration.certificate.text import written_document, written_lines

    config, _ = load(options)
    given, public = keys
    key = given_key(given) if given else own_key(prepare_data_dir(config) / _OWN_KEY)
    order = Order(name, output, key, operator(), public)
    with campaigns(options) as (database, _):
        written = certify(database, order, _progress("written"))
    if as_json:
        click.echo(orjson.dumps(written_document(name, output, written)))
    else:
        click.echo("\n".join(written_lines(output, written)))


def _check(path: Path, public_key: Path | None, as_json: bool) -> None:
    from vna.migration.certificate.chain import NotProven
    from vna.migration.certificate.checking import check_certificate
    from vna.migration.certificate.keys import public_key_of
    from vna.migration.certificate.text import checked_document, checked_lines, refused_document

    expected = public_key_of(public_key) if public_key else None
    try:
        with sys.stdin.buffer if str(path) == "-" else path.open("rb") as file:
            found = check_certificate(file, expected, _progress("checked"))
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}") from exc
    except NotProven as exc:
        refused = orjson.dumps(refused_document(path, exc))
        click.echo(refused if as_json else f"{path}: NOT PROVEN. {exc}")
        sys.exit(1)
    if as_json:
        click.echo(orjson.dumps(checked_document(path, found)))
    else:
        click.echo("\n".join(checked_lines(path, found)))


def _progress(done: str) -> Callable[[int], None]:
    progress = Progress()
    return lambda lines: progress(f"{lines} lines {done} so far")
