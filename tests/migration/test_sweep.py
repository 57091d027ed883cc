"""The search for every study, over sources that cap, ignore keys and answer twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vna.migration.study_query import StudyQuery
from vna.migration.sweep import IncompleteInventory, StudySweep, Truncated
from vna.model.migration import FoundStudy, Scope

TODAY = date(2024, 6, 1)


@dataclass
class Source:
    """An archive that gives `cap` records at most (0: all), each `times` times, and may ignore keys."""

    studies: list[FoundStudy]
    cap: int = 0
    times: int = 1
    ignores: frozenset[str] = frozenset()
    admits: bool = False
    asked: list[StudyQuery] = field(default_factory=list)

    def ask(self, query: StudyQuery) -> Iterator[FoundStudy]:
        self.asked.append(query)
        found = [s for s in self.studies if self._matches(query, s) for _ in range(self.times)]
        given = found[: self.cap] if self.cap else found
        yield from given
        if self.admits and len(given) < len(found):
            raise Truncated("more")

    def _matches(self, query: StudyQuery, study: FoundStudy) -> bool:
        uids = query.study_instance_uids
        return (
            self._fits("patient", _like(study.patient_id, query.patient_key))
            and self._fits("date", _in_range(study.study_date, query.study_date))
            and self._fits("time", _in_range(study.study_time, query.study_time))
            and self._fits("modality", not query.modality or query.modality in study.modalities)
            and self._fits("accession", _like(study.accession_number, query.accession_key))
            and (not uids or study.study_instance_uid in uids)
        )

    def _fits(self, key: str, fits: bool) -> bool:
        return fits or key in self.ignores


def _in_range(value: str, key: str) -> bool:
    if not key:
        return True
    first, _, last = key.partition("-")
    return bool(value) and first <= value <= (last or first)


def _like(value: str, key: str) -> bool:
    if key.endswith("*"):
        return value.startswith(key[:-1])
    return not key or value == key


def study(number: int, day: str = "20240101", time: str = "", **others: object) -> FoundStudy:
    values: dict[str, object] = {"patient_id": f"P{number:05}", "modalities": ("CT",), **others}
    return FoundStudy(f"1.2.{number}", study_date=day, study_time=time, **values)  # type: ignore[arg-type]


def swept(source: Source, scope: Scope | None = None, cap: int = 0) -> list[str]:
    sweep = StudySweep(source.ask, scope or Scope(), cap=cap, today=TODAY)
    return [found.study_instance_uid for found in sweep.studies()]


def spread(count: int) -> list[FoundStudy]:
    """Studies of two decades, several a day."""
    return [
        study(n, f"{2004 + n % 20}{1 + n % 12:02}{1 + n % 3:02}", f"{n % 24:02}{n % 60:02}00")
        for n in range(count)
    ]


def test_a_source_that_does_not_cap_is_asked_little() -> None:
    source = Source(spread(700))
    found = swept(source)
    assert sorted(found) == sorted(s.study_instance_uid for s in source.studies)
    assert len(source.asked) < 600


@pytest.mark.parametrize("admits", [False, True])
def test_a_cap_is_noticed_and_got_round(admits: bool) -> None:
    source = Source(spread(300), cap=30, admits=admits)
    found = swept(source)
    assert len(found) == len(set(found)) == 300


def test_a_known_cap_is_no_guess() -> None:
    source = Source(spread(200), cap=25)
    assert len(swept(source, cap=25)) == 200


def test_one_busy_minute_is_cut_by_modality_and_patient() -> None:
    same = [
        study(n, "20240101", "120000", modalities=("CT" if n % 2 else "ODD",)) for n in range(120)
    ]
    assert len(swept(Source(same, cap=15))) == 120


def test_studies_without_date_or_patient_are_found_behind_a_cap() -> None:
    undated = [study(2000 + n, "", patient_id=f"X{n}") for n in range(60)]
    nameless = [study(1000 + n, "", patient_id="", accession_number=f"A{n}") for n in range(40)]
    source = Source([*spread(60), *nameless, *undated], cap=20)
    assert len(swept(source)) == 160


def test_records_that_come_twice_count_as_records_and_not_as_studies() -> None:
    source = Source(spread(90), cap=30, times=3)
    assert len(swept(source)) == 90


def test_a_key_that_is_ignored_is_not_cut_by() -> None:
    same = [study(n, "20240101", "120000") for n in range(200)]
    source = Source(same, cap=50, ignores=frozenset({"time", "modality"}))
    assert len(swept(source)) == 200
    assert len(source.asked) < 6000


def test_what_can_not_be_cut_is_told_after_everything_was_given() -> None:
    same = [study(n, "20240101", "120000", patient_id="SAME") for n in range(80)]
    sweep = StudySweep(Source(same, cap=50).ask, Scope(), today=TODAY)
    found: list[FoundStudy] = []
    with pytest.raises(IncompleteInventory, match=r"50 results and not more for .*SAME"):
        found.extend(sweep.studies())
    assert len(found) == 50


def test_a_scope_narrows() -> None:
    source = Source([*spread(200), study(900, "", modalities=("MR",))])
    inside = swept(source, Scope(first_date=date(2010, 1, 1), last_date=date(2010, 12, 31)))
    assert sorted(inside) == sorted(
        s.study_instance_uid for s in source.studies if s.study_date.startswith("2010")
    )
    assert swept(source, Scope(modalities=("MR",))) == ["1.2.900"]
    assert swept(source, Scope(patient_id="P00007")) == ["1.2.7"]
    assert sorted(swept(source, Scope(study_instance_uids=("1.2.3", "1.2.5")))) == [
        "1.2.3",
        "1.2.5",
    ]


_days = st.one_of(
    st.just(""), st.dates(date(2020, 1, 1), date(2020, 1, 4)).map(lambda day: f"{day:%Y%m%d}")
)
_times = st.one_of(st.just(""), st.integers(0, 1439).map(lambda m: f"{m // 60:02}{m % 60:02}00"))


@given(
    st.lists(st.tuples(_days, _times, st.text("AB01-", min_size=1, max_size=4)), max_size=80),
    st.integers(10, 30),
)
def test_a_sweep_misses_nothing_that_has_a_patient_id(
    rows: list[tuple[str, str, str]], cap: int
) -> None:
    studies = [
        study(n, day, time, patient_id=f"{patient}{n}")
        for n, (day, time, patient) in enumerate(rows)
    ]
    found = swept(Source(studies, cap=cap))
    assert sorted(found) == sorted(s.study_instance_uid for s in studies)
