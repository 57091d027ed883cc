"""Makes the metadata documents of series that have come to rest, before a viewer asks for them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from vna.errors import VnaError
from vna.index.metadata_documents import DueSeries, MetadataDocumentIndex
from vna.services.metadata import VERSION, MetadataService

log = logging.getLogger(__name__)

HOLD_SECONDS = 900.0
"""How long a series is left to the process that has taken it: one that dies over it holds it up no longer."""


class SettlingService:
    """Works off the series that are due. Several processes may."""

    def __init__(
        self, documents: MetadataDocumentIndex, metadata: MetadataService, bulk_root: str
    ) -> None:
        self._documents = documents
        self._metadata = metadata
        self._bulk_root = bulk_root

    def work(self, settle_seconds: float, should_stop: Callable[[], bool] = lambda: False) -> int:
        """Make what is due; how many documents that were.

        A series whose objects can't be read is left to whoever asks for it. Raises Unavailable: what
        was begun is due again later.
        """
        made = 0
        while not should_stop():
            due = self._documents.take_due(settle_seconds, HOLD_SECONDS)
            if due is None:
                break
            made += self._make(due)
            self._documents.done(due)
        return made

    def _make(self, due: DueSeries) -> int:
        made = 0
        for state in self._documents.states(due.study_instance_uid, due.series_instance_uid):
            if self._documents.has(state, VERSION):
                continue
            try:
                self._metadata.make(state, self._bulk_root)
            except VnaError as exc:
                if exc.transient:
                    raise
                log.warning(
                    "no metadata document: %s",
                    exc,
                    extra={"series_instance_uid": due.series_instance_uid},
                )
            else:
                made += 1
        return made
