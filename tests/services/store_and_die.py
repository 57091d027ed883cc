"""A process that stores one instance after another and dies by SIGKILL at a chosen step of the last one.

Arguments: database URL, directory, place of the objects, road, step, number of instances that are stored before.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from storage_backends import filesystem
from storage_backends.filesystem import FilesystemBackend
from storage_backends.s3 import S3Backend
from storage_backends.s3.client import Client
from tests import samples
from tests.services.conftest import make_bench
from tests.services.dying import Patch, die_at
from tests.services.places import FILESYSTEM, PART_BYTES, SEALED, backend_at
from vna.index import prepared
from vna.index.database import Database
from vna.spool import SpoolWriter

IN_PARTS = "s3, in parts"
_INDEX: dict[str, tuple[Patch, bool]] = {
    "the statement is on its way": ((prepared, "_flush"), True),
    "the commit is asked for": ((prepared, "_result_before_sync"), False),
    "the commit is confirmed": ((prepared, "_result_before_sync"), True),
}
_FILESYSTEM: dict[str, tuple[Patch, bool]] = {
    "the file is written": ((filesystem, "_fill"), True),
    "the file is synced and has no name": ((filesystem, "rename_without_replacing"), False),
    "the file has its name": ((filesystem, "rename_without_replacing"), True),
    "the object is kept": ((FilesystemBackend, "put"), True),
    **_INDEX,
}
_S3: dict[str, tuple[Patch, bool]] = {
    "the request is about to be made": ((Client, "put"), False),
    "the request was answered": ((Client, "put"), True),
    "the object is kept": ((S3Backend, "put"), True),
    **_INDEX,
}
_IN_PARTS: dict[str, tuple[Patch, bool]] = {
    "the upload has begun": ((Client, "begin"), True),
    "a part is there": ((Client, "put_part"), True),
    "all parts are there": ((Client, "finish"), False),
    "the parts are one object": ((Client, "finish"), True),
    "the object was asked for": ((S3Backend, "_confirmed"), True),
    "the statement is on its way, the object kept": ((prepared, "_flush"), True),
    **{step: at for step, at in _INDEX.items() if "commit" in step},
}
_SEALED: dict[str, tuple[Patch, bool]] = {
    "the file of the spool is sealed": ((SpoolWriter, "finish"), True),
    "its header is written": ((FilesystemBackend, "adopt"), False),
    "the sealed file has its name": ((filesystem, "rename_without_replacing"), True),
}
STEPS = {FILESYSTEM: _FILESYSTEM, SEALED: _SEALED, "s3": _S3, IN_PARTS: _IN_PARTS}
"""By the road that an object goes: what has just happened -> the function at which the process dies, and whether
after it or before.
"""


def instance(number: int, *, is_large: bool = False) -> bytes:
    """The same bytes in every process; a large one goes to a bucket in parts."""
    rows = PART_BYTES // 2048 + 512 if is_large else 4
    uids = {"study_instance_uid": "1.2", "series_instance_uid": "1.2.0"}
    return samples.ct(sop_instance_uid=f"1.2.{number}", rows=rows, columns=1024, **uids)


def main(url: str, directory: Path, words: Sequence[str], count: int) -> None:
    """Stores, says what was acknowledged, and dies. `words`: place, road, step."""
    place, road, step = words
    bench = make_bench(
        Database(url, pool_size=2), backend_at(place, directory), directory / "spool"
    )
    for number in range(1, count + 2):
        is_last = number == count + 1
        if is_last:
            patch, is_after = STEPS[road][step]
            die_at(patch, is_after=is_after)
        data = instance(number, is_large=is_last and road in {SEALED, IN_PARTS})
        os.write(1, f"{bench.keep(data).uids.sop_instance_uid}\n".encode())
