"""Studies and instances of a DICOM source by C-FIND, however few results it gives at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice

from vna.migration import dicom_keys as tags
from vna.migration.dicom_find import Finder
from vna.migration.dicom_keys import Record, number, text
from vna.migration.dicom_link import DicomLink
from vna.migration.record_entry import instance_of, study_of
from vna.migration.sources.base import SourceError
from vna.migration.study_query import StudyQuery
from vna.migration.sweep import LEAST_CAP, IncompleteInventory, StudySweep, Truncated
from vna.model.migration import FoundInstance, FoundStudy, Scope

MISSES = 60
"""So many numbers behind the last known one are asked for in vain before an answer counts as whole."""

MOST_BESIDE = 5_000
"""So many results of a broader question are read: more would tell no more."""
_SERIES_BESIDE = 50

Keys = Mapping[int, str]

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
        self._longest: dict[str, tuple[int, Keys]] = {}
        self._takes_lists = True

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
            listed = list(series_numbers.records(_SERIES_KEYS, None))
            uids = [uid for series in listed if (uid := text(series, tags.SERIES_INSTANCE_UID))]
            beside = {**keys, tags.SERIES_INSTANCE_UID: "\\".join(uids[:_SERIES_BESIDE])}
            for series in listed:
                uid = text(series, tags.SERIES_INSTANCE_UID)
                if not uid:
                    continue
                below = {**keys, tags.SERIES_INSTANCE_UID: uid}
                numbers = _Numbers(self, finder, "IMAGE", tags.INSTANCE_NUMBER, below, beside)
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

    def answered(self, level: str, keys: Keys, count: int) -> None:
        """Remember which question had the longest answer."""
        with self._lock:
            if count >= self._longest.get(level, (1, {}))[0]:
                self._longest[level] = count, keys

    def broader(self, level: str, keys: Keys) -> Keys | None:
        """A question for what `keys` ask for and for what had the longest answer; None when there is no other such."""
        with self._lock:
            _, longest = self._longest.get(level, (0, {}))
            if not self._takes_lists:
                return None
        if not longest or longest.get(tags.PATIENT_ID) != keys.get(tags.PATIENT_ID):
            longest = keys
        joined = {tag: _joined(value, longest[tag]) for tag, value in keys.items()}
        return joined if any("\\" in value for value in joined.values()) else None

    def learn(self, level: str, count: int, *, of: int) -> bool:
        """A broader question was answered by `count` where a part of it was by `of`: whether that is no cap.

        Who does not understand lists of UIDs is not asked by them again.
        """
        with self._lock:
            self._most[level] = max(self._most[level], count)
            self._takes_lists = self._takes_lists and count >= of
            return count > of


class _Numbers:
    """One question below the study, asked number by number where its answer may be cut short."""

    def __init__(
        self,
        inventory: DicomInventory,
        finder: Finder,
        level: str,
        number_tag: int,
        keys: Keys,
        beside: Keys | None = None,
    ) -> None:
        """`beside`: keys for what `keys` ask for and for its neighbours."""
        self._inventory, self._finder, self._level = inventory, finder, level
        self._tag, self._keys, self._beside = number_tag, keys, beside or keys
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
        is_doubtful = self._inventory.is_doubtful(self._level, len(numbers), claimed)
        if is_short or (is_doubtful and not self._is_no_cap(len(numbers), len(known))):
            yield from self._numbered(wanted, claimed, known, numbers)

    def _is_no_cap(self, count: int, distinct: int) -> bool:
        """Whether the source gives more than `count` results: one broader question spares one for each number."""
        inventory, level = self._inventory, self._level
        broader = inventory.broader(level, self._beside)
        inventory.answered(level, self._keys, count)
        if broader is None:
            return False
        found: list[str] = []
        answers = self._finder.find(level, {self._uid: "", self._tag: "", **broader})
        # Whoever is gone does not answer what comes next either.
        with contextlib.suppress(SourceError), contextlib.closing(answers):
            found.extend(text(record, self._uid) for record in islice(answers, MOST_BESIDE))
        is_more = inventory.learn(level, len(found), of=count)
        return is_more and len(set(found)) > distinct

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
        keys = {**dict.fromkeys((*wanted, self._tag), ""), **self._keys, self._tag: value}
        return self._finder.find(self._level, keys)

    def _tell_gap(self, count: int, why: str) -> None:
        study = self._keys[tags.STUDY_INSTANCE_UID]
        self.gap = IncompleteInventory(
            f"the source gives {count} results and perhaps not all at the {self._level} level of study {study}, "
            f"and {why}: raise its limit of results, then take the inventory again"
        )


def _joined(value: str, other: str) -> str:
    """UIDs of two lists, each once."""
    return "\\".join(dict.fromkeys((*value.split("\\"), *other.split("\\"))))


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
