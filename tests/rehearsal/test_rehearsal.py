"""The short form of the rehearsal: two silos, few instances, every oddity and every check."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.programs import needs
from tests.peers import dcmqrscp
from tests.rehearsal.book import Book
from tests.rehearsal.commands import Target
from tests.rehearsal.contents import SHORT
from tests.rehearsal.run import Stage, rehearse


@needs("dcmtk", dcmqrscp.PROGRAM, Path("/usr/bin/dcmqridx"))
@pytest.mark.usefixtures("network", "database")
def test_the_short_rehearsal(database_url: str, tmp_path: Path) -> None:
    environment = {"VNA__DATABASE__URL": database_url, "VNA__LOG__LEVEL": "warning"}
    target = Target(tmp_path / "target", environment)
    book = Book()
    rehearse(Stage(tmp_path, target, target.within, 1), ("dcmqrscp-move", "folder"), SHORT, book)
    assert book.wrong == []
    assert {line.silo for line in book.lines} == {"dcmqrscp-move", "folder", "all"}


def test_a_book_tells_what_is_wrong() -> None:
    book = Book()
    book.note("part", "silo", "things", 2, 2)
    book.note_none("part", "silo", "all of them", ["a"], 3)
    assert [line.found for line in book.wrong] == ["2 of 3: not ['a']"]
    right, wrong = book.table()
    assert right.startswith("ok")
    assert wrong.startswith("WRONG")
    assert wrong.endswith("wanted 3 of 3")
