"""Objects of a backend beside the rows that name them, both by key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from storage_backends.base import ObjectInfo
from vna.model.verification import KeptRow


def merged(
    objects: Iterable[ObjectInfo], rows: Iterable[KeptRow]
) -> Iterator[tuple[str, ObjectInfo | None, list[KeptRow]]]:
    """Each key with its object, if there is one, and the rows that name it; both have to come by key."""
    there, named = iter(objects), groupby(rows, lambda row: row.location.key)
    found, group = next(there, None), next(named, None)
    while found is not None or group is not None:
        if found is not None and (group is None or found.key < group[0]):
            yield found.key, found, []
            found = next(there, None)
        elif group is not None and (found is None or found.key > group[0]):
            yield group[0], None, list(group[1])
            group = next(named, None)
        elif found is not None and group is not None:
            yield found.key, found, list(group[1])
            found, group = next(there, None), next(named, None)
