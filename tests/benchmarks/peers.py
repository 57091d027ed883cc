"""`make bench-peers`: Orthanc, dcmqrscp and the archive do the same work in the same run, one after the other.

All servers and the client live in one network namespace. Each row is measured in rounds, every archive once a round;
the ratio of a row is the median of the ratios of its rounds. A row that fails for one archive leaves the others.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from tests.benchmarks import raw_sink
from tests.benchmarks.comparison import (
    ARCHIVE,
    OTHER,
    PEERS,
    YARDSTICK,
    Comparison,
    cells,
    markdown,
)
from tests.benchmarks.peer_fills import affordable_studies
from tests.benchmarks.peer_report import Circumstances, keep
from tests.benchmarks.peer_rows import tasks
from tests.benchmarks.peer_run import Run
from tests.benchmarks.peer_tasks import SHORT, WHOLE, Task, client_rates
from tests.e2e.process import free_port
from tests.peers import dcmqrscp, namespace, orthanc
from tests.peers.archive import running_archive_peer
from tests.peers.dcmqrscp import running_dcmqrscp
from tests.peers.orthanc import OrthancSettings, running_orthanc
from tests.peers.peer import LOOPBACK, Modalities, Peer

Address = tuple[str, int]
RESULTS = Path("bench-results")
MINUTES, SHORT_MINUTES = 38.0, 9.0
FILLING = 0.3
"""The share of the time in which the index that is searched may be filled; fewer studies where it takes longer."""


def progress(text: str) -> None:
    """A line for whoever waits."""
    click.echo(f"{time.strftime('%H:%M:%S')}  {text}")


@contextlib.contextmanager
def running_peers(
    names: Sequence[str], environment: Sequence[str], *, tuned: bool
) -> Iterator[tuple[list[Peer], Address]]:
    """The archives, each with a folder of its own, and the C-MOVE destination that all of them know.

    `tuned`: the others kinder than as they are packaged.
    """
    folder = Path(tempfile.mkdtemp(prefix="vna-peers-"))
    folder.chmod(0o755)
    sink: Address = (LOOPBACK, free_port())
    modalities: Modalities = {raw_sink.AE_TITLE: sink}
    variables = dict(pair.split("=", 1) for pair in environment)
    orthanc_settings = OrthancSettings(modalities=modalities, tuned=tuned, dicomweb=True)
    starters = {
        YARDSTICK: lambda: running_orthanc(folder / "o", orthanc_settings),
        OTHER: lambda: running_dcmqrscp(folder / "d", modalities, tuned=tuned),
        ARCHIVE: lambda: running_archive_peer(folder / "a", modalities, variables),
    }
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(raw_sink.running_sink(sink[1], folder / "sink.log"))
            yield [stack.enter_context(starters[name]()) for name in names], sink
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def chosen_tasks(names: Sequence[str]) -> list[Task]:
    """The tasks whose name begins with one of `names`, all without names; raises UsageError for a name of nothing."""
    every = tasks()
    unknown = [n for n in names if not any(task.name.startswith(n) for task in every)]
    if unknown:
        known = ", ".join(task.name for task in every)
        raise click.UsageError(f"no row is called {', '.join(unknown)}; there are {known}")
    return [task for task in every if not names or task.name.startswith(tuple(names))]


@click.command()
@click.argument("rows", nargs=-1)
@click.option(
    "--short", is_flag=True, help="Smaller numbers, for a first look; ten minutes at most."
)
@click.option("--studies", type=int, help="Studies in the index that is searched.")
@click.option("--rounds", type=int, help="Rounds of each row.")
@click.option("--minutes", type=float, help="After so many no further row is begun.")
@click.option("--peer", "peers", multiple=True, type=click.Choice(PEERS), help="Only these.")
@click.option(
    "--tuned-peers",
    is_flag=True,
    help="The others with longer PDUs and more threads than as packaged.",
)
@click.option(
    "--set", "environment", multiple=True, help="VNA__SECTION__KEY=value for the archive."
)
def main(
    rows: tuple[str, ...],
    short: bool,
    studies: int | None,
    rounds: int | None,
    minutes: float | None,
    peers: tuple[str, ...],
    tuned_peers: bool,
    environment: tuple[str, ...],
) -> None:
    """Compare the archives in ROWS (all by default), chosen by how their names begin: ct, small, large, find, get …"""
    wanted = chosen_tasks(rows)
    names = [name for name in PEERS if name in (peers or PEERS)]
    check_installed(names)
    if not namespace.is_private():
        this = (sys.executable, "-m", "tests.benchmarks.peers", *sys.argv[1:])
        os.execv(sys.executable, [*namespace.COMMAND, *this])  # noqa: S606 - itself again
    size = SHORT if short else WHOLE
    size = replace(size, rounds=rounds or size.rounds, studies=studies or size.studies)
    seconds = 60 * (minutes or (SHORT_MINUTES if short else MINUTES))
    deadline = time.monotonic() + seconds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers are stopped then, too
    done: list[Comparison] = []
    with running_peers(names, environment, tuned=tuned_peers) as (running, sink):
        for peer in running:
            progress(f"{peer.name} {peer.version}: {'; '.join(peer.settings)}")
        client = client_rates(sink, size)
        progress(f"the client alone, {client}")
        if any(task.needs == "studies" for task in wanted):
            affordable = affordable_studies(running, size, FILLING * seconds)
            size = replace(size, studies=affordable)
            progress(f"{affordable} studies will be searched")
        for row in Run(running, size, deadline, progress).rows(wanted):
            done.append(row)
            progress(" | ".join(cells(row)))
            for name, failure in row.failures.items():
                progress(f"    {name}: {failure}")
        is_whole = not (short or rows or tuned_peers) and names == list(PEERS)
        path = keep(done, Circumstances(running, size, client, is_whole, tuned_peers), RESULTS)
    click.echo(f"\n{markdown(done)}\n\nkept in {path} and {path.with_suffix('.md')}")


def check_installed(names: Sequence[str]) -> None:
    """Raises UsageError naming the packages that are missing."""
    needed = {YARDSTICK: orthanc.missing(), OTHER: dcmqrscp.missing()}
    packages = " ".join(filter(None, (needed.get(name, "") for name in names)))
    if packages:
        raise click.UsageError(f"to be installed as root: apt-get install {packages}")


if __name__ == "__main__":
    sys.exit(main())
