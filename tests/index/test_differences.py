"""What is kept short comes back as it was: attributes as differences, UIDs, digests, frame tables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage_backends.base import Digest
from vna.index.database import Database
from vna.index.differences import SharedAttributes
from vna.index.jsonb import to_jsonb
from vna.index.registering import packed_digest, unpacked_digest
from vna.model.frames import NativeFrames, pack_frames, unpack_frames
from vna.model.identifiers import is_keepable_uid

FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_KEYS = st.sampled_from(["00080008", "00080033", "00200013", "00200032", "00080201"])
_NUMBERS = st.one_of(
    st.integers(-(10**12), 10**12),
    st.sampled_from([1, 1.0, 0.1, -812.5, 1e-7, 1e22, 0.0, 999999999]),
)
_TEXTS = st.sampled_from(["", "a", "1", "null", "Grüße", 'quo"te', "\\"])
_ITEMS = st.dictionaries(_KEYS, st.builds(lambda v: {"vr": "SH", "Value": [v]}, _TEXTS), max_size=2)
_VALUES = st.one_of(
    st.lists(_NUMBERS, min_size=1, max_size=3),
    st.lists(st.one_of(_TEXTS, st.none()), min_size=1, max_size=3),
    st.lists(_ITEMS, min_size=1, max_size=2),
    st.lists(
        st.sampled_from([{"Alphabetic": "A^B"}, {"Ideographic": "山", "Alphabetic": "C"}]),
        min_size=1,
    ),
    st.just([True]),
)
_ELEMENTS = st.builds(
    lambda vr, values: {"vr": vr, "Value": values},
    st.sampled_from(["IS", "DS", "TM", "SQ"]),
    _VALUES,
)
ATTRIBUTES = st.dictionaries(_KEYS, _ELEMENTS, max_size=5)

_ROUND = """
    WITH given AS (
        SELECT %(mine)s::jsonb AS mine, %(shared)s::jsonb - '00200013' AS shared,
            integer_of(%(mine)s::jsonb -> '00200013') AS number, %(ours)s::jsonb AS ours
    ), kept AS (SELECT g.*, differences_of(mine, shared) AS theirs FROM given g)
    SELECT mine::text, attributes_of(NULL, theirs, shared, number)::text,
        attributes_of(NULL, ours, shared, number)::text,
        (SELECT jsonb_object_agg(key, element_of(NULL, ours, shared, number, key))
            FROM jsonb_object_keys(mine || shared) AS key)::text,
        (SELECT jsonb_object_agg(key, mine -> key) FROM jsonb_object_keys(mine || shared) AS key)::text
    FROM kept
"""


def ask(database: Database, statement: Any, values: Any) -> tuple[Any, ...]:
    with database.connection() as connection:
        row = connection.execute(statement, values).fetchone()
    assert row is not None
    return row


@FEW
@given(mine=ATTRIBUTES, shared=ATTRIBUTES)
def test_attributes_come_back_exactly(
    database: Database, mine: dict[str, Any], shared: dict[str, Any]
) -> None:
    told = ask(database, "SELECT (%s::jsonb - '00200013')::text", [to_jsonb(shared)])[0]
    ours = SharedAttributes(told.encode()).differences(mine)
    values = {"mine": to_jsonb(mine), "shared": to_jsonb(shared), "ours": to_jsonb(ours)}
    whole, by_sql, by_python, elements, wanted = ask(database, _ROUND, values)
    assert by_sql == whole
    assert by_python == whole
    assert elements == wanted


def test_differences_are_small() -> None:
    shared = SharedAttributes(
        b'{"00080033": {"vr": "TM", "Value": ["101500"]}, "00280010": {"vr": "US", "Value": [512]},'
        b' "00080008": {"vr": "CS", "Value": ["A", "B"]}, "00201041": {"vr": "DS", "Value": [1.0]}}'
    )
    mine: dict[str, Any] = {
        "00080033": {"vr": "TM", "Value": ["101501"]},
        "00080008": {"vr": "CS", "Value": ["A", "C"]},
        "00200013": {"vr": "IS", "Value": [7]},
        "00201041": {"vr": "FD", "Value": [1.0]},
    }
    assert shared.differences(mine) == {
        "00080033": "101501",
        "00080008": ["A", "C"],
        "00201041": {"vr": "FD", "Value": [1.0]},
        "00280010": None,
    }


@FEW
@given(
    uid=st.one_of(
        st.from_regex(r"[0-9.]{0,70}", fullmatch=True),
        st.text("019.af-Z ", max_size=20).filter(is_keepable_uid),
    )
)
def test_uids_come_back(database: Database, uid: str) -> None:
    again, length = ask(
        database, "SELECT uid_of(packed_uid(%(u)s)), octet_length(packed_uid(%(u)s))", {"u": uid}
    )
    assert again == uid
    assert length <= len(uid) + 1


@pytest.mark.parametrize("algorithm", ["blake3", "blake3-pixel-tree", "sha256"])
def test_digests_come_back(database: Database, algorithm: str) -> None:
    digest = Digest(algorithm, "00ff" * 16)
    short, again = ask(
        database,
        "SELECT short_digest(%(d)s), long_digest(short_digest(%(d)s))",
        {"d": packed_digest(digest)},
    )
    assert bytes(again) == packed_digest(digest)
    assert unpacked_digest(short) == unpacked_digest(again) == digest
    assert (len(short) == 33) is (algorithm != "sha256")


@given(numbers=st.tuples(*[st.integers(0, 2**63)] * 4))
def test_native_frame_tables_come_back(numbers: tuple[int, int, int, int]) -> None:
    table = NativeFrames(*numbers)
    assert unpack_frames(pack_frames(table, in_short=True)) == table
    assert unpack_frames(pack_frames(table)) == table
