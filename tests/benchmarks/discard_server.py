"""The DICOM listener as it is, before an archive that throws everything away: the floor of receiving."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

from vna.config import Config
from vna.model.identifiers import InstanceUids, Origin
from vna.model.instances import Outcome
from vna.scp.serve import DimseApplication
from vna.services.store import Expected, StoreOutcome


class DiscardingWriter:
    """Counts bytes."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.size += len(data)

    def finish(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


class DiscardingSpool:
    """Stands where the spool stands."""

    open: Callable[[], DiscardingWriter] = staticmethod(DiscardingWriter)


class DiscardingStore:
    """Answers Success at once."""

    spool = DiscardingSpool()

    def store(self, spooled: DiscardingWriter, _origin: Origin, expected: Expected) -> StoreOutcome:
        uids = InstanceUids("", "", expected.sop_instance_uid)
        return StoreOutcome(Outcome.STORED, uids, expected.sop_class_uid, "", spooled.size)


@dataclass(frozen=True)
class DiscardingArchive:
    """What the door needs, with nothing behind it."""

    store: Any
    query: Any = None
    retrieve: Any = None
    pixels: Any = None
    commitments: Any = None
    asked_commitments: Any = None
    audit: Any = None

    def close(self) -> None:
        pass


def main() -> None:
    """Serve on the loopback port given on the command line until SIGTERM."""
    config = Config()
    config = replace(config, dimse=replace(config.dimse, port=int(sys.argv[1])))
    DimseApplication(config, lambda _config: DiscardingArchive(DiscardingStore())).run()


if __name__ == "__main__":
    main()
