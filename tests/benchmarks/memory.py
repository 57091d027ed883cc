"""How much memory the workers of the DICOM door take while large objects arrive."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator

from tests import samples
from tests.benchmarks.raw_client import (
    Template,
    associate_request,
    file_meta_length,
    numbered_uid,
    open_association,
    read_pdu,
    release,
)
from tests.benchmarks.report import Row
from tests.e2e.process import ArchiveProcess
from tests.peers import usage

OBJECT_BYTES = 2**30
PARALLEL = 4
_PIECE = 131072 - 6
_SAMPLE_SECONDS = 0.05


def peak_of_workers(archive: ArchiveProcess) -> int:
    """The highest resident size, in bytes, that any process of the archive has had."""
    assert archive.process is not None
    return max(map(usage.peak_resident_bytes, usage.tree([archive.process.pid])))


def send_large(address: tuple[str, int], number: int) -> bool:
    """C-STORE one object of 1 GiB that is never whole in this process either; True for Success."""
    file = samples.ct(sop_instance_uid=numbered_uid(number), rows=4, columns=4)
    dataset = file[file_meta_length(file) :]
    header = dataset[: dataset.rindex(b"\xe0\x7f\x10\x00OW\0\0")]
    header += b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<I", OBJECT_BYTES)
    connection, max_pdu = open_association(
        address, associate_request(samples.CT_IMAGE, samples.EXPLICIT)
    )
    start = Template(header, samples.CT_IMAGE, max_pdu, (numbered_uid(number),), is_last=False)
    connection.sendall(start.copy().data)
    piece = bytes(min(_PIECE, (max_pdu or _PIECE + 6) - 6))
    full = struct.pack(">BxIIBB", 4, len(piece) + 6, len(piece) + 2, 1, 0) + piece
    rounds, rest = divmod(OBJECT_BYTES, len(piece))
    for _ in range(rounds):
        connection.sendall(full)
    connection.sendall(struct.pack(">BxIIBB", 4, rest + 6, rest + 2, 1, 2) + bytes(rest))
    _, body = read_pdu(connection)
    release(connection)
    return b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00" in body


def receiving(archive: ArchiveProcess) -> Iterator[Row]:
    """Four objects of 1 GiB at once."""
    address, succeeded = ("127.0.0.1", archive.dicom_port), []
    threads = [
        threading.Thread(target=lambda n=n: succeeded.append(send_large(address, n)))
        for n in range(900_000_001, 900_000_001 + PARALLEL)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if succeeded != [True] * PARALLEL:
        raise RuntimeError(f"not every large object was stored: {succeeded}")
    peak = peak_of_workers(archive) / 2**20
    yield Row("peak memory of a process, 4 x 1 GiB received", peak, "MiB", goal="< 300 MiB")
