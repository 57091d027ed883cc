"""Studies and instances of a DICOM source by C-FIND, however few results it gives at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

from vna.migration import dicom_keys as tags
from vna.migration.dicom_find import Finder
from vna.migration.dicom_keys import Record, number, text
from vna.migration.dicom_link import DicomLink
from vna.migration.record_entry import instance_of, study_of
from vna.migration.study_query import StudyQuery
from vna.migration.sweep import LEAST_CAP, IncompleteInventory, StudySweep, Truncated
from vna.model.migration import FoundInstance, FoundStudy, Scope

MISSES = 60
"""So many numbers behind the last known one are asked for in vain before an answer counts as whole."""

_STUDY_KEYS = (
    tags.STUDY_TIME, tags.ACCESSION_NUMBER, tags.MODALITIES_IN_STUDY, tags.STUDY_DESCRIPTION,
    tags.ISSUER_OF_PATIENT_ID, tags.STUDY_INSTANCES,
)  # fmt: skip
_SERIES_KEYS = (tags.SERIES_INSTANCE_UID, tags.MODALITY, tags.SERIES_INSTANCES)
_IMAGE_KEYS = (
    tags.SOP_CLASS_UID, tags.SOP_INSTANCE_UID, tags.NUMBER_OF_FRAMES, tags.AVAILABLE_SYNTAX,
)  # fmt: skip


class DicomInventory:
    """Asks by C-FIND; shared by threads, each question sequence on an association of its own."""

    def __init__(self, link: DicomLink) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._most = {"SERIES": 0, "IMAGE": 0}

    def studies(self, scope: Scope) -> StudySweep:
        """The sweep; its association is closed when its `studies` end."""
        finder = Finder(self._link)
        return StudySweep(
            partial(_studies, finder),
            scope,
            cap=self._link.options.max_results,
            close=finder.close,
        )

    def instances(self, study: FoundStudy) -> Iterator[FoundInstance]:
        """All of a study. Raises IncompleteInventory behind the last one that the source shows."""
        keys = {tags.STUDY_INSTANCE_UID: study.study_instance_uid}
        if self._link.options.model == "patient":
            keys[tags.PATIENT_ID] = study.patient_id
        found = 0
        gap: IncompleteInventory | None = None
        with Finder(self._link) as finder:
            series_numbers = _Numbers(self, finder, "SERIES", tags.SERIES_NUMBER, keys)
            for series in list(series_numbers.records(_SERIES_KEYS, None)):
                uid = text(series, tags.SERIES_INSTANCE_UID)
                if not uid:
                    continue
                below = {**keys, tags.SERIES_INSTANCE_UID: uid}
                numbers = _Numbers(self, finder, "IMAGE", tags.INSTANCE_NUMBER, below)
                for image in numbers.records(_IMAGE_KEYS, number(series, tags.SERIES_INSTANCES)):
                    found += 1
                    yield instance_of(study, series, image)
                gap = gap or numbers.gap
        claimed = study.number_of_instances
        gap = gap or series_numbers.gap
        if gap is not None and (claimed is None or found < claimed):
            raise gap

    def is_doubtful(self, level: str, count: int, claimed: int | None) -> bool:
        """Whether an answer may have been cut short: none was longer, and the source does not count just as many."""
        with self._lock:
            most = self._most[level] = max(self._most[level], count)
        cap = self._link.options.max_results
        if cap and count < cap:
            return False
        return count >= max(most, LEAST_CAP) and claimed != count


class _Numbers:
    """One question below the study, asked number by number where its answer may be cut short."""

    def __init__(
        self,
        inventory: DicomInventory,
        finder: Finder,
        level: str,
        number_tag: int,
        keys: dict[int, str],
    ) -> None:
        self._inventory, self._finder, self._level = inventory, finder, level
        self._tag, self._keys = number_tag, keys
        self._uid = tags.SERIES_INSTANCE_UID if level == "SERIES" else tags.SOP_INSTANCE_UID
        self.gap: IncompleteInventory | None = None

    def records(self, wanted: tuple[int, ...], claimed: int | None) -> Iterator[Record]:
        """Every record once."""
        known: set[str] = set()
        numbers: list[int | None] = []
        is_short = False
        try:
            for record in self._ask(wanted, ""):
                known.add(text(record, self._uid))
                numbers.append(number(record, self._tag))
                yield record
        except Truncated:
            is_short = True
        if is_short or self._inventory.is_doubtful(self._level, len(numbers), claimed):
            yield from self._numbered(wanted, claimed, known, numbers)

    def _numbered(
        self,
        wanted: tuple[int, ...],
        claimed: int | None,
        known: set[str],
        numbers: list[int | None],
    ) -> Iterator[Record]:
        seen = [value for value in numbers if value is not None]
        last = max(seen, default=0)
        value = 0
        while value <= last + MISSES and (claimed is None or len(known) < claimed):
            for record in self._ask(wanted, str(value)):
                told = number(record, self._tag)
                if told != value:
                    self._tell_gap(len(known), f"ignores {_NAMES[self._level]} as a key")
                    return
                last = max(last, told)
                uid = text(record, self._uid)
                if uid not in known:
                    known.add(uid)
                    yield record
            value += 1
        if len(seen) < len(numbers) and (claimed is None or len(known) < claimed):
            self._tell_gap(len(known), f"has some without {_NAMES[self._level]}")

    def _ask(self, wanted: tuple[int, ...], value: str) -> Iterator[Record]:
        keys = dict.fromkeys((*wanted, self._tag), "") | self._keys | {self._tag: value}
        return self._finder.find(self._level, keys)

    def _tell_gap(self, count: int, why: str) -> None:
        study = self._keys[tags.STUDY_INSTANCE_UID]
        self.gap = IncompleteInventory(
            f"the source gives {count} results and perhaps not all at the {self._level} level of study {study}, "
            f"and {why}: raise its limit of results, then take the inventory again"
        )


_NAMES = {"SERIES": "Series Number", "IMAGE": "Instance Number"}


def _studies(finder: Finder, query: StudyQuery) -> Iterator[FoundStudy]:
    keys = dict.fromkeys(_STUDY_KEYS, "")
    keys |= {
        tags.STUDY_DATE: query.study_date,
        tags.STUDY_TIME: query.study_time,
        tags.MODALITIES_IN_STUDY: query.modality,
        tags.PATIENT_ID: query.patient_key,
        tags.ACCESSION_NUMBER: query.accession_key,
        tags.STUDY_INSTANCE_UID: "\\".join(query.study_instance_uids),
    }
    for record in finder.find("STUDY", keys):
        study = study_of(record)
        if study.study_instance_uid:
            yield study
