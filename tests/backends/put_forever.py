"""A process that puts and adopts objects from several threads and reports each acknowledged key."""

from __future__ import annotations

import os
import random
import secrets
import sys
import threading
from pathlib import Path
from typing import cast

from storage_backends.base import SupportsAdopt
from storage_backends.digests import digest_of
from storage_backends.filesystem import FilesystemBackend
from storage_backends.testing import put


def work(backend: FilesystemBackend, spool: Path, seed: int) -> None:
    """Never ends; a line "key digest" goes out after each put."""
    chance = random.Random(seed)
    while True:
        data = secrets.token_bytes(chance.choice((100, 5_000, 524_288, 3_000_000)))
        key = f"{chance.randrange(4)}/{chance.randrange(40)}/{secrets.token_hex(8)}.dcm"
        if chance.random() < 0.5:
            put(backend, key, data)
        else:
            path = spool / secrets.token_hex(8)
            path.write_bytes(data)
            adopter = cast("SupportsAdopt", backend)
            adopter.adopt(key, path, size=len(data), digest=digest_of(data))
        os.write(1, f"{key} {digest_of(data).value}\n".encode())


if __name__ == "__main__":
    storage, files = FilesystemBackend(Path(sys.argv[1])), Path(sys.argv[2])
    for number in range(4):
        threading.Thread(target=work, args=(storage, files, number)).start()
