"""Searches in the index of a million studies, generated in SQL; no door in between."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks import bulk, objects
from tests.benchmarks.report import Row
from vna.index.database import Database
from vna.index.embedded import EmbeddedPostgres
from vna.index.search import SearchIndex
from vna.index.upgrade import upgrade
from vna.model.identifiers import Level
from vna.model.query import Filter, Match, Query, Range, SingleValue, Wildcard

_Match = Callable[[int], Match]


def studies(folder: Path, count: int, repeats: int = 200) -> Iterator[Row]:
    """Median of searches among `count` studies, against an empty statement on the same connection pool."""
    with (
        EmbeddedPostgres.start(folder) as server,
        Database(server.url, pool_size=2) as database,
    ):
        upgrade(database)
        bulk.fill(server.url, 0, count)
        yield from _measure(database, count, repeats)


def _measure(database: Database, count: int, repeats: int) -> Iterator[Row]:
    search = SearchIndex(database)
    wanted = frozenset({0x00100020, 0x00100010, 0x0020000D, 0x00080020, 0x00080061, 0x00201208})
    kinds = (
        ("PatientID", 0x00100020, lambda n: SingleValue(objects.patient_id(n)), "< 5 ms"),
        ("PatientName, prefix", 0x00100010, lambda n: Wildcard(f"{bulk.name_of(n)[:-1]}*"), ""),
        ("AccessionNumber", 0x00080050, lambda n: SingleValue(f"A{n}"), ""),
        ("StudyDate, one day, 100 first", 0x00080020, _day, ""),
    )
    floor = _median(lambda _: database.ping(), repeats)
    for title, tag, match, goal in kinds:

        def find(number: int, title: str = title, tag: int = tag, match: _Match = match) -> None:
            query = Query(Level.STUDY, (Filter(tag, match(number)),), wanted, limit=100)
            if not list(search.find(query)):
                raise RuntimeError(f"{title}: no match for {number}")

        value = _median(find, repeats)
        yield Row(f"{count} studies by {title}, median", value, "ms", "SELECT 1", floor, goal)


def _day(number: int) -> Range:
    day = objects.day_after(bulk.FIRST_DAY, number % bulk.DAYS)
    return Range(day, day)


def _median(work: Callable[[int], object], repeats: int) -> float:
    times = []
    for number in range(1, repeats + 1):
        started = time.perf_counter()
        work(number * 37)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)
