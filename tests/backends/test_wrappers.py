"""What the wrappers add: repetition of transient failures, a report of each call."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self, cast

import pytest

from storage_backends.base import Digest, ObjectInfo, ObjectReader, SupportsAdopt
from storage_backends.digests import digest_of
from storage_backends.errors import (
    BackendFull,
    BackendUnavailable,
    ObjectExists,
    ObjectNotFound,
    StorageError,
)
from storage_backends.filesystem import FilesystemBackend
from storage_backends.memory import MemoryBackend
from storage_backends.metered import MeteredBackend
from storage_backends.retrying import RetryingBackend
from storage_backends.testing import put, read, sample


class Flaky(MemoryBackend):
    """Fails the next calls with given errors, before or (for put) after they took effect."""

    def __init__(self, *errors: StorageError, after: bool = False) -> None:
        super().__init__()
        self.errors, self.after, self.calls = list(errors), after, 0

    def fail(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)

    def put(self, key: str, source: BinaryIO, *, size: int, digest: Digest) -> ObjectInfo:
        if not self.after:
            source.read(1)
            self.fail()
            return super().put(key, io.BytesIO(source.read()), size=size, digest=digest)
        info = super().put(key, source, size=size, digest=digest)
        self.fail()
        return info

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> ObjectReader:
        self.fail()
        return _FlakyReader(super().open(key, start=start, length=length), self)

    def stat(self, key: str) -> ObjectInfo:
        self.fail()
        return super().stat(key)

    def delete(self, key: str) -> None:
        self.fail()
        super().delete(key)

    def scan(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        for info in super().scan(prefix, after=after):
            yield info
            self.fail()


class _FlakyReader:
    def __init__(self, inner: ObjectReader, backend: Flaky) -> None:
        self._inner, self._backend = inner, backend

    def read(self, size: int = -1, /) -> bytes:
        self._backend.fail()
        return self._inner.read(size)

    def close(self) -> None:
        self._inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _gone(count: int) -> list[StorageError]:
    return [BackendUnavailable("gone for a moment") for _ in range(count)]


def _retrying(inner: Flaky, delays: list[float]) -> RetryingBackend:
    return RetryingBackend(inner, attempts=4, base_delay=1.0, sleep=delays.append)


def _filled(data: bytes = b"0123456789") -> Flaky:
    inner = Flaky()
    MemoryBackend.put(inner, "a", io.BytesIO(data), size=len(data), digest=digest_of(data))
    return inner


def test_transient_failures_are_repeated_after_growing_delays() -> None:
    inner, delays = _filled(), list[float]()
    inner.errors = _gone(3)
    assert _retrying(inner, delays).stat("a").size == 10
    assert inner.calls == 4
    assert [0.5 * 2**n <= delay <= 2**n for n, delay in enumerate(delays)] == [True] * 3


def test_the_last_failure_is_raised() -> None:
    inner, delays = _filled(), list[float]()
    inner.errors = _gone(5)
    with pytest.raises(BackendUnavailable):
        _retrying(inner, delays).delete("a")
    assert (inner.calls, len(delays)) == (4, 3)


@pytest.mark.parametrize("error", [ObjectNotFound("no"), BackendFull("full"), ObjectExists("is")])
def test_other_failures_are_raised_at_once(error: StorageError) -> None:
    inner, delays = _filled(), list[float]()
    inner.errors = [error]
    with pytest.raises(type(error)):
        _retrying(inner, delays).stat("a")
    assert (inner.calls, delays) == (1, [])


def test_put_rewinds_its_source() -> None:
    inner, delays = Flaky(*_gone(2)), list[float]()
    inner_put_skips_the_byte_read_by_the_fault = b"xdata"
    source = io.BytesIO(b"skip" + inner_put_skips_the_byte_read_by_the_fault)
    source.read(4)
    _retrying(inner, delays).put("k", source, size=4, digest=digest_of(b"data"))
    assert read(inner, "k") == b"data"
    assert len(delays) == 2


def test_put_of_a_stream_is_tried_once() -> None:
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

    inner, delays = Flaky(*_gone(1)), list[float]()
    with pytest.raises(BackendUnavailable):
        _retrying(inner, delays).put("k", Stream(b"data"), size=4, digest=digest_of(b"data"))
    assert delays == []


def test_a_put_that_succeeded_although_it_failed_is_a_success() -> None:
    inner = Flaky(*_gone(1), after=True)
    info = put(_retrying(inner, []), "k", b"data")
    assert info.size == 4
    assert read(inner, "k") == b"data"


def test_a_key_that_somebody_else_took_meanwhile_is_an_error() -> None:
    class Taken(Flaky):
        def put(self, key: str, source: BinaryIO, *, size: int, digest: Digest) -> ObjectInfo:
            other = b"else"
            MemoryBackend.put(self, key, io.BytesIO(other), size=4, digest=digest_of(other))
            self.fail()
            raise AssertionError

    inner = Taken(*_gone(1))
    with pytest.raises(ObjectExists):
        put(_retrying(inner, []), "k", b"data")
    assert read(inner, "k") == b"else"


def test_a_reader_resumes_where_it_broke_off() -> None:
    data = sample(1000)
    inner, delays = _filled(data), list[float]()
    with _retrying(inner, delays).open("a", start=100, length=800) as reader:
        first = reader.read(300)
        inner.errors = _gone(2)
        rest = reader.read(300) + reader.read()
    assert first + rest == data[100:900]
    assert len(delays) == 2


def test_a_scan_resumes_behind_the_last_key() -> None:
    inner, delays = Flaky(), list[float]()
    for number in range(6):
        MemoryBackend.put(inner, f"s/{number}", io.BytesIO(), size=0, digest=digest_of(b""))
    inner.errors = _gone(3)
    keys = [info.key for info in _retrying(inner, delays).scan("s/")]
    assert keys == [f"s/{number}" for number in range(6)]
    assert len(delays) == 3


def test_an_adoption_is_repeated(tmp_path: Path) -> None:
    class FlakyDisk(FilesystemBackend):
        failures = 2

        def adopt(self, key: str, path: Path, *, size: int, digest: Digest) -> ObjectInfo:
            if self.failures:
                self.failures -= 1
                raise BackendUnavailable("gone for a moment")
            return super().adopt(key, path, size=size, digest=digest)

    backend = RetryingBackend(FlakyDisk(tmp_path / "objects"), sleep=lambda _: None)
    path = tmp_path / "file"
    path.write_bytes(b"data")
    cast("SupportsAdopt", backend).adopt("k", path, size=4, digest=digest_of(b"data"))
    assert read(backend, "k") == b"data"
    assert not path.exists()
    backend.close()


def test_an_adoption_that_succeeded_although_it_failed_is_a_success(tmp_path: Path) -> None:
    class LosesAnswers(FilesystemBackend):
        def adopt(self, key: str, path: Path, *, size: int, digest: Digest) -> ObjectInfo:
            super().adopt(key, path, size=size, digest=digest)
            raise BackendUnavailable("timed out")

    backend = RetryingBackend(LosesAnswers(tmp_path / "objects"), sleep=lambda _: None)
    path = tmp_path / "file"
    path.write_bytes(b"data")
    adopted = cast("SupportsAdopt", backend).adopt("k", path, size=4, digest=digest_of(b"data"))
    assert adopted.size == 4
    assert read(backend, "k") == b"data"
    backend.close()


def test_at_least_one_attempt_is_made() -> None:
    with pytest.raises(ValueError, match="attempt"):
        RetryingBackend(MemoryBackend(), attempts=0)


def test_each_call_is_reported_with_its_bytes(tmp_path: Path) -> None:
    seen: list[tuple[str, int, str]] = []
    backend = MeteredBackend(
        FilesystemBackend(tmp_path / "o"), lambda op, _, size, error: seen.append((op, size, error))
    )
    put(backend, "k", b"12345")
    path = tmp_path / "file"
    path.write_bytes(b"123")
    cast("SupportsAdopt", backend).adopt("l", path, size=3, digest=digest_of(b"123"))
    assert read(backend, "k", 1, 3) == b"234"
    backend.stat("k")
    list(backend.scan())
    backend.delete("k")
    backend.probe()
    assert seen == [
        ("put", 5, ""), ("adopt", 3, ""), ("open", 0, ""), ("read", 3, ""),
        ("stat", 0, ""), ("scan", 0, ""), ("delete", 0, ""), ("probe", 0, ""),
    ]  # fmt: skip
    backend.close()


def test_failed_calls_are_reported_by_the_errors_name() -> None:
    seen: list[tuple[str, int, str]] = []
    inner = Flaky()
    backend = MeteredBackend(inner, lambda op, _, size, error: seen.append((op, size, error)))
    with pytest.raises(ObjectNotFound):
        backend.open("missing")
    put(backend, "k", b"")
    inner.errors = _gone(1)
    with pytest.raises(BackendUnavailable):
        list(backend.scan())
    reader = backend.open("k")
    inner.errors = _gone(1)
    with pytest.raises(BackendUnavailable):
        reader.read()
    reader.close()
    reader.close()
    assert seen == [
        ("open", 0, "ObjectNotFound"), ("put", 0, ""), ("scan", 0, "BackendUnavailable"),
        ("open", 0, ""), ("read", 0, "BackendUnavailable"),
    ]  # fmt: skip
