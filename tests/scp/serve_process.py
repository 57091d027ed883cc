"""Run the gunicorn application of the DICOM door for test_worker: PORT WORKERS DATABASE_URL DIRECTORY [LIMIT]."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from storage_backends.filesystem import FilesystemBackend
from tests.scp.site import make_door
from vna.audit import AuditLog
from vna.config import ArchiveConfig, Config, DimseConfig
from vna.index.database import Database
from vna.scp.exchange import Door
from vna.scp.serve import DimseApplication
from vna.services.asked_commitment import AskedCommitmentService
from vna.services.commitment import CommitmentService
from vna.services.pixels import PixelService
from vna.services.query import QueryService
from vna.services.retrieve import RetrieveService
from vna.services.store import StoreService


@dataclass(frozen=True)
class SmallArchive:
    """What bootstrap builds, as far as the door needs it."""

    store: StoreService
    query: QueryService
    retrieve: RetrieveService
    pixels: PixelService
    commitments: CommitmentService
    asked_commitments: AskedCommitmentService
    audit: AuditLog
    database: Database

    def close(self) -> None:
        """Tell the test that everything was closed in order."""
        self.database.close()
        logging.getLogger("tests").warning("archive closed pid=%s", os.getpid())


def main() -> None:
    """Serve until told to stop."""
    logging.basicConfig(level="INFO", stream=sys.stderr, format="%(message)s pid=%(process)s")
    port, workers, url, directory, *limit = sys.argv[1:]
    most = int(limit[0]) if limit else DimseConfig().max_associations
    config = Config(
        archive=ArchiveConfig(data_dir=Path(directory)),
        dimse=DimseConfig(
            port=int(port), workers=int(workers), drain_timeout=20, max_associations=most
        ),
    )

    def build(config: Config) -> SmallArchive:
        database = Database(url, pool_size=4)
        backend = FilesystemBackend(config.archive.data_dir / "store")
        door: Door = make_door(database, backend, config.archive.data_dir / "spool", config.dimse)
        return SmallArchive(
            store=door.store,
            query=door.query,
            retrieve=door.retrieve,
            pixels=door.pixels,
            commitments=door.commitments,
            asked_commitments=door.asked,
            audit=door.audit,
            database=database,
        )

    DimseApplication(config, build).run()


if __name__ == "__main__":
    main()
