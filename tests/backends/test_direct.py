"""Writing and reading past the page cache: the same bytes, whatever the file system or the memory allow."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage_backends.direct import ALIGNMENT, MIN_LENGTH, read_at, write_all
from storage_backends.testing import sample

LENGTHS = (0, 1, ALIGNMENT, MIN_LENGTH - 1, MIN_LENGTH, MIN_LENGTH + 1, 2**20, 2**20 + 4095)
Descriptor = int


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[Descriptor]:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def aligned(data: bytes) -> memoryview:
    """The same bytes in memory that begins with a page."""
    memory = mmap.mmap(-1, max(len(data), 1))
    memory[: len(data)] = data
    return memoryview(memory)[: len(data)]


def misaligned(data: bytes) -> memoryview:
    """The same bytes one behind a page's begin."""
    return aligned(b"." + data)[1:]


def content(fd: Descriptor) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size + 1, 0)


@pytest.mark.parametrize("place", [aligned, misaligned])
@pytest.mark.parametrize("length", LENGTHS)
def test_what_was_written_is_there_and_comes_back(
    descriptor: Descriptor, place: Callable[[bytes], memoryview], length: int
) -> None:
    data = sample(length)
    write_all(descriptor, place(data))
    assert content(descriptor) == data
    target = place(bytes(length + 10))
    assert read_at(descriptor, target, 0) == length
    assert bytes(target[:length]) == data


@pytest.mark.parametrize("first", [1, ALIGNMENT, 2**20, 2**20 + 7])
def test_pieces_follow_each_other_wherever_they_begin(descriptor: Descriptor, first: int) -> None:
    data = sample(first + 2**20 + 13)
    write_all(descriptor, aligned(data[:first]))
    write_all(descriptor, aligned(data[first:]), first)
    assert content(descriptor) == data
    target = aligned(bytes(2**20))
    assert read_at(descriptor, target, first) == 2**20
    assert bytes(target) == data[first : first + 2**20]
    assert read_at(descriptor, target, len(data)) == 0


def test_the_descriptor_is_left_as_it_was(descriptor: Descriptor) -> None:
    before = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    write_all(descriptor, aligned(sample(2**20)))
    read_at(descriptor, aligned(bytes(2**20)), 0)
    assert fcntl.fcntl(descriptor, fcntl.F_GETFL) == before


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_forbids_it_is_written_through_the_cache(
    descriptor: Descriptor, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def forbid(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "fcntl", forbid)
    data = sample(2**20 + 5)
    write_all(descriptor, aligned(data))
    target = aligned(bytes(len(data)))
    assert read_at(descriptor, target, 0) == len(data)
    assert bytes(target) == data


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_device_that_refuses_is_written_through_the_cache(
    descriptor: Descriptor, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    write = os.write

    def refuse_directly(fd: int, data: memoryview) -> int:
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(code, os.strerror(code))
        return write(fd, data)

    monkeypatch.setattr(os, "write", refuse_directly)
    data = sample(2**20 + 5)
    write_all(descriptor, aligned(data))
    assert content(descriptor) == data


def test_short_writes_are_carried_on_with(
    descriptor: Descriptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:70_000]))
    data = sample(2**20)
    write_all(descriptor, aligned(data))
    assert content(descriptor) == data


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_other_errors_come_out(
    descriptor: Descriptor, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OSError, match=os.strerror(code)):
        write_all(descriptor, aligned(sample(2**20)))
