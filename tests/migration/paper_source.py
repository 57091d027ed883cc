"""A source whose contents, and whose faults, a test writes down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from vna.dicom.header import read_header
from vna.errors import VnaError
from vna.index.inventory_ledger import InventoryLedger
from vna.migration.sources.base import ShouldStop, SourceUnavailable, Take
from vna.model.campaign import Campaign
from vna.model.migration import (
    Capabilities,
    FetchFailure,
    FetchReport,
    FoundInstance,
    FoundStudy,
    Scope,
)
from vna.spool import Spool


@dataclass
class PaperSource:
    """Objects by their SOP Instance UID, in the order in which they were added.

    `sends` changes what is sent in an object's place (None: nothing); `before_fetch` is called with the study, and may
    raise; `before_object` before each object.
    """

    spool: Spool
    objects: dict[str, bytes] = field(default_factory=dict)
    keeps_bytes: bool = True
    claims: dict[str, int] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    sends: Callable[[bytes], bytes | None] = lambda data: data
    before_fetch: Callable[[str], object] = lambda _: None
    before_object: Callable[[], object] = lambda: None
    asked: list[tuple[str, ...]] = field(default_factory=list)
    most_at_once: int = 0
    busy: bool = False
    is_away: bool = False
    is_closed: bool = False
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, data: bytes) -> str:
        """Another object; its UID."""
        uid = read_header(data).uids.sop_instance_uid
        self.objects[uid] = data
        return uid

    def capabilities(self) -> Capabilities:
        return Capabilities("paper", keeps_bytes=self.keeps_bytes)

    def check(self) -> None:
        if self.is_away:
            raise SourceUnavailable("nobody there")

    def studies(self, scope: Scope) -> Iterator[FoundStudy]:
        del scope
        uids = dict.fromkeys(
            read_header(data).uids.study_instance_uid for data in self.objects.values()
        )
        for uid in uids:
            count = self.claims.get(uid, len(list(self.instances(FoundStudy(uid)))))
            yield FoundStudy(uid, "PID-1", study_date="20240131", number_of_instances=count)

    def instances(self, study: FoundStudy) -> Iterator[FoundInstance]:
        for uid, data in self.objects.items():
            header = read_header(data)
            if (
                header.uids.study_instance_uid == study.study_instance_uid
                and uid not in self.hidden
            ):
                yield FoundInstance(
                    header.uids,
                    header.sop_class_uid,
                    header.transfer_syntax_uid,
                    size=len(data),
                    modality="OT",
                )

    def fetch(
        self,
        study: FoundStudy,
        wanted: Sequence[FoundInstance],
        take: Take,
        should_stop: ShouldStop,
        known: Sequence[FoundInstance] = (),
    ) -> FetchReport:
        assert not known or set(wanted) <= set(known)
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            self.asked.append(tuple(found.uids.sop_instance_uid for found in wanted))
        try:
            self.before_fetch(study.study_instance_uid)
            return self._fetch(wanted, take, should_stop)
        finally:
            with self._lock:
                self._now -= 1

    def _fetch(
        self, wanted: Sequence[FoundInstance], take: Take, should_stop: ShouldStop
    ) -> FetchReport:
        by_uid = {found.uids.sop_instance_uid: found for found in wanted}
        failures, taken, size = [], 0, 0
        for uid in by_uid:
            if should_stop():
                return FetchReport(taken, size, was_stopped=True)
            self.before_object()
            data = self.sends(self.objects[uid])
            if data is None:
                continue
            own = _uid_of(data) or uid
            with self.spool.open() as writer:
                writer.write(data)
                with writer.finish() as spooled:
                    try:
                        take(spooled, by_uid.get(own))
                    except VnaError as exc:
                        if exc.transient:
                            raise
                        failures.append(FetchFailure(own, str(exc)))
                        continue
            taken, size = taken + 1, size + len(data)
        return FetchReport(taken, size, 0.0, tuple(failures), "all went well", self.busy)

    def close(self) -> None:
        self.is_closed = True


def _uid_of(data: bytes) -> str:
    try:
        return read_header(data).uids.sop_instance_uid
    except VnaError:
        return ""


def take_stock(source: PaperSource, ledger: InventoryLedger, campaign: Campaign) -> int:
    """An inventory, down to the instances; its number."""
    number = ledger.begin(campaign)
    ledger.studies(campaign, number, list(source.studies(campaign.scope)))
    for study_id, study in ledger.unlisted(campaign, number):
        ledger.instances(study_id, number, list(source.instances(study)))
    ledger.end(campaign, number)
    return number
