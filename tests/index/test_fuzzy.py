"""Fuzzy matching of person names: which variants of a name find each other, and which don't."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from psycopg import sql

from tests.index.samples import ORIGIN, element, new_instance
from vna.dicom.matching import parse_match
from vna.dicom.person_names import names_by_key, tokens_of, wanted
from vna.index import name_tokens
from vna.index.columns import Kind
from vna.index.conditions import Matcher
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.name_tokens import fill_person_names
from vna.index.search import SearchIndex
from vna.index.sql import load
from vna.index.upgrade import upgrade
from vna.model.identifiers import Level
from vna.model.query import Filter, JsonElement, Match, Query, SingleValue, Wildcard

NAME, REFERRING, PERFORMING, STUDY_UID = 0x00100010, 0x00080090, 0x00081050, 0x0020000D
JAPANESE = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
KOREAN = {"Alphabetic": "Kim^Hee Jung", "Ideographic": "金^熙中", "Phonetic": "김^희중"}

_OLDER_CALL = (
    "SELECT register_instance('1.1', '1.1.1', '1.1.1.1', '1.5', '1.6', '', 'P', %s::jsonb, '{}', %s::jsonb,"
    "'{}', '{0,0,0,0,0}', 1, NULL, '', '', NULL, NULL, 'b', 'k', 0, 1, 'dimse', '', '', '')"
)


def finds(search: SearchIndex, match: Match, tag: int = NAME, level: Level = Level.STUDY) -> bool:
    query = Query(level, (Filter(tag, match),), frozenset({STUDY_UID}), fuzzy=True)
    return bool(list(search.find(query)))


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Müller^Jürgen", "Mueller^Juergen"),
        ("Mueller^Juergen", "Müller^Jürgen"),
        ("Muller^Jurgen", "MÜLLER^JÜRGEN"),
        ("Müller^Jürgen", "muller"),
        ("Mu\u0308ller", "Müller"),
        ("Sørensen^Søren", "Soerensen^Soren"),
        ("Ångström^Anders", "Aangstroem"),
        ("Groß^Anna", "Gross"),
        ("Weiß", "WEISS"),
        ("Łukasz^Ewa", "Lukasz"),
        ("Nguyễn^Văn", "Nguyen^Van"),
        ("İnan^Işıl", "Inan^Isil"),
        ("O'Brien^Pat", "OBrien^Pat"),
        ("OBrien^Pat", "O'Brien^Pat"),
        ("O’Brien^Pat", "O Brien^Pat"),
        ("O Brien^Pat", "O'BRIEN"),
        ("van der Berg^Jan", "Berg^Jan"),
        ("van der Berg^Jan", "Vanderberg"),
        ("Vanderberg^Jan", "van der Berg^Jan"),
        ("Van Den Berg^Jan", "van der Berg"),
        ("José^María", "Jose^Maria"),
        ("Émile", "emile"),
        ("Zola^Émile", "Emile^Zola"),
        ("Smith-Jones^Anna", "Jones"),
        ("Smith-Jones^Anna", "Smith Jones"),
        ("Smith-Jones^Anna", "SmithJones^Anna"),
        ("Hans-Peter^Kerkeling", "Kerkeling^Hanspeter"),
        ("DOE JOHN", "Doe^John"),
        ("Doe^John", "DOE JOHN"),
        ("DOE, JOHN", "John^Doe"),
        ("Doe^John", "John^Doe"),
        ("Doe^John^Michael", "Doe^Michael"),
        ("Doe^John", "Doe^J"),
        ("Doe^J", "Doe^John"),
        ("Doe^J.", "Doe^John"),
        ("Doe^John^^Dr", "Doe^John"),
        ("Doe^John", "Doe^John^^Dr."),
        ("Doe^John", "Dr. John Doe"),
        ("Doe^John^^^Jr", "Doe^John^^^Sr"),
        ("Smith^John", "Smyth^Jon"),
        ("Schmidt^Stefan", "Schmitt^Stephan"),
        ("Meyer^Philipp", "Maier^Filip"),
        ("Mohammed^Yusuf", "Muhammad^Youssef"),
        ("Catherine", "Katharina"),
        ("MacDonald", "McDonald"),
        ("Swayne", "Swain"),
        ("김희중", "김희중"),
        ("김^희중", "김희중"),
        ("김희중", "김^희중"),
        ("김희중", "김"),
        (JAPANESE, "Yamada^Tarou"),
        (JAPANESE, "yamada"),
        (JAPANESE, "山田^太郎"),
        (JAPANESE, "山田太郎"),
        (JAPANESE, "太郎^山田"),
        (JAPANESE, "やまだ^たろう"),
        (JAPANESE, "ヤマダ^タロウ"),
        (JAPANESE, "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        (JAPANESE, "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (JAPANESE, "Yamada^Tarou=山口"),
        (KOREAN, "Kim^Hee-Jung"),
        (KOREAN, "Kim^Heejung"),
        (KOREAN, "김희중"),
        (KOREAN, "金熙中"),
        ("Иванов^Пётр", "иванов^петр"),
        ("Παπαδόπουλος", "ΠΑΠΑΔΟΠΟΥΛΟΣ"),
        ("مُحَمَّد", "محمد"),
        ("Doe^John", "do*"),
        ("Doe^John", "jo*^do*"),
        ("Doe^John", "*^J?hn"),
        ("Müller^Hans", "Mue*"),
        ("O'Brien", "obr*"),
        ("Doe^John", "*oh*"),
    ],
)
def test_variants_of_a_name_find_each_other(
    index: InstanceIndex, search: SearchIndex, stored: object, asked: str
) -> None:
    index.register(new_instance(name=stored), ORIGIN)
    match = parse_match("PN", asked)
    assert match is not None
    assert finds(search, match)


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Doe^John", "Doe^Jane"),
        ("Doe^John", "Roe^John"),
        ("Doe^John", "Doering"),
        ("Doering^John", "Doe"),
        ("Müller^Hans", "Miller^Hans"),
        ("Müller^Hans", "Mahler^Hans"),
        ("Berg^Jan", "van der Heide^Jan"),
        ("Li^Wei", "Lu^Wei"),
        ("Kim^Hee Jung", "Kim^Min Jun"),
        ("Smith^Anna", "Smith-Jones^Anna"),
        ("Garcia^Maria", "Garcia^Mario"),
        ("Doe^John", "Doe^K"),
        ("Doe^John", "x*"),
        ("Doe^John", "Dr"),
        ("Doe^John", "D?x*^z*"),
        ("김희중", "이희중"),
        ("김희중", "희"),
        (JAPANESE, "山口^太郎"),
        (JAPANESE, "Suzuki"),
        ("", "Doe"),
    ],
)
def test_other_names_are_not_found(
    index: InstanceIndex, search: SearchIndex, stored: object, asked: str
) -> None:
    index.register(new_instance(name=stored), ORIGIN)
    match = parse_match("PN", asked)
    assert match is not None
    assert not finds(search, match)


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("tag", [NAME, REFERRING, PERFORMING, 0x00101001])
def test_every_kept_name_at_every_level(
    index: InstanceIndex, search: SearchIndex, level: Level, tag: int
) -> None:
    key, named = f"{tag:08X}", element("PN", "Müller^Hans", "Zweig^Ute")
    place = {PERFORMING: "series_attributes", REFERRING: "study_attributes"}.get(tag, "patient")
    others: dict[str, Any] = {"name": "Doe^Jane", place: {key: named}}
    index.register(new_instance(**others), ORIGIN)
    assert finds(search, SingleValue("Hans^Mueller"), tag, level)
    assert finds(search, Wildcard("mül*"), tag, level)
    assert not finds(search, SingleValue("Other"), tag, level)
    other = REFERRING if tag != REFERRING else PERFORMING
    assert not finds(search, SingleValue("Hans^Mueller"), other, level)


def test_without_fuzzy_a_name_is_matched_literally(
    index: InstanceIndex, search: SearchIndex
) -> None:
    index.register(new_instance(name="Müller^Hans"), ORIGIN)
    query = Query(Level.STUDY, (Filter(NAME, SingleValue("Mueller^Hans")),))
    assert not list(search.find(query))


def test_what_a_later_instance_adds_is_found(index: InstanceIndex, search: SearchIndex) -> None:
    index.register(new_instance(name=""), ORIGIN)
    later = new_instance(
        instance="1.1.1.2",
        study_attributes={"00080090": element("PN", "Roe^Rita")},
        series_attributes={"00081050": element("PN", "Poe^Paul")},
    )
    index.register(later, ORIGIN)
    assert finds(search, SingleValue("John^Doe"))
    assert finds(search, SingleValue("Rita^Roe"), REFERRING)
    assert finds(search, SingleValue("Paul^Poe"), PERFORMING)


def test_what_the_first_instance_said_stays(index: InstanceIndex, search: SearchIndex) -> None:
    index.register(new_instance(name="Doe^John"), ORIGIN)
    added = {"00080090": element("PN", "Roe^Rita")}
    index.register(
        new_instance(instance="1.1.1.2", name="Poe^Paul", study_attributes=added), ORIGIN
    )
    assert not finds(search, SingleValue("Poe^Paul"))
    assert finds(search, SingleValue("Doe^John"))
    assert finds(search, SingleValue("Roe^Rita"), REFERRING)


# --- rows of an older archive ---


@pytest.fixture
def older(database: Database, index: InstanceIndex) -> Iterator[Database]:
    """Studies and series whose names have no tokens, as an upgrade finds them."""
    for number in range(7):
        uid = f"1.{number + 1}"
        performing = {"00081050": element("PN", "Weiß^Ute")}
        new = new_instance(
            uid, f"{uid}.1", f"{uid}.1.1", name="Müller^Hans", series_attributes=performing
        )
        index.register(new, ORIGIN)
    with database.connection() as connection:
        connection.execute("UPDATE study SET person_names = NULL")
        connection.execute("UPDATE series SET person_names = NULL")
    yield database
    fill_person_names(database)


def count(search: SearchIndex, tag: int, asked: str) -> int:
    query = Query(Level.STUDY, (Filter(tag, SingleValue(asked)),), fuzzy=True)
    return len(list(search.find(query)))


def test_without_tokens_a_name_is_matched_literally(older: Database) -> None:
    search = SearchIndex(older)
    assert count(search, NAME, "müller^hans") == 7
    assert count(search, NAME, "Mueller^Hans") == 0


def test_missing_tokens_are_made_in_batches(
    older: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_tokens, "BATCH", 3)
    assert fill_person_names(older) == 14
    assert fill_person_names(older) == 0
    search = SearchIndex(older)
    assert count(search, NAME, "Mueller^Hans") == 7
    assert count(search, PERFORMING, "Weiss^U") == 7


def test_killed_in_between_it_goes_on_where_it_was(
    older: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_tokens, "BATCH", 3)
    with pytest.MonkeyPatch.context() as dying:
        make = names_by_key

        def dies(*levels: object) -> dict[str, list[str]]:
            with older.connection() as other:
                row = other.execute("SELECT count(person_names) FROM study").fetchone()
            if row is not None and row[0] >= 3:
                raise KeyboardInterrupt
            return make(*levels)  # type: ignore[arg-type]

        dying.setattr(name_tokens, "names_by_key", dies)
        with pytest.raises(KeyboardInterrupt):
            fill_person_names(older)
    assert fill_person_names(older) == 14 - 3
    assert count(SearchIndex(older), NAME, "Mueller^Hans") == 7


def test_one_node_makes_them_while_the_others_go_on(older: Database) -> None:
    with older.connection() as busy:
        busy.execute("SELECT pg_advisory_lock(%s)", [name_tokens._LOCK])
        assert fill_person_names(older) == 0
        busy.execute("SELECT pg_advisory_unlock(%s)", [name_tokens._LOCK])
    assert fill_person_names(older) == 14


def test_tokens_of_another_scheme_are_made_anew(
    older: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_person_names(older)
    monkeypatch.setattr(name_tokens, "SCHEME", "next")
    assert fill_person_names(older) == 14
    assert fill_person_names(older) == 0


def test_an_older_node_stores_while_the_upgrade_is_there(
    database: Database, search: SearchIndex
) -> None:
    """Its call has no names: the study is found literally until the tokens are made."""
    with database.connection() as connection:
        name = orjson.dumps({"00100010": element("PN", "Müller^Hans")}).decode()
        connection.execute(_OLDER_CALL, [name, "{}"])
    assert count(search, NAME, "MÜLLER^Hans") == 1
    assert fill_person_names(database) == 2
    assert count(search, NAME, "Mueller^Hans") == 1


def test_an_upgraded_archive_finds_what_it_had(empty_database_url: str) -> None:
    name = orjson.dumps({"00100010": element("PN", "Müller^Hans")}).decode()
    nurse = orjson.dumps({"00081050": element("PN", "Weiß^Ute")}).decode()
    with Database(empty_database_url, pool_size=2) as database:
        with database.connection() as connection:
            connection.execute(load("upgrades/0001_pre_base"))
            connection.execute("INSERT INTO schema_version VALUES (1, '0001_pre_base')")
            connection.execute(_OLDER_CALL, [name, nurse])
        assert "0002_pre_person_names" in upgrade(database)
        search = SearchIndex(database)
        assert count(search, NAME, "Mueller^Hans") == 1
        assert count(search, PERFORMING, "Weiss^Ute") == 1
        with database.connection() as connection:
            unnamed = connection.execute("SELECT FROM study WHERE person_names IS NULL").fetchall()
        assert unnamed == []


# --- whatever the name, fuzzy finds what a literal match finds ---

_LETTERS = st.sampled_from("aeouüöÄßøæœsS tT-.,'^mñКи山太김희がﾀﾞ́*?")
_NAMES = st.text(_LETTERS, min_size=1, max_size=12)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    stored=_NAMES,
    changes=st.lists(st.tuples(st.integers(0, 11), st.sampled_from("*?")), max_size=3),
)
def test_fuzzy_finds_all_that_a_literal_match_finds(
    database: Database, stored: str, changes: list[tuple[int, str]]
) -> None:
    asked = list(stored)
    for position, wildcard in changes:
        if position < len(asked):
            asked[position : position + (position % 3) + 1] = wildcard
    match = parse_match("PN", "".join(asked))
    assume(match is not None)
    assert match is not None
    query = wanted(NAME, match)
    name: JsonElement = {"vr": "PN", "Value": [{"Alphabetic": stored}]}
    matcher = Matcher()
    groups = [
        sql.SQL("fold_name(stored.name, {})").format(sql.Literal(group))
        for group in ("Alphabetic", "Ideographic", "Phonetic")
    ]
    literal = matcher.on_column(tuple(groups), Kind.NAME, match)
    matcher.bound["name"] = orjson.dumps(name).decode()
    matcher.bound["tokens"] = orjson.dumps({f"{NAME:08X}": tokens_of(name)}).decode()
    matcher.bound["query"] = query
    statement = sql.SQL(
        "SELECT {}, lexemes_of(%(tokens)s::jsonb) @@ %(query)s::tsquery FROM (SELECT %(name)s::jsonb AS name) AS stored"
    ).format(literal)
    with database.connection() as connection:
        row = connection.execute(statement, matcher.bound).fetchone()
    assert row is not None
    is_literal, is_fuzzy = row
    assert not is_literal or query is None or is_fuzzy
