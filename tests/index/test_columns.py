"""The map of columns agrees with the table of attributes and with the schema."""

from __future__ import annotations

import pytest

from tests.index.samples import attributes
from vna.dicom.attributes import ATTRIBUTES, BY_LEVEL, BY_TAG, COMPUTED, column_name
from vna.index.columns import (
    COLUMNS,
    COMPUTED_COLUMNS,
    INSTANCE_AVAILABILITY,
    LEFT_TO_THE_DOOR,
    RETURNED_COLUMNS,
    TABLES,
    Kind,
    home_of,
    is_searchable,
)
from vna.index.database import Database
from vna.index.jsonb import to_jsonb
from vna.model.identifiers import LEVELS, Level

_KINDS = {"DA": Kind.DATE, "TM": Kind.TIME, "IS": Kind.INTEGER, "PN": Kind.NAME}
_TYPES = {
    Kind.DATE: "date",
    Kind.TIME: "time without time zone",
    Kind.INTEGER: "integer",
    Kind.NAME: "text",
    Kind.TEXT: "text",
}


@pytest.mark.parametrize("tag", COLUMNS, ids=hex)
def test_column_bears_the_keyword_and_the_type_of_its_vr(database: Database, tag: int) -> None:
    column, attribute = COLUMNS[tag], BY_TAG[tag][0]
    if tag != 0x00083002:
        assert column.name == column_name(attribute.keyword)
    assert column.kind is _KINDS.get(attribute.vr, Kind.TEXT)
    with database.connection() as connection:
        row = connection.execute(
            "SELECT data_type FROM information_schema.columns"
            " WHERE table_name = %s AND column_name = %s",
            [TABLES[column.level], column.name],
        ).fetchone()
    assert row == (_TYPES[column.kind],)


def test_columns_stand_at_the_level_of_their_attribute_or_with_the_study() -> None:
    for tag, column in COLUMNS.items():
        levels = {attribute.level for attribute in BY_TAG[tag]}
        assert column.level in levels or levels == {Level.PATIENT}


def test_every_kept_attribute_is_searchable_and_has_a_home_for_every_query() -> None:
    for attribute in ATTRIBUTES:
        assert is_searchable(attribute.tag)
        for level in LEVELS:
            assert home_of(attribute.tag, level) in {item.level for item in BY_TAG[attribute.tag]}


def test_an_attribute_of_several_levels_is_that_of_the_query() -> None:
    institution = 0x00080080
    assert home_of(institution, Level.STUDY) is Level.STUDY
    assert home_of(institution, Level.SERIES) is Level.SERIES
    assert home_of(institution, Level.IMAGE) is Level.SERIES
    assert home_of(institution, Level.PATIENT) is Level.STUDY
    assert home_of(0x00191001, Level.STUDY) is None


def test_everything_computed_comes_from_somewhere() -> None:
    known = set(COMPUTED_COLUMNS) | set(COLUMNS) | LEFT_TO_THE_DOOR | {INSTANCE_AVAILABILITY}
    assert {attribute.tag for attribute in COMPUTED} <= known


def test_what_stands_in_columns_alone_is_an_attribute_of_its_level() -> None:
    for level, tags in RETURNED_COLUMNS.items():
        known = {attribute.tag for attribute in BY_LEVEL[level]} | {item.tag for item in COMPUTED}
        assert set(tags) <= known


def test_jsonb_takes_what_json_can_not() -> None:
    hostile = {"a\0": ["x\0y", "\ud800", 2**70, None, True, 1.5, {"b": "\\u0000"}], "n": 1}
    assert (
        to_jsonb(hostile)
        == '{"a":["xy","?","1180591620717411303424",null,true,1.5,{"b":"\\\\u0000"}],"n":1}'
    )
    assert to_jsonb(attributes(T00100020=("LO", "é"))) == '{"00100020":{"vr":"LO","Value":["é"]}}'
