"""Readiness answers whatever the parts do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

import pytest

from storage_backends.base import ObjectInfo
from storage_backends.errors import BackendReadOnly, BackendUnavailable
from storage_backends.memory import MemoryBackend
from vna.errors import Unavailable
from vna.index.database import Database
from vna.services.health import HealthService
from vna.services.storage import ObjectStore


class Part:
    """A database that answers as told."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.calls = 0

    def ping(self) -> None:
        self.calls += 1
        if not self.go_on.wait(60):
            raise Unavailable("nobody let it go on")


def service(part: object, patience: float) -> HealthService:
    backend = MemoryBackend()
    objects = ObjectStore({backend.name: backend}, backend.name)
    return HealthService(cast("Database", part), objects, patience)


def test_a_part_that_hangs_is_said_and_asked_once_only() -> None:
    part = Part()
    health = service(part, patience=0.05)
    for _ in range(3):
        assert health.check() == {"database": "gave no answer within 0.05 s", "storage": "ok"}
    assert part.calls == 1
    part.go_on.set()
    health._parts["database"].begin().result(60)
    assert health.check()["database"] == "ok"


def test_a_real_database_is_ok(database: Database) -> None:
    assert service(database, patience=60).check() == {"database": "ok", "storage": "ok"}


def test_a_reason_is_given(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("none")
    gone = Database(f"postgresql://nobody@/none?host={folder}", pool_size=1, connect_timeout=0.2)
    assert "no connection to the database" in service(gone, patience=60).check()["database"]
    gone.close()


class Gone(MemoryBackend):
    """Can be read, if at all."""

    def __init__(self, *, is_readable: bool) -> None:
        super().__init__()
        self.is_readable = is_readable

    def probe(self) -> None:
        raise BackendReadOnly("gone: no writes")

    def scan(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        if not self.is_readable:
            raise BackendUnavailable("gone: no reads")
        return super().scan(prefix, after=after)


def test_each_backend_is_asked_for_what_it_is_there_for(database: Database) -> None:
    backends = {
        "near": MemoryBackend(),
        "later": Gone(is_readable=True),
        "old": Gone(is_readable=True),
        "drained": Gone(is_readable=False),
    }
    objects = ObjectStore(backends, "near", draining=["drained"], receiving=["near", "later"])
    health = HealthService(database, objects, patience=60)
    assert health.check() == {"database": "ok", "storage": "ok"}, "instances can be stored"
    found = health.check_backends()
    assert (found["near"], found["old"]) == ("ok", "ok")
    assert "no writes" in found["later"]
    assert "no reads" in found["drained"]
