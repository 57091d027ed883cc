"""Corrections as the index keeps them."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from tests.corrections import correction
from tests.index.samples import ORIGIN, digest, new_instance
from vna.errors import Corrupt, Unavailable
from vna.index.corrections import CorrectionIndex, id_of
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.model.corrections import ModificationReason, correction_of, correction_tree
from vna.model.identifiers import InstanceUids, Selection


def test_ids_are_those_of_the_content(database: Database) -> None:
    index, other = CorrectionIndex(database), CorrectionIndex(database)
    first = correction()
    assert index.keep(first) == other.keep(correction()) == id_of(first)
    assert other.find(id_of(first)) == first
    others = [
        correction({}),
        correction(character_set=()),
        correction(reason=ModificationReason.CORRECT),
    ]
    assert len({index.keep(one) for one in (first, *others)}) == 4
    assert [other.find(id_of(one)) for one in others] == others
    assert [correction_of(correction_tree(one)) for one in others] == others


def test_a_correction_that_is_gone_is_told_of(database: Database) -> None:
    with pytest.raises(Corrupt, match="correction 7 is gone"):
        CorrectionIndex(database).find(7)


def test_one_id_never_stands_for_two(database: Database) -> None:
    change = replace(correction(), rules="another, version 1")
    with database.connection() as connection:
        connection.execute("INSERT INTO correction (id, patch) VALUES (%s, '{}')", [id_of(change)])
    with pytest.raises(Corrupt, match="another content"):
        CorrectionIndex(database).keep(change)
    with database.connection() as connection:
        connection.execute("DELETE FROM correction WHERE id = %s", [id_of(change)])


def until_it_has_gone(database: Database) -> None:
    """The server takes a moment to notice that somebody has left."""
    left = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'vna/12')"
    has_gone = False
    while not has_gone:
        with database.connection() as connection:
            (has_gone,) = connection.execute(left).fetchone() or (False,)


def test_nothing_is_corrected_while_an_older_version_would_deliver_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it came after a correction was kept."""
    monkeypatch.setattr("vna.index.corrections._ALONE_SECONDS", 0)
    index = CorrectionIndex(database)
    with (
        psycopg.connect(database.url, application_name="vna/12"),
        pytest.raises(Unavailable, match="older version"),
    ):
        index.keep(correction())
    until_it_has_gone(database)
    assert index.keep(correction()) == id_of(correction())
    with (
        psycopg.connect(database.url, application_name="vna/12"),
        pytest.raises(Unavailable, match="older version"),
    ):
        index.keep(correction())


def test_rows_name_their_correction_by_every_way(database: Database) -> None:
    """Also the frames' one, and what tells a selection from another."""
    index = InstanceIndex(database)
    number = index.corrections.keep(correction())
    uids = InstanceUids("1.1", "1.1.1", "1.1.1.1")
    index.register(new_instance(correction=number), ORIGIN)
    index.register(new_instance(instance="1.1.1.2"), ORIGIN)
    selection = Selection(study_instance_uids=("1.1",))
    assert [one.correction for one in index.select(selection)] == [number, None]
    places = index.frame_places.find(uids, (1,))
    assert places is not None
    assert places.instance.correction == number
    assert index.corrections.of("1.1.1.1") == number
    assert index.corrections.of("1.1.1.2") is None
    before = index.selections.choose(selection).digest
    with database.connection() as connection:
        connection.execute("UPDATE instance SET correction = NULL")
    assert index.selections.choose(selection).digest != before


def test_what_a_backup_told_is_found_by_the_digest(database: Database) -> None:
    index = CorrectionIndex(database)
    number = index.keep(correction())
    index.tell([(digest("a"), number), (digest("b"), number), (digest("a"), number)])
    index.tell([(digest("a"), number)])
    index.tell([])
    assert index.told(digest("a")) == index.told(digest("b")) == correction()
    assert index.told(digest("c")) is None


def test_what_is_told_of_an_object_is_forgotten_when_rows_name_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vna.index.corrections._NAMED_AT_ONCE", 3)
    index = CorrectionIndex(database)
    for name in "cdef":
        assert index.keep_for(digest(name), correction()) == id_of(correction())
        assert index.told(digest(name)) == correction()
    index.named(digest("c"))
    index.named(digest("d"))
    index.keep_for(digest("c"), correction())  # it comes again, and may be lost this time
    index.named(digest("e"))
    assert index.told(digest("d")) == correction()
    index.named(digest("f"))
    kept = [name for name in "cdef" if index.told(digest(name)) is not None]
    assert kept == ["c"]
