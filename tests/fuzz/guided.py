"""Inputs by atheris (libFuzzer), guided by which branches of the archive's code each one reaches."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import sys
import time
import traceback
import warnings
from pathlib import Path
from random import Random

import atheris

with (
    contextlib.redirect_stderr(io.StringIO()),  # it tells of each module
    atheris.instrument_imports(include=["vna"], enable_loader_override=False),
):
    from tests.fuzz import engine
    from tests.fuzz.measures import watched
    from tests.fuzz.registry import MAX_LENGTH, Target

CORPUS = Path(".fuzz")
"""Where inputs that reached something new wait for the next run."""

_RSS_LIMIT_MB = 1536
_EXECUTED = re.compile(rb"stat::number_of_executed_units: *(\d+)")


def search(target: Target, until: float, room: engine.Room) -> None:
    """See `engine.Search`."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    seeds = room.folder / "seeds"
    seeds.mkdir()
    for number, data in enumerate(target.seeds()):
        (seeds / str(number)).write_bytes(data)
    corpus = CORPUS / target.name
    corpus.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child == 0:
        try:
            _fuzz(target, room, [str(corpus), str(seeds)], until)
        finally:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    executed = _EXECUTED.search(room.log.read_bytes())
    if executed:
        room.count.write_bytes(executed[1])
    for path in room.folder.iterdir():
        if path.name.startswith(("crash-", "timeout-", "oom-")) and not room.current.exists():
            path.rename(room.current)
    sys.exit(os.waitstatus_to_exitcode(status))


def _fuzz(target: Target, room: engine.Room, folders: list[str], until: float) -> None:
    """Never returns: libFuzzer ends the process."""

    def mutated(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        changed = target.mutate(data, random) if random.random() < 0.5 else data
        if changed == data or random.random() < 0.3:
            changed = atheris.Mutate(changed[:max_size], max_size)
        return bytes(changed[:max_size])

    count = 0

    def examine(data: bytes) -> None:
        nonlocal count
        count += 1
        try:
            watched(target.check, data)
        except BaseException:  # noqa: BLE001 - whatever it is
            room.current.write_bytes(data)
            room.count.write_text(str(count), encoding="utf-8")
            os._exit(engine.FAILED)

    arguments = [
        "fuzz",
        f"-max_total_time={max(1, round(until - time.monotonic()))}",
        f"-timeout={engine.INPUT_SECONDS}",
        f"-rss_limit_mb={_RSS_LIMIT_MB}",
        f"-max_len={MAX_LENGTH}",
        f"-artifact_prefix={room.folder}/",
        "-print_final_stats=1",
        *folders,
    ]
    atheris.Setup(arguments, examine, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(engine.run("atheris", search, sys.argv[1:]))
