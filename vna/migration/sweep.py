"""The search that finds every study of a source that gives away only so many results at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from vna.migration.sources.base import SourceError, SourceUnavailable
from vna.migration.study_query import (
    MODALITIES,
    PREFIX_CHARACTERS,
    Axis,
    StudyQuery,
    usable_characters,
    valued_axes,
)
from vna.model.migration import FoundStudy, Scope

LEAST_CAP = 10
"""No source gives away fewer results than this: so few are all there are."""

MOST_CAPPED = 20_000
"""Who answers with so many does not cap."""

UIDS_AT_ONCE = 25
MOST_REFUSED = 200
"""So many questions in a row without any answer: it is not for their breadth that the source refuses them."""
_FIRST_YEAR = 1980
_EARLIEST, _LATEST = date(1, 1, 1), date(9999, 12, 31)

Ask = Callable[[StudyQuery], Iterator[FoundStudy]]
"""Every record of the answer, doubles included. It raises Truncated behind the last one when the source says that there
are more."""


class Truncated(SourceError):
    """The source itself says that it did not answer in full; what it gave came before."""


class IncompleteInventory(SourceError):
    """More is there than the source can be made to show; everything that it showed has been given before."""


@dataclass(slots=True)
class SweepFacts:
    """What a sweep has learnt: `most` records in one answer, and the cap that it met (0: none)."""

    queries: int = 0
    records: int = 0
    most: int = 0
    cap: int = 0


@dataclass(slots=True)
class _Answer:
    """What is remembered of one answer; `kinds` are the sets of axes that its studies have values along."""

    query: StudyQuery
    count: int = 0
    is_short: bool = False
    kinds: set[frozenset[Axis]] = field(default_factory=set)
    wrong: Counter[Axis] = field(default_factory=Counter)

    @property
    def ignored(self) -> set[Axis]:
        """The keys that most of its studies do not fit."""
        return {axis for axis, times in self.wrong.items() if 2 * times > self.count}


class StudySweep:
    """One pass over a source's studies, for one thread.

    A cap that never changes can't hide anything in an answer that is shorter than the longest one: only answers of just
    that length are in doubt. They are asked again in parts, by date, time, modality and Patient ID, until the parts
    are shorter, or some other answer is longer. That costs next to nothing where there is no cap. Studies
    without a date are found by a second pass that uses no dates.
    """

    def __init__(
        self,
        ask: Ask,
        scope: Scope,
        *,
        cap: int = 0,
        close: Callable[[], None] | None = None,
        today: date | None = None,
    ) -> None:
        """`cap`: the most results that the source is known to give; 0: not known. `close` is called at the end."""
        self._ask, self._scope, self._close = ask, scope, close
        self._today = today or datetime.now(UTC).date()
        self._known: set[str] = set()
        self._modalities = dict.fromkeys(MODALITIES)
        self._characters = {
            axis: dict.fromkeys(PREFIX_CHARACTERS) for axis in (Axis.PATIENT, Axis.ACCESSION)
        }
        self._ignored: set[Axis] = set()
        self._plain: set[StudyQuery] = set()
        self._doubtful: list[_Answer] = []
        self._gaps: list[str] = []
        self._most_wanted = self._broadest = self._refused = 0
        self._was_cut_short = False
        self.facts = SweepFacts(most=max(cap - 1, 0), cap=cap)

    def studies(self) -> Iterator[FoundStudy]:
        """Every study once, the newest years first. Raises IncompleteInventory at the end, and what `ask` raises."""
        try:
            for queries in self._passes():
                yield from self._swept(queries)
        finally:
            if self._close is not None:
                self._close()
        if self.facts.cap and len(self._known) <= self._broadest:
            self.facts.cap = 0  # the longest answer was simply all there is
        if self._gaps:
            raise IncompleteInventory(
                f"the source gives {self.facts.most} results and not more for {self._gaps[0]}"
                + (f" and {len(self._gaps) - 1} other questions" if self._gaps[1:] else "")
                + ", which can't be cut any smaller: raise its limit of results, then take the inventory again"
            )

    def _passes(self) -> Iterator[list[StudyQuery]]:
        """The broadest questions first: their answers tell how many results the source gives away."""
        scope = self._scope
        if scope.study_instance_uids:
            yield list(_of_uids(scope.study_instance_uids))
            return
        is_open = scope.first_date is None and scope.last_date is None
        dates = None if is_open and scope.undated else _range_of(scope)
        whole = [
            StudyQuery(dates=dates, modality=modality, patient_id=scope.patient_id)
            for modality in scope.modalities or ("",)
        ]
        self._most_wanted = MOST_CAPPED
        yield whole
        self._most_wanted = 0
        windows = _windows(*_range_of(scope), self._today)
        yield [replace(query, dates=window) for window in windows for query in whole]
        if self._was_cut_short:
            yield whole

    def _swept(self, queries: list[StudyQuery]) -> Iterator[FoundStudy]:
        self._doubtful = []
        pending = queries[::-1]
        while pending or self._doubtful:
            if not pending:
                pending = self._cut_doubtful()
                continue
            query = self._understood(pending.pop())
            if query is not None:
                answer = yield from self._answers(query)
                pending += self._cut(answer) if answer.is_short else self._doubted(answer)

    def _understood(self, query: StudyQuery) -> StudyQuery | None:
        """The question as the source understands it; None when it has answered just that."""
        plain = query.without(self._ignored)
        if plain == query:
            return query
        if plain in self._plain:
            return None
        self._plain.add(plain)
        return plain

    def _answers(self, query: StudyQuery) -> Generator[FoundStudy, None, _Answer]:
        """What is new of an answer; returns what is to be remembered of it."""
        answer = _Answer(query)
        self.facts.queries += 1
        try:
            for study in self._ask(query):
                answer.count += 1
                answer.kinds.add(valued_axes(study))
                answer.wrong.update(query.disproved_by(study))
                self._learn(study)
                if study.study_instance_uid not in self._known:
                    self._known.add(study.study_instance_uid)
                    yield study
                if answer.count == self._most_wanted:
                    self._was_cut_short = True
                    break
        except Truncated as exc:
            answer.is_short = True
            self._refused = 0 if answer.count else self._refused + 1
            if self._refused == MOST_REFUSED:
                raise SourceUnavailable(
                    f"the source refuses one question after the other: {exc}"
                ) from exc
        else:
            self._refused = 0
        self.facts.records += answer.count
        self._broadest = max(self._broadest, answer.count)
        self._ignored |= answer.ignored
        return answer

    def _learn(self, study: FoundStudy) -> None:
        self._modalities.update(dict.fromkeys(filter(None, study.modalities)))
        self._characters[Axis.PATIENT].update(dict.fromkeys(usable_characters(study.patient_id)))
        self._characters[Axis.ACCESSION].update(
            dict.fromkeys(usable_characters(study.accession_number))
        )

    def _doubted(self, answer: _Answer) -> list[StudyQuery]:
        """What is to be asked next because this answer may be short; where that can wait it is remembered."""
        facts, count = self.facts, answer.count
        if count < max(facts.most, LEAST_CAP) or answer.query.study_instance_uids:
            return []
        if count >= MOST_CAPPED:
            facts.most = max(facts.most, count)
            return []
        if (
            count > facts.most
        ):  # the former longest answers are shorter than this one: they were whole
            facts.most, facts.cap = count, facts.cap if facts.cap == count else 0
            self._doubtful = [answer]
            return []
        facts.cap = count
        return self._cut(answer) + self._cut_doubtful()

    def _cut_doubtful(self) -> list[StudyQuery]:
        doubtful, self._doubtful = self._doubtful, []
        return [part for answer in doubtful for part in self._cut(answer)]

    def _cut(self, answer: _Answer) -> list[StudyQuery]:
        """The parts of a question that may not have been answered in full.

        They are along the first axis on which every study of the answer has a value; where there is none, along all. A
        study that no part can find is the sign of a gap: there may be others like it.
        """
        query = answer.query
        axes = [axis for axis in query.axes() if axis not in self._ignored]
        if not axes or any(not kind.intersection(axes) for kind in answer.kinds):
            self._gaps.append(str(query))
        whole = [axis for axis in axes if all(axis in kind for kind in answer.kinds)]
        chosen = whole[:1] or axes
        if query.is_open and Axis.ACCESSION in axes:  # for those whose Patient ID it did not show
            chosen = [Axis.PATIENT, Axis.ACCESSION]
        return [
            part
            for axis in chosen
            for part in query.cut(axis, self._modalities, self._characters.get(axis, ()))
        ]


def _of_uids(uids: Sequence[str]) -> Iterator[StudyQuery]:
    for at in range(0, len(uids), UIDS_AT_ONCE):
        yield StudyQuery(study_instance_uids=tuple(uids[at : at + UIDS_AT_ONCE]))


def _range_of(scope: Scope) -> tuple[date, date]:
    return scope.first_date or _EARLIEST, scope.last_date or _LATEST


def _windows(first: date, last: date, today: date) -> Iterator[tuple[date, date]]:
    """The dates from `first` to `last`, the future first, then year by year; each day once."""
    starts = [today + timedelta(2)]
    starts += [date(year, 1, 1) for year in range(today.year, _FIRST_YEAR - 1, -1)]
    end = last
    for start in (*starts, _EARLIEST):
        if start <= end and first <= end:
            yield max(start, first), end
            end = max(start, first) - timedelta(1) if max(start, first) > _EARLIEST else _EARLIEST
            if start <= first:
                return
