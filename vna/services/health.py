"""Whether the archive could serve now: database and storage really probed."""

from __future__ import annotations

from collections.abc import Callable

from vna.errors import VnaError
from vna.index.database import Database
from vna.services.storage import ObjectStore

OK = "ok"


class HealthService:
    """Probes what every request depends on."""

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    def check(self) -> dict[str, str]:
        """Part -> "ok" or the reason why not."""
        return {
            "database": _probe(self._database.ping),
            "storage": _probe(self._objects.probe),
        }


def _probe(call: Callable[[], None]) -> str:
    try:
        call()
    except VnaError as exc:
        return str(exc)
    return OK
