"""A campaign of each silo, from its first command to its last."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.rehearsal.book import Book
from tests.rehearsal.commands import TIMEOUT, Migrate, Target
from tests.rehearsal.contents import CYRILLIC_STATION
from tests.rehearsal.silos import Silo

_PACE = ("--attempts", "2", "--retry-seconds", "0.5", "--decode", "--associations", "4")


_RULES = """
source = "{domain}"

[[rule]]
attribute = "IssuerOfPatientID"
set = "{domain}"

[[rule]]
attribute = "AccessionNumber"
map = "{name}.csv"
unmapped = "prefix"
prefix = "{domain}-"

[[rule]]
attribute = "SpecificCharacterSet"
set = "ISO_IR 144"
when = {{ StationName = "{cyrillic}" }}
"""


def begin(migrate: Migrate, silo: Silo, folder: Path, book: Book) -> None:
    """Add, probe, take stock, look at what the rules do, let the faults happen, start."""
    options = [f"--option={key}={value}" for key, value in silo.options.items()]
    rules = ("--rules", str(_rules(silo, folder)))
    migrate("add", silo.name, "--kind", silo.kind, *options, *_PACE, *rules).expected()
    probe = migrate("probe", silo.name, "--json").expected().document
    book.note_that("probe", silo.name, "has stable UIDs", probe["has_stable_uids"])
    stock = migrate("inventory", silo.name, "--json").expected(0, 1).document
    book.note_that("inventory", silo.name, "is complete", stock["complete"])
    book.note("inventory", silo.name, "instances", silo.listed, stock["instances"])
    preview = migrate("preview", silo.name, "--count", "5", "--json").expected(0, 1).document
    book.note("preview", silo.name, "samples", 5, len(preview["samples"]))
    silo.harm()
    migrate("start", silo.name).expected()


def _rules(silo: Silo, folder: Path) -> Path:
    """The tag rules of a silo: whose patients they are, other accession numbers, a character set."""
    lines = [f"{silo.domain}{number:05},NEW-{silo.domain}-{number}" for number in (1, 2)]
    (folder / f"{silo.name}.csv").write_text("from,to\n" + "\n".join(lines) + "\n")
    path = folder / f"{silo.name}.toml"
    path.write_text(_RULES.format(name=silo.name, domain=silo.domain, cyrillic=CYRILLIC_STATION))
    return path


def work(target: Target, workers: int, folder: Path) -> None:
    """Processes that work until everything is done. Raises RuntimeError."""
    logs = [folder / f"worker-{number}.log" for number in range(workers)]
    running = [target.worker(log) for log in logs]
    try:
        codes = [process.wait(TIMEOUT) for process in running]
    except subprocess.TimeoutExpired as exc:
        raise RuntimeError(f"not done after {TIMEOUT:.0f} s: {_tail(logs)}") from exc
    finally:
        for process in running:
            process.kill()
            process.wait()
    if any(codes):
        raise RuntimeError(f"workers ended with {codes}: {_tail(logs)}")


def _tail(logs: Sequence[Path]) -> str:
    return "\n".join(log.read_text()[-2000:] for log in logs)
