"""Opening files below a directory: at once and step by step, no symbolic link is followed."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage_backends import beneath
from storage_backends.beneath import open_below, open_step_by_step

Opener = Callable[[int, tuple[str, ...], str], int]
both = pytest.mark.parametrize("opener", [open_below, open_step_by_step])


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    folder = tmp_path / "root" / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"data")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link").symlink_to(folder / "file")
    (tmp_path / "root" / "other").symlink_to(folder)
    (folder / "out").symlink_to(tmp_path / "secret")
    fd = os.open(tmp_path / "root", os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def content(fd: int) -> bytes:
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


@both
def test_a_file_is_opened(opener: Opener, root: int) -> None:
    fd = opener(root, ("a", "b"), "file")
    assert not os.get_inheritable(fd)
    assert content(fd) == b"data"


@both
@pytest.mark.parametrize(
    ("folders", "name", "code"),
    [
        (("a", "b"), "missing", {errno.ENOENT}),
        (("a", "x"), "file", {errno.ENOENT}),
        (("a", "b", "file"), "file", {errno.ENOTDIR}),
        (("a", "b"), "link", {errno.ELOOP}),
        (("a", "b"), "out", {errno.ELOOP}),
        (("other",), "file", {errno.ELOOP, errno.ENOTDIR}),
    ],
)
def test_what_is_no_file_below_is_not_opened(
    opener: Opener, root: int, folders: tuple[str, ...], name: str, code: set[int]
) -> None:
    with pytest.raises(OSError, match=r".") as raised:
        opener(root, folders, name)
    assert raised.value.errno in code


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EPERM, errno.EINTR])
def test_where_the_kernel_can_not_it_goes_step_by_step(
    root: int, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(_root_fd: int, _path: bytes) -> int:
        ctypes.set_errno(code)
        return -1

    monkeypatch.setattr(beneath, "_OPENAT2", refuse)
    assert content(open_below(root, ("a", "b"), "file")) == b"data"
    monkeypatch.setattr(beneath, "_OPENAT2", None)
    assert content(open_below(root, ("a", "b"), "file")) == b"data"
