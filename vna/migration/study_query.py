"""A question for studies, and how it is cut into smaller ones when a source does not answer it in full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum
from typing import Any

from vna.model.migration import FoundStudy

DAY_MINUTES = 24 * 60
MAX_PREFIX = 64
"""The longest Patient ID (LO), and more than an Accession Number (SH) has."""

MODALITIES = (
    "CR", "CT", "DX", "MR", "US", "XA", "RF", "MG", "NM", "PT", "OT", "SC", "SR", "PR", "KO", "ES", "IO",
    "PX", "ECG", "OP", "OPT", "SM", "XC", "RTIMAGE", "RTDOSE", "RTSTRUCT", "RTPLAN", "SEG", "REG", "DOC",
)  # fmt: skip
"""Those that most archives hold; an inventory adds what it meets."""

PREFIX_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_./ "
"""With which identifiers begin; an inventory adds what it meets. Never the wildcards."""

_WILDCARDS = frozenset("*?\\")


class Axis(Enum):
    """A key along which a question can be cut."""

    DATE = "Study Date"
    TIME = "Study Time"
    MODALITY = "Modalities in Study"
    PATIENT = "Patient ID"
    ACCESSION = "Accession Number"


_DATED: tuple[Axis, ...] = (Axis.DATE, Axis.TIME, Axis.MODALITY, Axis.PATIENT, Axis.ACCESSION)
_DATELESS: tuple[Axis, ...] = (Axis.PATIENT, Axis.ACCESSION, Axis.MODALITY)
_WITH_ACCESSION = (Axis.ACCESSION, Axis.DATE, Axis.TIME, Axis.MODALITY, Axis.PATIENT)
_EMPTY: Mapping[Axis, tuple[tuple[str, Any], ...]] = {
    Axis.DATE: (("dates", None),),
    Axis.TIME: (("minutes", None),),
    Axis.MODALITY: (("modality", ""),),
    Axis.PATIENT: (("patient_id", ""), ("patient_is_prefix", False)),
    Axis.ACCESSION: (("accession_number", ""), ("accession_is_prefix", False)),
}


@dataclass(frozen=True, slots=True)
class StudyQuery:
    """Keys of a question at the STUDY level; None and "" do not narrow.

    `dates` inclusive; `minutes` of the day, the second one whole; `patient_id` and `accession_number`: a prefix where
    their flag says so, else the whole value.
    """

    dates: tuple[date, date] | None = None
    minutes: tuple[int, int] | None = None
    modality: str = ""
    patient_id: str = ""
    patient_is_prefix: bool = False
    accession_number: str = ""
    accession_is_prefix: bool = False
    study_instance_uids: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether nothing narrows it but a modality."""
        return self == StudyQuery(modality=self.modality)

    @property
    def study_date(self) -> str:
        """The key (0008,0020): empty, a date or a range."""
        if self.dates is None:
            return ""
        first, last = (f"{day:%Y%m%d}".zfill(8) for day in self.dates)
        return first if first == last else f"{first}-{last}"

    @property
    def study_time(self) -> str:
        """The key (0008,0030): empty or a range."""
        if self.minutes is None:
            return ""
        first, last = (f"{minute // 60:02}{minute % 60:02}" for minute in self.minutes)
        return f"{first}00-{last}59.999999"

    @property
    def patient_key(self) -> str:
        """The key (0010,0020) with its wildcard."""
        return f"{self.patient_id}*" if self.patient_is_prefix else self.patient_id

    @property
    def accession_key(self) -> str:
        """The key (0008,0050) with its wildcard."""
        return f"{self.accession_number}*" if self.accession_is_prefix else self.accession_number

    def __str__(self) -> str:
        named = {
            Axis.DATE: self.study_date,
            Axis.TIME: self.study_time,
            Axis.MODALITY: self.modality,
            Axis.PATIENT: self.patient_key,
            Axis.ACCESSION: self.accession_key,
        }
        return ", ".join(f"{axis.value} {key}" for axis, key in named.items() if key) or "no key"

    def disproved_by(self, study: FoundStudy) -> list[Axis]:
        """The keys that this answer does not fit; none when it fits, or does not say."""
        time = study.study_time[:4]
        fits = {
            Axis.DATE: self.dates is None or _is_within(study.study_date, self.dates),
            Axis.TIME: self.minutes is None
            or not (len(time) == 4 and time.isdigit())
            or self.minutes[0] <= int(time[:2]) * 60 + int(time[2:]) <= self.minutes[1],
            Axis.MODALITY: not self.modality
            or not study.modalities
            or self.modality in study.modalities,
            Axis.PATIENT: _begins(study.patient_id, self.patient_id),
            Axis.ACCESSION: _begins(study.accession_number, self.accession_number),
        }
        return [axis for axis, is_right in fits.items() if not is_right]

    def axes(self) -> list[Axis]:
        """Along which it can still be cut, the best first."""
        dated = _DATELESS if self.dates is None else _DATED
        order = _WITH_ACCESSION if self.accession_number else dated
        return [axis for axis in order if self._can_cut(axis)]

    def without(self, axes: AbstractSet[Axis]) -> StudyQuery:
        """The question without these keys, as a source that ignores them understands it."""
        return replace(self, **{name: none for axis in axes for name, none in _EMPTY[axis]})

    def cut(
        self, axis: Axis, modalities: Iterable[str], characters: Iterable[str]
    ) -> list[StudyQuery]:
        """The smaller questions; together they find what this one does, as far as studies have a value there.

        `modalities` and `characters` (of the next position of a prefix) are those that are to be asked for.
        """
        match axis:
            case Axis.DATE:
                return self._cut_dates()
            case Axis.TIME:
                return self._cut_times()
            case Axis.MODALITY:
                return [replace(self, modality=modality) for modality in modalities]
            case Axis.PATIENT:
                parts = _prefixes(self.patient_id, characters)
                return [
                    replace(self, patient_id=text, patient_is_prefix=more) for text, more in parts
                ]
            case Axis.ACCESSION:
                parts = _prefixes(self.accession_number, characters)
                return [
                    replace(self, accession_number=text, accession_is_prefix=more)
                    for text, more in parts
                ]

    def _can_cut(self, axis: Axis) -> bool:
        match axis:
            case Axis.DATE:
                return self.dates is not None and self.dates[0] < self.dates[1]
            case Axis.TIME:
                return self.minutes is None or self.minutes[0] < self.minutes[1]
            case Axis.MODALITY:
                return not self.modality
            case Axis.PATIENT:
                return _can_grow(self.patient_id, self.patient_is_prefix)
            case Axis.ACCESSION:
                return _can_grow(self.accession_number, self.accession_is_prefix)

    def _cut_dates(self) -> list[StudyQuery]:
        assert self.dates is not None  # noqa: S101 - `axes` offers nothing else
        first, last = self.dates
        middle = first + (last - first) // 2
        halves = ((first, middle), (middle + timedelta(1), last))
        return [replace(self, dates=half) for half in halves]

    def _cut_times(self) -> list[StudyQuery]:
        first, last = self.minutes or (0, DAY_MINUTES - 1)
        middle = (first + last) // 2
        return [replace(self, minutes=half) for half in ((first, middle), (middle + 1, last))]


