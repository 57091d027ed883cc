"""Temporary files of living processes, told apart from those that dead ones left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

_LOCK_SUFFIX = ".lock"
_SESSION_NAME = re.compile(r"[0-9]+-[0-9a-f]{16}")
_SESSION_TRIES = 100


@dataclass(frozen=True, slots=True)
class ScratchFile:
    """A new file, empty and open for reading and writing; the caller closes and removes it."""

    fd: int
    name: str
    folder: Path
    dir_fd: int

    @property
    def path(self) -> Path:
        return self.folder / self.name


@dataclass(frozen=True, slots=True)
class _Session:
    pid: int
    path: Path
    dir_fd: int
    lock_fd: int
    numbers: Iterator[int]


class Scratch:
    """Temporary files under `parent`, in a sub-directory whose lock file this process holds.

    The lock goes with the process, however it dies, so that `sweep` tells leftovers from work in
    progress. Shared by threads; a forked child gets a sub-directory of its own. Raises OSError.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._lock = threading.Lock()
        self._session: _Session | None = None

    def create(self, mode: int = 0o600) -> ScratchFile:
        """A fresh file under a name that was never used."""
        session = self._current()
        try:
            return _create_in(session, mode)
        except FileNotFoundError:  # somebody cleaned our directory away
            self._forget(session)
            return _create_in(self._current(), mode)

    def sweep(self) -> int:
        """Remove what dead processes left behind; returns the number of files removed."""
        try:
            names = {entry.name.removesuffix(_LOCK_SUFFIX) for entry in self._parent.iterdir()}
        except FileNotFoundError:
            return 0
        sessions = [name for name in names if _SESSION_NAME.fullmatch(name)]
        return sum(_sweep_session(self._parent / name) for name in sessions)

    def close(self) -> None:
        """Let go of the sub-directory, removing it when empty; a later `create` makes a new one."""
        with self._lock:
            session, self._session = self._session, None
        if session is None:
            return
        if session.pid == os.getpid():
            with contextlib.suppress(OSError):
                session.path.rmdir()
                _lock_path(session.path).unlink()
        _close(session)

    def _current(self) -> _Session:
        session = self._session
        if session is not None and session.pid == os.getpid():
            return session
        with self._lock:
            session = self._session
            if session is not None and session.pid == os.getpid():
                return session
            if session is not None:
                _close(session)
            self._session = _new_session(self._parent)
            return self._session

    def _forget(self, session: _Session) -> None:
        with self._lock:
            if self._session is session:
                self._session = None
                # The descriptors stay open on purpose: another thread may be about to use them.


def _create_in(session: _Session, mode: int) -> ScratchFile:
    name = f"{next(session.numbers):016x}"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, mode, dir_fd=session.dir_fd)
    return ScratchFile(fd, name, session.path, session.dir_fd)


def _new_session(parent: Path) -> _Session:
    parent.mkdir(parents=True, exist_ok=True)
    for _ in range(_SESSION_TRIES):
        path = parent / f"{os.getpid()}-{secrets.token_hex(8)}"
        lock_fd = _take_lock(_lock_path(path))
        if lock_fd is None:  # a sweep was quicker than our lock
            continue
        path.mkdir(mode=0o700)
        return _Session(
            os.getpid(), path, os.open(path, os.O_RDONLY | os.O_DIRECTORY), lock_fd, count()
        )
    raise OSError(f"cannot make a working directory under {parent}")


def _take_lock(path: Path) -> int | None:
    """Create and lock; None when a sweep took the file for a leftover in between."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd
    except OSError:
        os.close(fd)
        raise
    os.close(fd)
    return None


def _sweep_session(path: Path) -> int:
    """Remove one session unless its process lives. The lock file goes last: it guards the rest."""
    lock_path = _lock_path(path)
    fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        removed = _empty(path)
        lock_path.unlink(missing_ok=True)
        return removed
    finally:
        os.close(fd)


def _empty(path: Path) -> int:
    removed = 0
    if path.is_symlink() or not path.is_dir():
        return removed
    for entry in path.iterdir():
        entry.unlink(missing_ok=True)
        removed += 1
    with contextlib.suppress(FileNotFoundError):
        path.rmdir()
    return removed


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + _LOCK_SUFFIX)


def _close(session: _Session) -> None:
    os.close(session.dir_fd)
    os.close(session.lock_fd)
