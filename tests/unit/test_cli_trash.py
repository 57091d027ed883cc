"""The lines in which `vna trash list` tells of an entry."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from vna.cli_common import operator
from vna.cli_trash import _line, trash
from vna.model.identifiers import InstanceUids, Origin
from vna.model.trash import TrashEntry


def entry(uids: InstanceUids, swept: int = 0, peer: str = "ann") -> TrashEntry:
    origin = Origin("web", peer, "10.0.0.9", "c")
    return TrashEntry(7, datetime(2024, 2, 1, 12, 30, tzinfo=UTC), uids, origin, 3, 4096, swept)


def test_it_tells_what_who_and_until_when() -> None:
    assert _line(entry(InstanceUids("1.2", "1.3", "")), 30) == (
        "7: study 1.2, series 1.3: 3 instances, 4096 bytes, deleted 2024-02-01 12:30 "
        "by ann (web 10.0.0.9), until 2024-03-02 12:30"
    )


def test_it_tells_that_a_sweep_has_begun() -> None:
    line = _line(entry(InstanceUids("1.2", "", ""), swept=2, peer=""), 30)
    assert line.endswith("by nobody named (web 10.0.0.9), being swept (2)")


def test_who_works_on_the_command_line_is_named() -> None:
    first, second = operator(), operator()
    assert first.door == "cli"
    assert first.peer
    assert first.correlation_id != second.correlation_id


@pytest.mark.parametrize(
    "arguments", [["restore", "9" * 30], ["restore", "0"], ["sweep", "--days", "9" * 12]]
)
def test_numbers_that_mean_nothing_are_wrong_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(trash, arguments).exit_code == 2
