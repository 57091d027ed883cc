"""What is found by the middle of a name or Patient ID: what comparing all of them would find."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vna.index.database import Database
from vna.index.search import SearchIndex
from vna.model.identifiers import Level
from vna.model.query import Filter, OneOf, Query, SearchTimes, UrlParts, Wildcard

NAME, PATIENT_ID, STUDY_UID = 0x00100010, 0x00100020, 0x0020000D
TIMES, URL = SearchTimes(30, 30), UrlParts("", "", "")


LETTERS = "aAbBcC^ =?*%_\\\u0308ßẞſΣσςİ山田\x01é"
TEXTS = st.text(LETTERS, max_size=12)
PATTERNS = st.text(LETTERS + "***", max_size=8).map(lambda text: f"*{text}*") | TEXTS


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(TEXTS, min_size=1, max_size=30), pattern=PATTERNS, data=st.data())
def test_the_index_finds_what_comparing_all_finds(
    database: Database, texts: list[str], pattern: str, data: st.DataObject
) -> None:
    part = data.draw(st.sampled_from(texts))
    pattern = data.draw(
        st.sampled_from([pattern, f"*{part[1:]}*", f"?{part[1:-1]}?", f"*{part}^*"])
    )
    with database.connection() as connection:
        connection.execute("DELETE FROM study; DELETE FROM patient")
        connection.execute(
            "INSERT INTO patient (issuer_of_patient_id, patient_id, attributes)"
            " SELECT n, t, '{}' FROM unnest(%s::text[]) WITH ORDINALITY AS x(t, n)",
            [texts],
        )
        connection.execute(
            "INSERT INTO study (patient, study_instance_uid, patient_name, patient_name_ideographic,"
            " attributes) SELECT id, '1.' || id, CASE WHEN id % 2 = 0 THEN f END,"
            " CASE WHEN id % 2 = 1 THEN f END, '{}'"
            " FROM (SELECT id, nullif(rtrim(fold(patient_id), '^ '), '') AS f FROM patient) AS folded"
        )
        connection.execute("SET enable_seqscan = off")
    search = SearchIndex(database)
    for tag in (NAME, PATIENT_ID):
        found = [objects(search, Filter(tag, match)) for match in both(pattern)]
        assert found[0] == found[1]


def both(pattern: str) -> list[Wildcard | OneOf]:
    """The same with the index and, as one of one, without."""
    return [Wildcard(pattern), OneOf((Wildcard(pattern),))]


def objects(search: SearchIndex, item: Filter) -> list[bytes]:
    query = Query(Level.STUDY, (item,), frozenset({STUDY_UID}), 100)
    return search.page(query, URL, TIMES).objects
