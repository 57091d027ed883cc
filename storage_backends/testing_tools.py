"""What the contract's tests share: a backend for each test, sources that misbehave."""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

import contextlib
import io
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from storage_backends.base import ObjectInfo, StorageBackend
from storage_backends.digests import digest_of
from storage_backends.errors import ObjectNotFound

INVALID_KEYS = (
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    "..",
    "../a",
    "a/../b",
    "a/..",
    ".hidden",
    "a/.b",
    "A",
    "a b",
    "a\\b",
    "a\x00b",
    "a\n",
    "ä",
    "a+",
    "a=",
    "-a",
    "a" * 201,
)
SIZES = (0, 1, 2, 4095, 4096, 65537, 2**20, 2**20 + 1, 3 * 2**20 + 7)


class ContractCase:
    """A test class whose every test has a backend of its own."""

    backend: StorageBackend
    directory: Path

    def make_backend(self, directory: Path) -> StorageBackend:
        """A new, empty backend; `directory` is its own, on an ordinary file system."""
        raise NotImplementedError

    def setup_method(self) -> None:
        """Give each test a backend of its own."""
        self.temporary = tempfile.TemporaryDirectory(prefix="contract-")
        self.directory = Path(self.temporary.name)
        self.backend = self.make_backend(self.directory / "backend")

    def teardown_method(self) -> None:
        """Close it."""
        self.backend.close()
        self.temporary.cleanup()

    def keys(self, prefix: str = "", after: str = "") -> list[str]:
        """Keys as a scan tells them."""
        return [info.key for info in self.backend.scan(prefix, after=after)]

    def assert_absent(self, key: str) -> None:
        """Nothing shows that the key was ever used."""
        for operation in (self.backend.open, self.backend.stat):
            with raises(ObjectNotFound):
                operation(key)
        assert key not in self.keys()


def sample(size: int) -> bytes:
    """`size` bytes without a short period."""
    block = bytes((index * 197 + index // 251) % 256 for index in range(min(size, 65_521)))
    return (block * (size // max(len(block), 1) + 1))[:size]


def put(backend: StorageBackend, key: str, data: bytes) -> ObjectInfo:
    """Put bytes with their digest."""
    return backend.put(key, io.BytesIO(data), size=len(data), digest=digest_of(data))


def read(backend: StorageBackend, key: str, start: int = 0, length: int | None = None) -> bytes:
    """Read a range, piece by piece."""
    with backend.open(key, start=start, length=length) as reader:
        return b"".join(iter(lambda: reader.read(65_536), b""))


@contextlib.contextmanager
def raises(*expected: type[BaseException]) -> Iterator[None]:
    """Like pytest.raises, without pytest."""
    try:
        yield
    except expected:
        return
    raise AssertionError(f"none of {', '.join(kind.__name__ for kind in expected)} was raised")


class Unseekable:
    """A stream like a socket: no position, pieces of at most `piece` bytes, a failure on demand."""

    def __init__(self, data: bytes, piece: int = 2**30, fails_after: int = 2**62) -> None:
        self._data, self._piece, self._fails_after = data, piece, fails_after
        self._given = 0

    def read(self, size: int = -1) -> bytes:
        """A piece, or an error when its time has come."""
        if self._given >= self._fails_after:
            raise RuntimeError("the source broke")
        count = self._piece if size < 0 else min(size, self._piece)
        data = self._data[self._given : self._given + count]
        self._given += len(data)
        return data

    def seekable(self) -> bool:
        return False


class Halting:
    """A stream that stops at `halt_at` bytes until it may go on."""

    def __init__(self, data: bytes, halt_at: int) -> None:
        self._stream, self._halt_at = io.BytesIO(data), halt_at
        self.halted, self.go_on = threading.Event(), threading.Event()

    def read(self, size: int = -1) -> bytes:
        """A piece; at `halt_at` it waits until `go_on` is set."""
        position = self._stream.tell()
        if position >= self._halt_at:
            self.halted.set()
            if not self.go_on.wait(60):
                raise RuntimeError("nobody let the source go on")
            return self._stream.read(size)
        left = self._halt_at - position
        return self._stream.read(left if size < 0 else min(size, left))

    def seekable(self) -> bool:
        return False
