"""The archive itself as one of the peers: `vna serve` with its embedded Postgres."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.process import ArchiveProcess, running_archive
from tests.peers.peer import Modalities, Peer
from tests.peers.postgres import durability, postmaster_pid
from vna import __version__
from vna.index.embedded import EmbeddedPostgres


@contextmanager
def running_archive_peer(
    folder: Path,
    modalities: Modalities | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Peer]:
    """`vna serve`, both doors, with its data below `folder`, stopped after the block.

    `environment` sets further VNA__SECTION__KEY variables; everything else is as it comes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    variables = {"VNA__LOG__LEVEL": "warning", **_destinations(modalities or {})}
    with running_archive(folder / "data", {**variables, **(environment or {})}) as archive:
        with EmbeddedPostgres.start(archive.data_dir) as server:
            index = durability(server.url)
        yield _peer(archive, index, environment or {})


def _destinations(modalities: Modalities) -> dict[str, str]:
    variables = {}
    for name, (host, port) in modalities.items():
        variables[f"VNA__DIMSE__DESTINATIONS__{name}__HOST"] = host
        variables[f"VNA__DIMSE__DESTINATIONS__{name}__PORT"] = str(port)
    return variables


def _peer(archive: ArchiveProcess, index: str, environment: Mapping[str, str]) -> Peer:
    assert archive.process is not None
    pids = [archive.process.pid, postmaster_pid(archive.data_dir)]
    changed = [f"{name}={value}" for name, value in environment.items()]
    return Peer(
        name="archive",
        version=__version__,
        ae_title="VNA",
        dicom_port=archive.dicom_port,
        http_port=archive.http_port,
        roots=lambda: pids,
        log=archive.log_path,
        fills=4,
        settings=(f"index in {index}, embedded", "objects on disk, synced", *changed),
    )
