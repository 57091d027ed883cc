"""What a source hands over of one study: kept by the archive first, then noted in the ledger."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from vna.errors import InvalidInstance, Unavailable
from vna.index.transfer_ledger import TransferLedger
from vna.migration.rules.correcting import NotCorrectable, Patient
from vna.migration.rules.in_force import NO_RULES, InForce
from vna.migration.throttle import Throttle
from vna.model.campaign import InstanceItem, Landing, StudyItem
from vna.model.corrections import Correction
from vna.model.identifiers import Origin
from vna.model.migration import FoundInstance
from vna.services.store import StoreOutcome
from vna.spool import Spool, Spooled

_MOST_WAITING = 100
_NOTE_EVERY = 0.5


class Store(Protocol):
    """What is needed of vna.services.store.StoreService."""

    @property
    def spool(self) -> Spool: ...
    def store(
        self, spooled: Spooled, origin: Origin, *, correction: Correction | None = None
    ) -> StoreOutcome: ...


class Receiver:
    """Takes what comes of one study. `take` may be called by several threads.

    `landed` and `unlisted` count what has come of the listed instances and beside them; `refused` says of SOP Instance
    UIDs why they could not be kept, `uncorrectable` of others which rule stands against it. `patients`: whose the
    instances are, before and after they were corrected.
    """

    def __init__(
        self,
        store: Store,
        ledger: TransferLedger,
        study: StudyItem,
        items: Sequence[InstanceItem],
        origin: Origin,
        rules: InForce = NO_RULES,
    ) -> None:
        self.landed: set[int] = set()
        self.unlisted = 0
        self.size = 0
        self.refused: dict[str, str] = {}
        self.uncorrectable: dict[str, str] = {}
        self.patients: set[tuple[Patient, Patient]] = set()
        self._store, self._ledger, self._origin = store, ledger, origin
        self._study, self._rules = study, rules
        self._ids = {item.found: item.instance_id for item in items}
        self._by_uids = {_key(item.found): item.instance_id for item in items}
        self._lock = threading.Lock()
        self._noting = threading.Lock()
        self._waiting: list[Landing] = []
        self._noted_at = time.monotonic()

    def take(
        self,
        spooled: Spooled,
        found: FoundInstance | None,
        throttle: Throttle,
        should_stop: Callable[[], bool],
    ) -> None:
        """Keep one object. Raises InvalidInstance, OutOfSpace, Unavailable: it is not kept then."""
        throttle(spooled.size, should_stop)
        try:
            stored = self._stored(spooled)
        except InvalidInstance as exc:
            if found is not None:
                is_ours = isinstance(exc, NotCorrectable)
                with self._lock:
                    reasons = self.uncorrectable if is_ours else self.refused
                    reasons[found.uids.sop_instance_uid] = str(exc)
            raise
        landing = self._landing(spooled, stored, found)
        with self._lock:
            self.size += stored.size
            if landing.instance_id is None:
                self.unlisted += 1
            else:
                self.landed.add(landing.instance_id)
            self._waiting.append(landing)
            is_due = len(self._waiting) >= _MOST_WAITING
            is_due |= time.monotonic() - self._noted_at >= _NOTE_EVERY
        if is_due:
            self.note()

    def _stored(self, spooled: Spooled) -> StoreOutcome:
        """Raises NotCorrectable, InvalidInstance, OutOfSpace, Unavailable."""
        if self._rules.number is None:
            return self._store.store(spooled, self._origin)
        with spooled.buffer() as buffer:
            decision = self._rules.corrector.followed(buffer)
        stored = self._store.store(spooled, self._origin, correction=decision.correction)
        with self._lock:
            self.patients.add(decision.patients)
        return stored

    def note(self, *, is_last: bool = False) -> None:
        """Write down what has landed. The object is kept whatever becomes of the note: only the last one raises
        Unavailable.
        """
        with self._noting:
            with self._lock:
                notes, self._waiting = self._waiting, []
                self._noted_at = time.monotonic()
            if not notes:
                return
            try:
                self._ledger.landed(self._study.study_id, notes)
            except Unavailable:
                with self._lock:
                    self._waiting = notes + self._waiting
                if is_last:
                    raise

    def _landing(
        self, spooled: Spooled, stored: StoreOutcome, found: FoundInstance | None
    ) -> Landing:
        number = None
        if found is not None and found.uids.sop_instance_uid == stored.uids.sop_instance_uid:
            number = self._ids.get(found)
        if number is None:  # a source sends whole studies, too, with what was not wanted any more
            uids = stored.uids
            number = self._by_uids.get((uids.sop_instance_uid, uids.series_instance_uid))
        return Landing(
            number,
            stored.uids,
            stored.sop_class_uid,
            stored.transfer_syntax_uid,
            stored.outcome,
            stored.size,
            spooled.digest,
            stored.dataset_digest or spooled.digest,
            stored.conflict_id,
            self._rules.number,
        )


def _key(found: FoundInstance) -> tuple[str, str]:
    return found.uids.sop_instance_uid, found.uids.series_instance_uid
