"""Which values of an instance metadata leave out."""

from __future__ import annotations

from vna.model.instances import StoredInstance
from vna.services.header_json import header_json
from vna.services.retrieve import RetrieveService


def bulk_paths(retrieve: RetrieveService, instance: StoredInstance) -> list[str]:
    """The paths behind "bulkdata/" of all that its metadata give by URI, in order.

    Raises Corrupt, Unavailable.
    """
    paths: list[str] = []

    def uri(path: str) -> str:
        paths.append(path)
        return path

    header_json(retrieve, instance, uri)
    return paths
