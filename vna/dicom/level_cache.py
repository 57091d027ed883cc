"""Attributes of patients, studies and series that were read before, as the same objects."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

from vna.model.query import JsonElement

MAX_ENTRIES = 256
MAX_KEY_BYTES = 8 * 2**10


class LevelKey(NamedTuple):
    """All that the attributes of a level follow from: its elements' bytes, how they are to be read,
    and the identifier that may stand in.
    """

    level: int
    encoding: int
    charsets: bytes
    identifier: str
    parts: bytes


class LevelCache:
    """The attributes used last, up to MAX_ENTRIES of at most MAX_KEY_BYTES each; for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[LevelKey, dict[str, JsonElement]] = OrderedDict()

    def get(self, key: LevelKey) -> dict[str, JsonElement] | None:
        """What was kept under `key`; nobody may change it."""
        with self._lock:
            attributes = self._entries.get(key)
            if attributes is not None:
                self._entries.move_to_end(key)
            return attributes

    def keep(self, key: LevelKey, attributes: dict[str, JsonElement]) -> dict[str, JsonElement]:
        """Remember `attributes`; returns the object to use, which another thread may have made."""
        if len(key.parts) > MAX_KEY_BYTES:
            return attributes
        with self._lock:
            kept = self._entries.setdefault(key, attributes)
            if len(self._entries) > MAX_ENTRIES:
                self._entries.popitem(last=False)
            return kept
