"""Deletion: into a trash, back again, and after some days for good."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from vna import metrics
from vna.errors import NotFound, VnaError
from vna.index.trash import TrashIndex
from vna.model.identifiers import InstanceUids, Origin
from vna.model.trash import Deleted, Restored, SweptItem, Trashed, TrashEntry
from vna.services.storage import ObjectStore

log = logging.getLogger(__name__)

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed: `items` of the trash, and how many stay since their objects could not be removed now."""

    items: int
    failed: int


class TrashService:
    """Deletes and restores. Shared by all threads; everything raises Unavailable."""

    def __init__(self, index: TrashIndex, objects: ObjectStore, keep_days: int) -> None:
        """`keep_days`: how long what was deleted can be restored."""
        self._index = index
        self._objects = objects
        self.keep_days = keep_days

    def delete(self, uids: InstanceUids, origin: Origin) -> Deleted:
        """Move a study, series or instance ("" leaves the levels below open) into the trash, audited.

        No object is touched. Raises NotFound when there is nothing.
        """
        deleted = self._index.delete(uids, origin)
        if deleted is None:
            raise NotFound("the archive has nothing of that name to delete")
        metrics.INSTANCES_DELETED.labels(origin.door).inc(deleted.instances)
        log.info(
            "moved into the trash",
            extra={
                "trash": deleted.trash_id,
                "study_instance_uid": uids.study_instance_uid,
                "instances": deleted.instances,
                "correlation": origin.correlation_id,
            },
        )
        return deleted

    def entries(self, study_instance_uid: str = "") -> Iterator[TrashEntry]:
        """What is in the trash (of a study), the oldest first."""
        last = 0
        while page := self._index.entries(study_instance_uid, last):
            yield from page
            last = page[-1].trash_id

    def page(self, study_instance_uid: str, after: int, limit: int) -> list[TrashEntry]:
        """Up to `limit` of `entries` whose id is above `after`."""
        return self._index.entries(study_instance_uid, after, limit)

    def kept_until(self, deleted_at: datetime) -> datetime:
        """Until when what was deleted then can be restored."""
        return deleted_at + timedelta(days=self.keep_days)

    def find(self, uids: InstanceUids) -> Trashed | None:
        """Where what `uids` names ("" leaves levels open) can be restored from; None where it is visible,
        or the trash has nothing of it.
        """
        found = self._index.find(uids)
        return None if found is None else Trashed(*found, self.kept_until(found[1]))

    def restore(self, trash_id: int, origin: Origin) -> Restored:
        """Make an entry visible again, as though its instances were stored once more: audited, at once or not at all.

        Raises NotFound when there is no such entry, or its sweep has begun.
        """
        restored = self._index.restore(trash_id, origin)
        if restored is None:
            raise NotFound(
                f"there is nothing to restore in entry {trash_id} of the trash: it was restored or swept"
            )
        metrics.INSTANCES_RESTORED.inc(restored.restored)
        return restored

    def sweep(
        self,
        origin: Origin,
        days: int | None = None,
        trash_id: int | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Swept:
        """Remove for good what was deleted `days` (else `keep_days`) days ago or before, or one entry of that age.

        Harmless to repeat and to run on several nodes; killed at any moment, the next sweep goes on. What can't
        be removed now holds up nothing else.
        """
        days = self.keep_days if days is None else days
        removed, failed, last = 0, 0, 0
        while not should_stop() and (claimed := self._index.claim(days, last, _AT_ONCE, trash_id)):
            done = [item.item_id for item in claimed if self._remove(item)]
            removed += self._index.swept(done, origin)
            failed += len(claimed) - len(done)
            last = claimed[-1].item_id
        self._index.forget(days)
        metrics.TRASH_SWEPT.inc(removed)
        return Swept(removed, failed)

    def _remove(self, item: SweptItem) -> bool:
        """Whether nothing is left of the item's objects but what others still name."""
        is_gone = True
        for place in item.objects:
            try:
                self._objects.remove(place)
            except VnaError as exc:
                is_gone = False
                log.warning(
                    "an object of the trash could not be removed; the next sweep tries again: %s",
                    exc,
                    extra={"backend": place.backend, "key": place.key},
                )
        return is_gone
