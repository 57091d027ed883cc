"""A process that stores one instance after another and dies by SIGKILL at a chosen step of the last one.

Arguments: database URL, directory, step, number of instances that are stored before.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from storage_backends import filesystem
from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.services.conftest import make_bench
from tests.services.dying import Patch, die_at
from vna.index import prepared
from vna.index.database import Database

STEPS: dict[str, tuple[Patch, bool]] = {
    "the statement is on its way": ((prepared, "_flush"), True),
    "the file is written": ((filesystem, "_fill"), True),
    "the file is synced and has no name": ((filesystem, "rename_without_replacing"), False),
    "the file has its name": ((filesystem, "rename_without_replacing"), True),
    "the object is kept": ((FilesystemBackend, "put"), True),
    "the commit is asked for": ((prepared, "_result_before_sync"), False),
    "the commit is confirmed": ((prepared, "_result_before_sync"), True),
}
"""What has just happened -> the function at which the process dies, and whether after it or before."""


def instance(number: int) -> bytes:
    """The same bytes in every process."""
    return samples.small(
        SOPInstanceUID=f"1.2.{number}", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.0"
    )


def main(url: str, directory: Path, step: str, count: int) -> None:
    """Stores, says what was acknowledged, and dies."""
    bench = make_bench(
        Database(url, pool_size=2), FilesystemBackend(directory / "store"), directory / "spool"
    )
    for number in range(count + 1):
        if number == count:
            place, is_after = STEPS[step]
            die_at(place, is_after=is_after)
        os.write(1, f"{bench.keep(instance(number + 1)).uids.sop_instance_uid}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
