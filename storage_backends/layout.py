"""How object keys become file names below one root, so that no key can be a folder of another."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from storage_backends.base import MAX_KEY_LENGTH, ObjectInfo, check_key
from storage_backends.errors import InvalidKey

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER_MARK = "+"
_FILE_MARK = "="


def folder_name(segment: str) -> str:
    """The directory of a key's segment: plain when it has no dot, marked otherwise."""
    return segment + _FOLDER_MARK if "." in segment else segment


def file_name(segment: str) -> str:
    """The file of a key's last segment: plain when it has a dot (abc.dcm), marked otherwise."""
    return segment if "." in segment else segment + _FILE_MARK


def split_key(key: str) -> tuple[tuple[str, ...], str]:
    """(directory names, file name) of a key. Raises InvalidKey."""
    *folders, last = check_key(key).split("/")
    return tuple(folder_name(folder) for folder in folders), file_name(last)


def open_directory(root_fd: int, names: tuple[str, ...]) -> int:
    """A descriptor of a directory below `root_fd`; follows no symbolic link. Raises OSError."""
    fd = os.dup(root_fd)
    for name in names:
        try:
            below = os.open(name, DIRECTORY_FLAGS, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


@dataclass(frozen=True, slots=True)
class _Entry:
    sort_key: str
    name: str
    is_folder: bool


def walk(fd: int, folder: str, prefix: str, after: str) -> Iterator[ObjectInfo]:
    """Objects below the directory `fd`, whose keys begin with `folder`, in order of their keys.

    One directory of each depth is in memory. What vanishes meanwhile is left out. Raises OSError.
    """
    for entry in _entries(fd, folder, prefix, after):
        try:
            if entry.is_folder:
                yield from _walk_folder(fd, entry, prefix, after)
                continue
            status = os.stat(entry.name, dir_fd=fd, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISREG(status.st_mode):
            yield ObjectInfo(entry.sort_key, status.st_size, status.st_mtime)


def _walk_folder(fd: int, entry: _Entry, prefix: str, after: str) -> Iterator[ObjectInfo]:
    below = os.open(entry.name, DIRECTORY_FLAGS, dir_fd=fd)
    try:
        yield from walk(below, entry.sort_key, prefix, after)
    finally:
        os.close(below)


def _entries(fd: int, folder: str, prefix: str, after: str) -> list[_Entry]:
    """What may hold a wanted object, sorted so that a depth-first walk meets keys in order."""
    found = []
    with os.scandir(fd) as listing:
        for item in listing:
            is_folder = item.is_dir(follow_symlinks=False)
            segment = _segment(item.name, is_folder)
            if segment is None or not (is_folder or item.is_file(follow_symlinks=False)):
                continue
            key = folder + segment + ("/" if is_folder else "")
            if _is_wanted(key, is_folder, prefix, after):
                found.append(_Entry(key, item.name, is_folder))
    return sorted(found, key=lambda entry: entry.sort_key)


def _is_wanted(key: str, is_folder: bool, prefix: str, after: str) -> bool:
    if len(key) > MAX_KEY_LENGTH:
        return False
    if is_folder:
        return (key.startswith(prefix) or prefix.startswith(key)) and (
            key > after or after.startswith(key)
        )
    return key.startswith(prefix) and key > after


def _segment(name: str, is_folder: bool) -> str | None:
    """The key's segment that `name` stands for, or None for a file that is none of ours."""
    segment = name.removesuffix(_FOLDER_MARK if is_folder else _FILE_MARK)
    spelled = folder_name(segment) if is_folder else file_name(segment)
    if spelled != name:
        return None
    try:
        check_key(segment)
    except InvalidKey:
        return None
    return None if "/" in segment else segment
