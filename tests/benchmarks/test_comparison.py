"""Ratios, verdicts and tables of the comparison."""

from __future__ import annotations

import pytest

from tests.benchmarks.comparison import (
    ARCHIVE,
    HEADINGS,
    OTHER,
    YARDSTICK,
    Comparison,
    Work,
    cells,
    markdown,
)

RATE = Work("ct", "C-STORE", "/s", goal=3.0)
LATENCY = Work("find", "C-FIND", "ms", goal=2.0, less_is_better=True)
CPU = Work("cpu", "CPU", "s", goal=2.0, less_is_better=True, at_most=True)


def row(work: Work, ours: list[float], yardstick: list[float], other: list[float]) -> Comparison:
    return Comparison(work, {ARCHIVE: ours, YARDSTICK: yardstick, OTHER: other})


def test_the_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    # The machine was slow in the second round and fast in the third, for everybody.
    measured = row(RATE, [300, 30, 3200], [100, 10, 1000], [])
    assert measured.times_better(YARDSTICK) == 3
    assert measured.median(ARCHIVE) == 300


def test_less_is_better_turns_the_ratio_round() -> None:
    assert row(LATENCY, [5], [20], [10]).times_better(YARDSTICK) == 4
    assert row(LATENCY, [5], [20], [10]).times_better(OTHER) == 2


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (row(RATE, [300], [100], [300]), "pass"),
        (row(RATE, [299], [100], [200]), "miss (goal)"),
        (row(RATE, [300], [100], [301]), "miss (dcmqrscp)"),
        (row(RATE, [299], [100], [301]), "miss (goal, dcmqrscp)"),
        (row(RATE, [300], [100], []), "pass"),
        (row(RATE, [300], [], [100]), "not measured"),
        (row(RATE, [], [100], [100]), "not measured"),
        (row(CPU, [1], [2], [1]), "pass"),
        (row(CPU, [1.01], [2], [3]), "miss (goal)"),
        (row(Work("open", "opened", "ms", less_is_better=True), [1], [0.2], [2]), "pass"),
        (row(Work("open", "opened", "ms", less_is_better=True), [1], [0.2], []), "–"),
    ],
)
def test_verdicts(measured: Comparison, verdict: str) -> None:
    assert measured.verdict == verdict


def test_work_that_is_not_the_same_is_shown_and_not_judged_by() -> None:
    work = Work("find", "C-FIND", "ms", 2.0, less_is_better=True, is_same_for_all=False)
    measured = row(work, [5], [20], [1])
    assert measured.verdict == "pass"
    assert cells(measured)[7] == "(0.20)"


def test_a_failure_of_ours_is_no_pass() -> None:
    assert Comparison(RATE, {}, {ARCHIVE: "it broke"}).verdict == "not measured"
    work = Work("open", "opened", "ms")
    assert Comparison(work, {YARDSTICK: [1.0]}, {ARCHIVE: "it broke"}).verdict == "not measured"


def test_goals_in_words() -> None:
    assert RATE.to_reach == "3 ×"
    assert LATENCY.to_reach == "2 × faster"
    assert CPU.to_reach == "≤ 0.5 ×"
    assert Work("m", "memory", "MiB", 1.0, less_is_better=True, at_most=True).to_reach == "less"
    assert Work("o", "opened", "ms").to_reach == ""


def test_a_share_is_shown_as_a_share() -> None:
    assert cells(row(CPU, [1], [4], [2]))[5:8] == ("0.25", "≤ 0.5 ×", "0.50")


def test_the_table_has_every_figure_and_every_failure() -> None:
    failed = Comparison(LATENCY, {ARCHIVE: [1.25]}, {YARDSTICK: "RuntimeError: 0 matches"})
    text = markdown([row(RATE, [432.1], [100], [0.123]), failed])
    lines = text.splitlines()
    assert lines[0].count("|") == len(HEADINGS) + 1
    assert lines[2] == "| C-STORE | /s | 100 | 0.123 | 432 | 4.32 | 3 × | 3513.01 | pass |  |"
    assert "| C-FIND | ms | – | – | 1.25 | – | 2 × faster | – | not measured |  |" in lines
    assert lines[-1] == "- C-FIND, Orthanc: RuntimeError: 0 matches"