def valued_axes(study: FoundStudy) -> frozenset[Axis]:
    """Those along which this study has a value, so that a part of a cut finds it."""
    values = {
        Axis.DATE: study.study_date,
        Axis.TIME: study.study_time,
        Axis.MODALITY: study.modalities,
        Axis.PATIENT: study.patient_id,
        Axis.ACCESSION: study.accession_number,
    }
    return frozenset(axis for axis, value in values.items() if value)


def usable_characters(text: str) -> set[str]:
    """Those that may stand in a prefix: none that would be a wildcard or a separator."""
    return {character for character in text if character not in _WILDCARDS and ord(character) >= 32}


def _prefixes(prefix: str, characters: Iterable[str]) -> list[tuple[str, bool]]:
    """(value, whether it is a prefix): longer ones, and the value that ends here.

    None begins with a blank, which means nothing there (PS3.5 6.2): such a prefix would find everything.
    """
    longer = [(prefix + character, True) for character in characters if prefix or character != " "]
    return [(prefix, False), *longer] if prefix else longer


def _can_grow(value: str, is_prefix: bool) -> bool:
    return not value or (is_prefix and len(value) < MAX_PREFIX)


def _is_within(text: str, dates: tuple[date, date]) -> bool:
    """Whether a DA text is in the range; what is no date does not disprove anything."""
    if len(text) != 8 or not text.isdigit():
        return True
    first, last = (f"{day:%Y%m%d}".zfill(8) for day in dates)
    return first <= text <= last


def _begins(value: str, asked: str) -> bool:
    """Whether a value begins as asked; sources may ignore case and blanks, which disproves nothing."""
    return not asked or not value or value.strip().lower().startswith(asked.strip().lower())
