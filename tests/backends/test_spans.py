"""Readers whose bytes lie in a file say where, through every wrapper; others say that they don't."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage_backends.base import FileSpan, ObjectReader, StorageBackend, span_of
from storage_backends.digests import digest_of
from storage_backends.filesystem import FilesystemBackend
from storage_backends.memory import MemoryBackend
from storage_backends.metered import MeteredBackend
from storage_backends.retrying import RetryingBackend

DATA = bytes(range(256)) * 40
Seen = list[tuple[str, int]]


@pytest.fixture
def seen() -> Seen:
    return []


@pytest.fixture
def backend(tmp_path: Path, seen: Seen) -> Iterator[StorageBackend]:
    inner = FilesystemBackend(tmp_path / "store")
    inner.put("a/b", io.BytesIO(DATA), size=len(DATA), digest=digest_of(DATA))

    def observe(operation: str, _seconds: float, size: int, _error: str) -> None:
        seen.append((operation, size))

    yield RetryingBackend(MeteredBackend(inner, observe))
    inner.close()


def content(reader: ObjectReader) -> tuple[FileSpan, bytes]:
    span = span_of(reader)
    assert span is not None
    return span, os.pread(span.fd, span.length, span.offset)


def test_a_span_is_what_is_left_to_read(backend: StorageBackend) -> None:
    with backend.open("a/b") as reader:
        assert content(reader)[1] == DATA
    with backend.open("a/b", start=100, length=50) as reader:
        assert reader.read(10) == DATA[100:110]
        assert content(reader)[1] == DATA[110:150]


def test_a_span_counts_as_read(backend: StorageBackend, seen: Seen) -> None:
    with backend.open("a/b", start=10) as reader:
        content(reader)
        assert reader.read() == b""
        assert content(reader)[0].length == 0
    assert ("read", len(DATA) - 10) in seen


def test_a_closed_reader_has_none(tmp_path: Path, backend: StorageBackend) -> None:
    reader = backend.open("a/b")
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        span_of(reader)


def test_bytes_in_memory_lie_in_no_file() -> None:
    backend = RetryingBackend(MeteredBackend(MemoryBackend(), lambda *_: None))
    backend.put("a", io.BytesIO(DATA), size=len(DATA), digest=digest_of(DATA))
    with backend.open("a") as reader:
        assert span_of(reader) is None
        assert reader.read() == DATA
