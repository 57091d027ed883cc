"""Inputs by hypothesis: seeds mutated with their structure in mind, each input measured."""

from __future__ import annotations

import faulthandler
import logging
import sys
import time
import warnings
import zlib
from random import Random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.fuzz import engine
from tests.fuzz.measures import Work, measured
from tests.fuzz.registry import MAX_LENGTH, Target

_ROUND = 200
_SAMPLED = 8
"""Of so many inputs one has its memory measured, which takes longest."""


def inputs(target: Target, found: list[bytes]) -> SearchStrategy[bytes]:
    """Bytes of no kind, and the seeds `found` after a few changes."""

    def changed(seed: bytes, random: Random, times: int) -> bytes:
        for _ in range(times):
            seed = target.mutate(seed, random)[:MAX_LENGTH]
        return seed

    mutated = st.builds(
        changed,
        st.sampled_from(found),
        st.randoms(use_true_random=True),
        st.integers(0, 6),
    )
    return st.one_of(mutated, mutated, mutated, st.binary(max_size=300))


def check(target: Target, data: bytes) -> None:
    """Run one input within its bounds. Raises whatever breaks a promise."""
    expansion = target.expansion(data)
    if zlib.crc32(data) % _SAMPLED == 0:
        measured(target.check, data, expansion=expansion)
    else:
        with Work.for_size(len(data) + expansion):
            target.check(data)


def search(target: Target, until: float, room: engine.Room) -> None:
    """See `engine.Search`."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    count = 0

    @settings(
        max_examples=_ROUND,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(target, target.seeds()))
    def examine(data: bytes) -> None:
        nonlocal count
        if time.monotonic() > until:
            return
        count += 1
        room.current.write_bytes(data)
        faulthandler.dump_traceback_later(engine.INPUT_SECONDS, exit=True)
        try:
            check(target, data)
        except BaseException:  # noqa: BLE001 - whatever it is
            room.count.write_text(str(count), encoding="utf-8")
            sys.stderr.flush()
            raise SystemExit(engine.FAILED) from None
        finally:
            faulthandler.cancel_dump_traceback_later()

    while time.monotonic() < until:
        examine()
    room.count.write_text(str(count), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(engine.run("hypothesis", search, sys.argv[1:]))
