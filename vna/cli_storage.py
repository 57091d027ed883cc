"""The commands about storage backends: what is where, and emptying one."""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import TYPE_CHECKING

import click
import orjson

from vna.cli_common import common, load, operator, stop_on_signals
from vna.model.draining import GRACE, Amount, Drain

if TYPE_CHECKING:
    import threading

    from vna.bootstrap import Archive

_EVERY = 60.0
_GIB = 2**30


@click.group()
def storage() -> None:
    """The backends that keep the objects."""


@storage.command("list")
@common
@click.option("--json", "as_json", is_flag=True, help="One JSON document for each backend.")
def list_(as_json: bool, **options: object) -> None:
    """List the backends, and what each holds; of large archives that is an estimate."""
    from vna.bootstrap import build
    from vna.config_storage import all_backends

    config, _ = load(options)
    configured = all_backends(config.storage)
    with build(config) as archive:
        amounts = {amount.backend: amount for amount in archive.draining.index.amounts()}
    for name in sorted({*configured, *amounts}):
        backend = configured.get(name)
        amount = amounts.get(name, Amount(name, 0, 0, 0, 0, 0))
        known = {
            "driver": "" if backend is None else backend.driver,
            "is_configured": backend is not None,
            "is_draining": backend is not None and backend.drain,
        }
        document = dataclasses.asdict(amount) | known
        click.echo(orjson.dumps(document).decode() if as_json else _listed(amount, known))


@storage.command()
@common
@click.option("--json", "as_json", is_flag=True, help="One JSON document for each drain.")
def status(as_json: bool, **options: object) -> None:
    """Tell how far drains are, and what waits to be copied."""
    from vna.bootstrap import build

    config, _ = load(options)
    with build(config) as archive:
        for drain in archive.draining.index.drains():
            _tell(archive, drain, as_json)
        for amount in archive.draining.index.amounts():
            if amount.due and not as_json:
                click.echo(f"{amount.backend}: {amount.due} copies are to be written or checked")


@storage.command()
@common
@click.argument("backend")
@click.option(
    "--to", "target", default="", help="Move everything to this backend, whatever the rules say."
)
@click.option("--threads", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option("--rate", type=click.IntRange(0), default=0, help="MiB a second at most; 0: all.")
@click.option(
    "--grace",
    type=click.IntRange(0, 604_800),
    default=GRACE,
    show_default=True,
    help="Seconds for which a moved object stays where it was, for those who are reading it.",
)
@click.option("--background", is_flag=True, help="Leave the work to the worker.")
@click.option("--cancel", is_flag=True, help="Move no more; what was moved stays moved.")
@click.option("--json", "as_json", is_flag=True, help="A JSON document at the end.")
def drain(backend: str, target: str, **options: object) -> None:
    """Move every object of BACKEND elsewhere, while the archive works.

    Killed or interrupted, it is gone on with by the worker, or when it is started again. Exit code 1: something could
    not be moved (it is listed), or the work was interrupted.
    """
    from vna.bootstrap import build

    config, _ = load(options)
    with build(config) as archive:
        if options["cancel"]:
            was_open = archive.draining.cancel(backend, operator())
            click.echo(f"{backend} is not being drained" + (" any more" if was_open else ""))
            return
        grace = int(str(options["grace"]))
        begun = archive.draining.begin(backend, target, operator(), grace)
        if options["background"]:
            _tell(archive, begun, bool(options["as_json"]))
            return
        ended = _work(archive, backend, options)
        _tell(archive, ended, bool(options["as_json"]))
    sys.exit(0 if ended.ended_at else 1)


def _work(archive: Archive, backend: str, options: dict[str, object]) -> Drain:
    """Work on a drain until it ends, or watch who does."""
    from vna.services.draining import HowToDrain, Watching

    how = HowToDrain(int(str(options["rate"])) * 2**20, int(str(options["threads"])), waits=True)
    progress = _Progress()
    with stop_on_signals() as stopping:
        watching = Watching(
            lambda place, reason: click.echo(f"not moved: {place[0]}: {reason}", err=True),
            progress.tell,
            stopping.is_set,
        )
        ended = None
        while ended is None:
            ended = archive.draining.work(backend, operator(), how, watching)
            if ended is None:
                ended = _watched(archive, backend, stopping, progress)
    progress.end()
    if stopping.is_set():
        click.echo("vna: stopped; the worker goes on, or the same command does", err=True)
    return ended


def _watched(
    archive: Archive, backend: str, stopping: threading.Event, progress: _Progress
) -> Drain | None:
    """The drain that another process works on, once it has ended; None: that one left it."""
    click.echo(f"another process drains {backend}; this one watches", err=True)
    while True:
        drain = archive.draining.find(backend)
        if drain is None:
            raise click.ClickException(f"the drain of {backend} was cancelled")
        progress.tell(drain)
        if drain.ended_at or stopping.wait(2.0):
            return drain
        if not drain.is_held:
            return None


class _Progress:
    """Where a drain is: often on a terminal, a line a minute elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._told_at = time.monotonic()

    def tell(self, drain: Drain) -> None:
        """Say it, unless that was done just now."""
        now = time.monotonic()
        if now - self._told_at < (0.5 if self._is_terminal else _EVERY):
            return
        self._told_at = now
        text = _done(drain)
        click.echo(
            f"\r{text}   " if self._is_terminal else text, err=True, nl=not self._is_terminal
        )

    def end(self) -> None:
        """Nothing more comes."""
        if self._is_terminal:
            click.echo("", err=True)


def _tell(archive: Archive, drain: Drain, as_json: bool) -> None:
    left = archive.draining.index.left(drain.backend)
    if as_json:
        document = {**dataclasses.asdict(drain), "left": dataclasses.asdict(left)}
        click.echo(orjson.dumps(document).decode())
        return
    where = f"to {drain.target}" if drain.target else "by the rules"
    state = f"ended {drain.ended_at:%Y-%m-%d %H:%M}" if drain.ended_at else "under way"
    if not drain.ended_at and not drain.is_held:
        state = "waits for the worker"
    click.echo(f"{drain.backend} {where}: {state}; {_done(drain)}")
    if not drain.ended_at and left.moved:
        click.echo(
            f"  {left.moved} moved objects stay for {drain.grace} s, for those who read them"
        )
    if left.damaged:
        click.echo(
            f"  {left.damaged} damaged objects stay: vna verify --backend {drain.backend} --repair"
        )
    if drain.last_error:
        click.echo(f"  {drain.last_error}")


def _done(drain: Drain) -> str:
    return (
        f"{drain.moved} moved ({drain.size / _GIB:.2f} GiB), {drain.dropped} were kept elsewhere, "
        f"{drain.failed} failed"
    )


def _listed(amount: Amount, known: dict[str, object]) -> str:
    notes = [
        str(known["driver"]) if known["is_configured"] else "NOT CONFIGURED",
        "is drained: gets no new objects" if known["is_draining"] else "",
        f"{amount.due} to be copied or checked" if amount.due else "",
    ]
    return (
        f"{amount.backend}: {amount.objects} objects, {amount.size / _GIB:.2f} GiB; "
        f"{amount.copies} copies, {amount.copies_size / _GIB:.2f} GiB "
        f"({', '.join(note for note in notes if note)})"
    )
