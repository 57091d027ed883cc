"""Whether the archive could serve now: database and storage really probed, each within a time of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from vna.errors import VnaError
from vna.index.database import Database
from vna.services.storage import ObjectStore

OK = "ok"
PATIENCE = 5.0
"""Seconds that a part may take to answer."""


class HealthService:
    """Probes what every request depends on."""

    def __init__(
        self, database: Database, objects: ObjectStore, patience: float = PATIENCE
    ) -> None:
        self._patience, self._objects = patience, objects
        self._parts = {
            "database": _Probe(database.ping),
            "storage": _Probe(objects.probe),
        }

    def check(self) -> dict[str, str]:
        """Part -> "ok" or the reason why not; answers also when a part hangs."""
        return self._outcomes(self._parts)

    def check_backends(self) -> dict[str, str]:
        """The same for each storage backend by its name, also those that are not needed to store."""
        probe = self._objects.probe_one
        return self._outcomes({name: _Probe(partial(probe, name)) for name in self._objects.names})

    def _outcomes(self, probes: Mapping[str, _Probe]) -> dict[str, str]:
        pending = {name: probe.begin() for name, probe in probes.items()}
        return {name: self._outcome(future) for name, future in pending.items()}

    def _outcome(self, future: Future[None]) -> str:
        try:
            future.result(self._patience)
        except VnaError as exc:
            return str(exc)
        except TimeoutError:
            return f"gave no answer within {self._patience:g} s"
        return OK


class _Probe:
    """One call at a time: while one hangs, who asks next waits for the same."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="probe")
        self._pending: Future[None] | None = None

    def begin(self) -> Future[None]:
        pending = self._pending
        if pending is None or pending.done():
            pending = self._pending = self._executor.submit(self._call)
        return pending
