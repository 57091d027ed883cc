"""Nothing in the project names a machine, a registry or something unfinished."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.project import PACKAGES, python_files, read, text_files

# Spelled in two halves, so that this file does not hold what it forbids.
FORBIDDEN = [
    "py" + "pi.org",
    "py" + "pi/",
    "python" + "hosted",
    "file:" + "///",
    "/op" + "t/",
    "/wor" + "k/",
    "/roo" + "t/",
    "/tmp/" + "plan",
    "shared/" + "architecture",
    "shared/" + "style",
    "shared/" + "field-notes",
    "shared/" + "peers",
    "<<<<" + "<<<",
]
_UNFINISHED = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")


@pytest.mark.parametrize("words", FORBIDDEN)
def test_no_file_holds(words: str) -> None:
    assert [str(path) for path, text in text_files() if words in text.lower()] == []


# The contract that is shipped with the storage backends leaves hooks open on purpose.
MODULES = [
    path
    for path in python_files(*PACKAGES, "tests")
    if path.name != Path(__file__).name and not path.match("storage_backends/testing*.py")
]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_nothing_is_left_unfinished(path: Path) -> None:
    assert [line for line in read(path).splitlines() if _UNFINISHED.search(line)] == []


def test_every_text_file_ends_with_a_line_end() -> None:
    endless = [str(path) for path, text in text_files() if text and not text.endswith("\n")]
    assert endless == []
