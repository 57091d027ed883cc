"""A backend that keeps each object as a file below one directory."""

from __future__ import annotations

import contextlib
import os
import stat
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from storage_backends.base import Digest, FileSpan, ObjectInfo, ObjectReader, resolve_range
from storage_backends.beneath import open_below
from storage_backends.buffers import Buffers
from storage_backends.digests import Hasher, check_bytes, check_digest, new_hasher
from storage_backends.direct import write_all
from storage_backends.directories import DirectoryCache, make_root, rename_without_replacing
from storage_backends.errors import (
    BackendReadOnly,
    BackendUnavailable,
    IntegrityError,
    ObjectExists,
    ObjectNotFound,
)
from storage_backends.layout import open_directory, split_key, walk
from storage_backends.oserrors import is_other_file_system, storage_error, translated
from storage_backends.probing import probe_with_object
from storage_backends.scratch import Scratch, ScratchFile
from storage_backends.streams import check_length, in_memory, read_into, shows_memory

INCOMING = ".incoming"
_CHUNK = 2**20
_IDLE_BUFFERS = 8
_FILE_MODE = 0o440
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def _let_go(scratch: Scratch, directories: DirectoryCache, root_fd: int) -> None:
    scratch.close()
    directories.clear()
    os.close(root_fd)


