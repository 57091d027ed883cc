"""kill -9 of workers, archive, Postgres and source, twenty times in one campaign: nothing is lost or comes twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.interop.programs import needs
from tests.peers import dcmqrscp
from tests.rehearsal.book import Book
from tests.rehearsal.kills import RESUMES_WITHIN, kill_again_and_again
from tests.rehearsal.silos import INDEXER


@pytest.mark.crash
@pytest.mark.timeout(1800)
@needs("dcmtk", dcmqrscp.PROGRAM, INDEXER)
@pytest.mark.usefixtures("network")
def test_twenty_kills_in_one_campaign(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    book = Book()
    print(f"seed {seed}")
    kill_again_and_again(tmp_path, seed, book, print)
    told = [line for line in book.wrong if f"{RESUMES_WITHIN:.0f} s" not in line.what]
    assert told == [], f"seed {seed}"
