"""Objects of files and streams as what the archive stores: spooled, or a further name for the same file."""

from __future__ import annotations

import errno
import os
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from storage_backends.base import Digest
from storage_backends.digests import BLAKE3
from storage_backends.scratch import ScratchFile
from vna.migration.sources.base import SourceError
from vna.spool import Spool, Spooled
from vna.spool_files import PlainFile

_CHUNK = 2**20
_MOST_FOLDERS = 1000
_NO_LINK = {
    errno.EXDEV: "it lies on another file system than the spool",
    errno.EPERM: "its file system has no links, or it belongs to somebody else",
    errno.EMLINK: "it has as many names as can be",
}


def spool_stream(spool: Spool, stream: BinaryIO) -> Spooled:
    """All bytes of `stream`, the caller's to close. Raises OutOfSpace, Unavailable, and what reading raises."""
    with spool.open() as writer:
        while chunk := stream.read(_CHUNK):
            writer.write(chunk)
        return writer.finish()


def check_linkable(spool: Spool, top: Path) -> None:
    """Whether files of the tree `top` can have a further name in the spool, tried with the first one.

    Raises SourceError; OSError when the tree can't be read.
    """
    if (path := _first_file(top)) is not None:
        file = _linked(spool, path)
        os.unlink(file.name, dir_fd=file.dir_fd)


def _first_file(top: Path) -> Path | None:
    if not top.is_dir():
        return top
    for folder, _, names in islice(os.walk(top), _MOST_FOLDERS):
        for name in names:
            if (path := Path(folder, name)).is_file() and not path.is_symlink():
                return path
    return None


def linked(spool: Spool, path: Path) -> Spooled:
    """The file itself under a further name in the spool, from where a storage on the same file system adopts it.

    Raises OSError when it can't be read, SourceError when it can't have a further name.
    """
    file = _linked(spool, path)
    try:
        fd = os.open(file.name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=file.dir_fd)
    except BaseException:
        os.unlink(file.name, dir_fd=file.dir_fd)
        raise
    held = ScratchFile(fd, file.name, file.folder, file.dir_fd)
    try:
        size, digest = _digest(fd)
    except BaseException:
        os.close(fd)
        os.unlink(file.name, dir_fd=file.dir_fd)
        raise
    return Spooled(size, digest, PlainFile(held), spool.arenas)


def _linked(spool: Spool, path: Path) -> ScratchFile:
    """A further name of the file in the spool; what is open of it is not the file."""
    file = spool.scratch.create()
    os.close(file.fd)
    os.unlink(file.name, dir_fd=file.dir_fd)
    try:
        os.link(path, file.name, dst_dir_fd=file.dir_fd)
    except OSError as exc:
        if exc.errno not in _NO_LINK:
            raise
        why = _NO_LINK[exc.errno]
        raise SourceError(f"{path} can't be adopted: {why}; set adopt=false to copy it") from exc
    return file


def _digest(fd: int) -> tuple[int, Digest]:
    hasher, size = blake3(), 0
    while chunk := os.pread(fd, _CHUNK, size):
        hasher.update(chunk)
        size += len(chunk)
    return size, Digest(BLAKE3, hasher.hexdigest())
