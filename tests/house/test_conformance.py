"""The conformance statement says what the code does: classes, syntaxes, attributes, identity."""

from __future__ import annotations

import re

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

from tests.house.project import read
from vna.dicom import part10
from vna.dicom.attributes import BY_LEVEL, COMPUTED
from vna.model.identifiers import LEVELS, Level
from vna.scp.policy import VERIFICATION, Model, is_storage_class

STATEMENT = "docs/conformance.md"
TABLES = "docs/conformance-tables.md"


def section(title: str) -> str:
    """The text below one heading of the tables."""
    return read(TABLES).partition(f"## {title}\n")[2].partition("\n## ")[0]


def listed_uids(title: str) -> list[str]:
    """The UIDs of a table."""
    return re.findall(r"\| ([0-9.]+) \|$", section(title), re.MULTILINE)


def standard_uids(kind: str) -> set[str]:
    """All UIDs of the standard of one type."""
    return {uid for uid in UID_dictionary if UID(uid).type == kind}


def test_every_storage_class_of_the_standard_is_listed() -> None:
    storage = {uid for uid in standard_uids("SOP Class") if is_storage_class(uid)}
    listed = listed_uids("Storage SOP classes")
    assert len(listed) > 150
    assert sorted(storage) == sorted(listed)


def test_every_transfer_syntax_of_the_standard_is_listed() -> None:
    assert sorted(standard_uids("Transfer Syntax")) == sorted(listed_uids("Transfer syntaxes"))


@pytest.mark.parametrize("level", LEVELS)
def test_every_attribute_of_the_index_is_listed(level: Level) -> None:
    row = re.search(
        rf"^\| {level.value} \| (.+) \|$", section("Attributes of the index"), re.MULTILINE
    )
    assert row is not None
    assert row[1].split(", ") == sorted({attribute.keyword for attribute in BY_LEVEL[level]})


@pytest.mark.parametrize("keyword", [item.keyword for item in COMPUTED if "Number" in item.keyword])
def test_every_count_is_named(keyword: str) -> None:
    assert keyword in read(STATEMENT)


def test_every_service_class_is_listed() -> None:
    statement = read(STATEMENT)
    for uid in [VERIFICATION, *(f"{model}.{number}" for model in Model for number in (1, 2, 3))]:
        assert f"| {uid} | no | yes |" in statement


def test_the_archive_is_known_by_the_names_that_the_statement_gives() -> None:
    statement = read(STATEMENT)
    assert f"| {part10.IMPLEMENTATION_CLASS_UID} |" in statement
    assert f"| {part10.IMPLEMENTATION_VERSION_NAME} |" in statement
