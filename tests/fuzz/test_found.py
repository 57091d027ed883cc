"""What fuzzing has found stays mended, and every target takes what it starts from."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.found import found_files, read_input, target_of
from tests.fuzz.measures import measured
from tests.fuzz.registry import MAX_LENGTH, TARGETS, Target

CHANGED = 10


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """pydicom warns of much, and the archive logs every request that fails."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def run(target: Target, data: bytes) -> None:
    measured(target.check, data, expansion=target.expansion(data))


@pytest.mark.parametrize("path", found_files(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_was_found_once(path: Path) -> None:
    run(target_of(path), read_input(path))


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_its_seeds(name: str) -> None:
    target = TARGETS[name]
    for data in target.made_seeds():
        run(target, data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_what_its_seeds_are_made_into(name: str) -> None:
    target, random = TARGETS[name], Random(1)
    seeds = target.made_seeds()
    for _ in range(CHANGED):
        run(target, target.mutate(random.choice(seeds), random)[:MAX_LENGTH])


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_nothing_and_next_to_nothing(name: str) -> None:
    for data in (b"", b"\0", b"\xff" * 9):
        run(TARGETS[name], data)
