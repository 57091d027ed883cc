"""Directories below one root: made durably, kept open, and entered without overwriting."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from storage_backends.layout import DIRECTORY_FLAGS

_KEPT_OPEN = 64
_DIRECTORY_MODE = 0o750
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
_NOT_SUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})


class Directory:
    """An open directory; the descriptor goes when nobody refers to it any more."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


class DirectoryCache:
    """The directories that were written to lately, each known to be durable up to the root."""

    def __init__(self, root_fd: int) -> None:
        self._root_fd = root_fd
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, ...], Directory] = OrderedDict()

    def get(self, names: tuple[str, ...]) -> Directory:
        """The directory below the root, made when it is missing. Raises OSError.

        At the first use every parent is synced, whoever made the directory: another process may
        have made it and not yet come to its own sync.
        """
        with self._lock:
            found = self._open.get(names)
            if found is not None:
                self._open.move_to_end(names)
                return found
        made = Directory(_make_durably(self._root_fd, names))
        with self._lock:
            self._open[names] = made
            if len(self._open) > _KEPT_OPEN:
                self._open.popitem(last=False)
        return made

    def forget(self, names: tuple[str, ...]) -> None:
        """Open it afresh next time."""
        with self._lock:
            self._open.pop(names, None)

    def clear(self) -> None:
        """Close every directory that is not in use."""
        with self._lock:
            self._open.clear()


def make_root(root: Path) -> int:
    """Create `root` durably with its parents; returns an open descriptor. Raises OSError."""
    missing = []
    path = root.absolute()
    while not path.exists():
        missing.append(path)
        path = path.parent
    for path in reversed(missing):
        path.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
        _sync(path.parent)
    return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def rename_without_replacing(
    source: tuple[int | None, str], to_fd: int | None, to_name: str
) -> None:
    """Move a file; raises FileExistsError when the new name is taken, other OSErrors as they come.

    A directory descriptor of None stands for the working directory. Where the file system has no
    such rename, a hard link and an unlink do the same.
    """
    from_fd, from_name = source
    if _RENAMEAT2 is not None:
        result = _RENAMEAT2(
            _AT_FDCWD if from_fd is None else from_fd,
            os.fsencode(from_name),
            _AT_FDCWD if to_fd is None else to_fd,
            os.fsencode(to_name),
            _RENAME_NOREPLACE,
        )
        if result == 0:
            return
        code = ctypes.get_errno()
        if code not in _NOT_SUPPORTED:
            raise OSError(code, os.strerror(code), from_name)
    os.link(from_name, to_name, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(from_name, dir_fd=from_fd)


def _find_renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return None
    function.argtypes = (
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_uint,
    )
    rename: Callable[[int, bytes, int, bytes, int], int] = function
    return rename


_RENAMEAT2 = _find_renameat2()


def _make_durably(root_fd: int, names: tuple[str, ...]) -> int:
    fd = os.dup(root_fd)
    for name in names:
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, _DIRECTORY_MODE, dir_fd=fd)
            below = os.open(name, DIRECTORY_FLAGS, dir_fd=fd)
            os.fsync(fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
