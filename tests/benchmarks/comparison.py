"""Figures of several archives for the same work, as ratios: pure values and their table."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

ARCHIVE, YARDSTICK, OTHER = "archive", "Orthanc", "dcmqrscp"
PEERS = (YARDSTICK, OTHER, ARCHIVE)


@dataclass(frozen=True, slots=True)
class Work:
    """One row: what is done, in which unit the figure is, whether less is better.

    `goal`: how many times better than the yardstick the archive is to be (0: nothing agreed); `at_most` tells the
    same as the most that the archive may use of what the yardstick uses. `is_same_for_all`: not when the other peer can
    hold only a small part of what is worked on; its figure is then shown, and not judged by.
    """

    key: str
    title: str
    unit: str
    goal: float = 0.0
    less_is_better: bool = False
    at_most: bool = False
    is_same_for_all: bool = True

    @property
    def to_reach(self) -> str:
        """The goal in words."""
        if not self.goal:
            return ""
        if self.at_most:
            return "less" if self.goal == 1 else f"≤ {1 / self.goal:.2g} ×"
        return f"{self.goal:g} ×" + (" faster" if self.less_is_better else "")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The figures of one row: a figure a round by peer, and what went wrong by peer.

    `refused`: of the instances that a peer got in all rounds, how many it did not take, and how many those were.
    `remark`: what else to know of the row.
    """

    work: Work
    figures: Mapping[str, Sequence[float]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    remark: str = ""

    @property
    def note(self) -> str:
        """The remark, and who refused how many. Rates count what was taken."""
        told = [
            f"{peer} refused {refused} of {sent}"
            for peer, (refused, sent) in self.refused.items()
            if refused
        ]
        return "; ".join([*([self.remark] if self.remark else []), *told])

    def median(self, peer: str) -> float | None:
        """The peer's median; None when it has no figure."""
        figures = self.figures.get(peer, ())
        return statistics.median(figures) if figures else None

    def times_better(self, than: str) -> float | None:
        """How many times better the archive is: the median of the ratios of each round. None without figures."""
        pairs = zip(self.figures.get(ARCHIVE, ()), self.figures.get(than, ()), strict=False)
        ratios = [
            theirs / ours if self.work.less_is_better else ours / theirs
            for ours, theirs in pairs
            if ours > 0 and theirs > 0
        ]
        return statistics.median(ratios) if ratios else None

    @property
    def reaches_goal(self) -> bool | None:
        """Whether the goal is reached; None when none is agreed, or a figure is missing."""
        ratio = self.times_better(YARDSTICK)
        return None if ratio is None or not self.work.goal else ratio >= self.work.goal

    @property
    def is_ahead(self) -> bool | None:
        """Whether the archive is not behind the other peer; None when that can't be judged."""
        ratio = self.times_better(OTHER) if self.work.is_same_for_all else None
        return None if ratio is None else ratio >= 1

    @property
    def verdict(self) -> str:
        """pass, miss with the reason, or a dash when nothing can be said."""
        misses = [
            reason
            for reason, holds in (("goal", self.reaches_goal), (OTHER, self.is_ahead))
            if holds is False
        ]
        if misses:
            return f"miss ({', '.join(misses)})"
        if self.failures.get(ARCHIVE) or (self.work.goal and self.reaches_goal is None):
            return "not measured"
        return "pass" if self.reaches_goal or self.is_ahead else "–"


HEADINGS = ("work", "unit", *PEERS, "× Orthanc", "to reach", "× dcmqrscp", "verdict", "note")


def cells(row: Comparison) -> tuple[str, ...]:
    """One line of the table."""
    return (
        row.work.title,
        row.work.unit,
        *(_figure(row.median(peer)) for peer in PEERS),
        _ratio(row, YARDSTICK),
        row.work.to_reach,
        _ratio(row, OTHER),
        row.verdict,
        row.note,
    )


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(row: Comparison, than: str) -> str:
    ratio = row.times_better(than)
    if ratio is None:
        return "–"
    text = f"{1 / ratio:.2f}" if row.work.at_most else f"{ratio:.2f}"
    return f"({text})" if than == OTHER and not row.work.is_same_for_all else text


def markdown(rows: Iterable[Comparison]) -> str:
    """The table, and below it what failed."""
    rows = list(rows)
    lines = [_line(HEADINGS), _line("---" for _ in HEADINGS)]
    lines += [_line(cells(row)) for row in rows]
    failures = [
        f"- {row.work.title}, {peer}: {reason}"
        for row in rows
        for peer, reason in row.failures.items()
    ]
    return "\n".join([*lines, *(["", "Without a figure:", "", *failures] if failures else [])])


def _line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"
