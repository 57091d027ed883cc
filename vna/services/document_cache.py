"""Documents in memory: the ones that were asked for last, each made by one thread at a time."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator


class DocumentCache:
    """Least recently used documents, up to a number of bytes; safe for threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._documents: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """The document, or None."""
        with self._lock:
            document = self._documents.get(key)
            if document is not None:
                self._documents.move_to_end(key)
            return document

    def put(self, key: str, document: bytes) -> None:
        """Keep `document`; older ones make room, one larger than the bound is not kept."""
        if len(document) > self._max_bytes:
            return
        with self._lock:
            self._bytes += len(document) - len(self._documents.pop(key, b""))
            self._documents[key] = document
            while self._bytes > self._max_bytes:
                _, oldest = self._documents.popitem(last=False)
                self._bytes -= len(oldest)


class Turns:
    """Threads that want to make the same thing take turns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[str, tuple[threading.Lock, int]] = {}

    @contextlib.contextmanager
    def of(self, key: str) -> Iterator[None]:
        """Within this no other thread is within the same `key`."""
        with self._lock:
            turn, count = self._turns.get(key, (threading.Lock(), 0))
            self._turns[key] = turn, count + 1
        try:
            with turn:
                yield
        finally:
            with self._lock:
                turn, count = self._turns.pop(key)
                if count > 1:
                    self._turns[key] = turn, count - 1
