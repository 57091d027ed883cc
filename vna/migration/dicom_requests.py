"""What a C-MOVE or C-GET asks for: a study or series where all of it is wanted, else lists of instances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from vna.migration import dicom_keys as tags
from vna.model.migration import FoundInstance, FoundStudy
from vna.recent import Recent

UIDS_AT_ONCE = 50
_MOST_COUNTS = 10_000
Keys = Mapping[int, str]
Request = tuple[Keys, list[FoundInstance]]


def requests(
    study: FoundStudy,
    wanted: Sequence[FoundInstance],
    known: Sequence[FoundInstance] = (),
    *,
    with_patient: bool,
) -> Iterator[Request]:
    """Keys of one request after the other, with the instances that each is to bring.

    The study is asked for where all of it is wanted, series where all that are `known` of them are.
    """
    above = {tags.STUDY_INSTANCE_UID: study.study_instance_uid}
    if with_patient:
        above[tags.PATIENT_ID] = study.patient_id
    if is_whole(study, wanted, known):
        yield {**above, tags.LEVEL: "STUDY"}, list(wanted)
        return
    whole = whole_series(wanted, known)
    for uid, instances in _by_series(wanted).items():
        if uid in whole:
            yield _series_of(above, uid), instances
        else:
            yield from _lists_of(above, uid, instances)


def narrower(keys: Keys, wanted: Sequence[FoundInstance]) -> Iterator[Request]:
    """The same instances by requests of the next level: series, lists of instances, and each instance alone."""
    level = keys[tags.LEVEL]
    above = {tag: keys[tag] for tag in (tags.STUDY_INSTANCE_UID, tags.PATIENT_ID) if tag in keys}
    if level == "IMAGE":
        for found in wanted if len(wanted) > 1 else ():
            yield _list_of(above, found.uids.series_instance_uid, [found])
        return
    for uid, instances in _by_series(wanted).items():
        if level == "STUDY" and len(instances) > 1:
            yield _series_of(above, uid), instances
        else:
            yield from _lists_of(above, uid, instances)


def is_whole(
    study: FoundStudy, wanted: Sequence[FoundInstance], known: Sequence[FoundInstance] = ()
) -> bool:
    """Whether no less than the study is wanted, as far as its number of instances is known."""
    if study.number_of_instances is None and not known:
        return True
    return len(wanted) >= max(study.number_of_instances or 0, len(known))


def whole_series(
    wanted: Sequence[FoundInstance], known: Sequence[FoundInstance]
) -> dict[str, list[FoundInstance]]:
    """Series of several instances of which all that are known are wanted, by their UIDs."""
    sizes = {uid: len(instances) for uid, instances in _by_series(known).items()}
    return {
        uid: instances
        for uid, instances in _by_series(wanted).items()
        if 1 < sizes.get(uid, 0) <= len(instances)
    }


def _by_series(instances: Sequence[FoundInstance]) -> dict[str, list[FoundInstance]]:
    series: dict[str, list[FoundInstance]] = {}
    for found in instances:
        series.setdefault(found.uids.series_instance_uid, []).append(found)
    return series


def _series_of(above: Keys, series_instance_uid: str) -> Keys:
    return {**above, tags.LEVEL: "SERIES", tags.SERIES_INSTANCE_UID: series_instance_uid}


def _lists_of(
    above: Keys, series_instance_uid: str, instances: list[FoundInstance]
) -> Iterator[Request]:
    for at in range(0, len(instances), UIDS_AT_ONCE):
        yield _list_of(above, series_instance_uid, instances[at : at + UIDS_AT_ONCE])


def _list_of(above: Keys, series_instance_uid: str, instances: list[FoundInstance]) -> Request:
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
        self._counts: Recent[str, int] = Recent(_MOST_COUNTS)

    def counting(
        self, study: FoundStudy, found: Iterator[FoundInstance]
    ) -> Iterator[FoundInstance]:
        """`found`, remembered when it has come to its end."""
        count = 0
        for instance in found:
            count += 1
            yield instance
        self._counts.put(study.study_instance_uid, count)

    def known(self, study: FoundStudy) -> FoundStudy:
        """The study with a number of instances, where one is known."""
        if study.number_of_instances is not None:
            return study
        return replace(study, number_of_instances=self._counts.get(study.study_instance_uid))