class FilesystemBackend:
    """Objects as files under `root`: written beside, synced, renamed into place.

    What a crash leaves lies in `root/.incoming`, never under a key, and goes at the next start.
    Several processes may share one root. Symbolic links below the root are never followed. Raises
    BackendUnavailable when `root` can't be used.
    """

    def __init__(self, root: Path, name: str = "filesystem") -> None:
        self.name = name
        self._closed = False
        with translated(name, f"directory {root}"):
            self._root_fd = make_root(root)
            self._scratch = Scratch(root.resolve() / INCOMING)
        with (
            contextlib.suppress(BackendReadOnly),  # it can be read all the same
            translated(name, f"directory {root}", writes=True),
        ):
            self._scratch.sweep()
        self._directories = DirectoryCache(self._root_fd)
        self._buffers = Buffers(_CHUNK, _IDLE_BUFFERS)
        parts = (self._scratch, self._directories, self._root_fd)
        self._let_go = weakref.finalize(self, _let_go, *parts)  # whoever forgets to close it
        self._let_go.atexit = False

    def put(self, key: str, source: BinaryIO, *, size: int, digest: Digest) -> ObjectInfo:
        """See StorageBackend.put. A source with `getbuffer` is written from where it lies."""
        folders, name = split_key(key)
        with translated(self.name, key, writes=True), self._new_file() as file:
            _fill(file.fd, key, source, (size, digest), self._buffers)
            os.fsync(file.fd)
            self._publish(key, (file.dir_fd, file.name), folders, name)
            return ObjectInfo(key, size, os.fstat(file.fd).st_mtime)

    def adopt(self, key: str, path: Path, *, size: int, digest: Digest) -> ObjectInfo:
        """See SupportsAdopt.adopt."""
        folders, name = split_key(key)
        with translated(self.name, key, writes=True):
            fd = os.open(path, _READ_FLAGS)
            try:
                status = os.fstat(fd)
                if not stat.S_ISREG(status.st_mode) or status.st_size != size:
                    raise IntegrityError(f"object {key!r}: {path} is not a file of {size} bytes")
                os.fchmod(fd, _FILE_MODE)
                os.fsync(fd)
                self._publish(key, (None, str(path)), folders, name)
            except OSError as exc:
                if not is_other_file_system(exc):
                    raise
                return self._adopt_copy(key, path, size, digest)
            finally:
                os.close(fd)
            return ObjectInfo(key, size, status.st_mtime)

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> ObjectReader:
        """See StorageBackend.open."""
        fd, status = self._open_file(key)
        try:
            start, count = resolve_range(key, status.st_size, start, length)
        except BaseException:
            os.close(fd)
            raise
        return FileReader(self.name, key, fd, start, count)

    def stat(self, key: str) -> ObjectInfo:
        """See StorageBackend.stat."""
        fd, status = self._open_file(key)
        os.close(fd)
        return ObjectInfo(key, status.st_size, status.st_mtime)

    def delete(self, key: str) -> None:
        """See StorageBackend.delete. Syncs for a missing file as well: an earlier call may have failed."""
        folders, name = split_key(key)
        with (
            translated(self.name, key, writes=True),
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
        ):
            fd = open_directory(self._root(), folders)
            try:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=fd)
                os.fsync(fd)
            finally:
                os.close(fd)

    def scan(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """See StorageBackend.scan."""
        with translated(self.name, f"scan of {prefix!r}"):
            fd = os.dup(self._root())
            try:
                yield from walk(fd, "", prefix, after)
            finally:
                os.close(fd)

    def probe(self) -> None:
        """See StorageBackend.probe."""
        probe_with_object(self)

    def close(self) -> None:
        """See StorageBackend.close."""
        if not self._closed:
            self._closed = True
            self._buffers.clear()
            self._let_go()

    def _root(self) -> int:
        if self._closed:
            raise BackendUnavailable(f"{self.name}: the backend was closed")
        return self._root_fd

    @contextlib.contextmanager
    def _new_file(self) -> Iterator[ScratchFile]:
        self._root()
        file = self._scratch.create(_FILE_MODE)
        try:
            yield file
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(file.name, dir_fd=file.dir_fd)
            raise
        finally:
            os.close(file.fd)

    def _publish(
        self, key: str, source: tuple[int | None, str], folders: tuple[str, ...], name: str
    ) -> None:
        """Move a complete, synced file to its place and sync that; undone when it fails."""
        for attempt in (1, 2):
            directory = self._directories.get(folders)
            try:
                rename_without_replacing(source, directory.fd, name)
                break
            except FileExistsError as exc:
                raise ObjectExists(f"{self.name}: object {key!r} exists") from exc
            except FileNotFoundError:  # the cached directory was removed meanwhile
                self._directories.forget(folders)
                if attempt == 2:
                    raise
        try:
            os.fsync(directory.fd)
        except OSError:
            with contextlib.suppress(OSError):
                rename_without_replacing((directory.fd, name), source[0], source[1])
            raise

    def _adopt_copy(self, key: str, path: Path, size: int, digest: Digest) -> ObjectInfo:
        with path.open("rb", buffering=0) as source:
            info = self.put(key, source, size=size, digest=digest)
        path.unlink(missing_ok=True)
        return info

    def _open_file(self, key: str) -> tuple[int, os.stat_result]:
        folders, name = split_key(key)
        try:
            fd = open_below(self._root(), folders, name)
            status = os.fstat(fd)
        except OSError as exc:
            raise storage_error(exc, self.name, key) from exc
        if stat.S_ISREG(status.st_mode):
            return fd, status
        os.close(fd)
        raise ObjectNotFound(f"{self.name}: {key!r} is not a regular file")


class FileReader:
    """A stream over one range of an open file."""

    def __init__(self, backend: str, key: str, fd: int, start: int, count: int) -> None:
        self._backend, self._key = backend, key
        self._fd, self._position, self._end = fd, start, start + count

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, b"" at the end. Raises BackendUnavailable, IntegrityError."""
        if self._fd < 0:
            raise ValueError("read of a closed object")
        left = self._end - self._position
        wanted = left if size < 0 else min(size, left)
        with translated(self._backend, self._key):
            data = os.pread(self._fd, wanted, self._position)
            while len(data) < wanted:
                more = os.pread(self._fd, wanted - len(data), self._position + len(data))
                if not more:
                    raise IntegrityError(f"{self._backend}: object {self._key!r} was cut short")
                data += more
        self._position += len(data)
        return data

    def span(self) -> FileSpan:
        """See SupportsSpan.span."""
        if self._fd < 0:
            raise ValueError("span of a closed object")
        span = FileSpan(self._fd, self._position, self._end - self._position)
        self._position = self._end
        return span

    def close(self) -> None:
        """Release the descriptor; a second call does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def _fill(
    fd: int, key: str, source: BinaryIO, announced: tuple[int, Digest], buffers: Buffers
) -> None:
    """Write as many bytes of `source` as were announced and check them; memory that it shows is used where it lies."""
    size, digest = announced
    if shows_memory(source):
        with in_memory(key, source, size, digest) as (data, is_vouched):
            if not is_vouched:
                check_bytes(key, data, digest)
            write_all(fd, data)
        return
    hasher = new_hasher(digest.algorithm)
    with buffers.lend() as memory:
        _copy(fd, key, source, size, (hasher, memory))
    check_digest(key, hasher, digest)


def _copy(
    fd: int, key: str, source: BinaryIO, size: int, through: tuple[Hasher, memoryview]
) -> None:
    hasher, memory = through
    done = 0
    while done < size:
        with memory[: size - done] as target, target[: read_into(source, target)] as data:
            hasher.update(data)
            write_all(fd, data, done)
            done += len(data)
            if not data:
                break
    check_length(key, size, done)
