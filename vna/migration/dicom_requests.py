"""What a C-MOVE or C-GET asks for: whole studies where all is wanted, else lists of instances."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from vna.migration import dicom_keys as tags
from vna.model.migration import FoundInstance, FoundStudy

UIDS_AT_ONCE = 50
_MOST_COUNTS = 10_000
Keys = Mapping[int, str]


def requests(
    study: FoundStudy, wanted: Sequence[FoundInstance], *, with_patient: bool
) -> Iterator[tuple[Keys, list[FoundInstance]]]:
    """Keys of one request after the other, with the instances that each is to bring."""
    above = {tags.STUDY_INSTANCE_UID: study.study_instance_uid}
    if with_patient:
        above[tags.PATIENT_ID] = study.patient_id
    if is_whole(study, wanted):
        yield {**above, tags.LEVEL: "STUDY"}, list(wanted)
        return
    series: dict[str, list[FoundInstance]] = {}
    for found in wanted:
        series.setdefault(found.uids.series_instance_uid, []).append(found)
    for uid, instances in series.items():
        for at in range(0, len(instances), UIDS_AT_ONCE):
            yield _list_of(above, uid, instances[at : at + UIDS_AT_ONCE])


def singly(
    keys: Keys, wanted: Sequence[FoundInstance]
) -> Iterator[tuple[Keys, list[FoundInstance]]]:
    """The same instances, each in a request of its own, for a source that understands no lists."""
    above = {tag: value for tag, value in keys.items() if tag != tags.SOP_INSTANCE_UID}
    for found in wanted:
        yield _list_of(above, found.uids.series_instance_uid, [found])


def is_whole(study: FoundStudy, wanted: Sequence[FoundInstance]) -> bool:
    """Whether no less than the study is wanted, as far as its number of instances is known."""
    return study.number_of_instances is None or len(wanted) >= study.number_of_instances


def _list_of(
    above: Keys, series_instance_uid: str, instances: list[FoundInstance]
) -> tuple[Keys, list[FoundInstance]]:
    uids = "\\".join(found.uids.sop_instance_uid for found in instances)
    keys = {
        **above,
        tags.LEVEL: "IMAGE",
        tags.SERIES_INSTANCE_UID: series_instance_uid,
        tags.SOP_INSTANCE_UID: uids,
    }
    return keys, instances


class ListedCounts:
    """How many instances of a study were listed lately, for sources that do not count them. Shared by threads."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def counting(
        self, study: FoundStudy, found: Iterator[FoundInstance]
    ) -> Iterator[FoundInstance]:
        """`found`, remembered when it has come to its end."""
        count = 0
        for instance in found:
            count += 1
            yield instance
        with self._lock:
            self._counts[study.study_instance_uid] = count
            self._counts.move_to_end(study.study_instance_uid)
            if len(self._counts) > _MOST_COUNTS:
                self._counts.popitem(last=False)

    def known(self, study: FoundStudy) -> FoundStudy:
        """The study with a number of instances, where one is known."""
        if study.number_of_instances is not None:
            return study
        with self._lock:
            return replace(study, number_of_instances=self._counts.get(study.study_instance_uid))
