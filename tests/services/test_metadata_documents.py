"""Metadata documents: made once, kept in the index, found by other processes, never stale."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_backends.errors import BackendUnavailable
from tests import samples
from tests.services.conftest import Bench
from vna.errors import Abandoned, Corrupt, Unavailable
from vna.index.changes import ChangeIndex
from vna.index.database import Database
from vna.interrupts import Interrupt, interruptible
from vna.model.identifiers import Selection
from vna.services.document_cache import DocumentCache, Turns
from vna.services.metadata_documents import document_of, joined, objects_of, rebased, unpacked
from vna.services.settling import SettlingService

ROOT = "http://a/dicom-web/studies"
OTHER = "https://b.example.org/pacs/studies"


# --- their form -------------------------------------------------------------------------------------

items = st.lists(
    st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers(0, 9), max_size=3)
)


@given(items)
def test_a_document_is_the_array_of_its_objects(found: list[dict[str, object]]) -> None:
    objects = [orjson.dumps(item) for item in found]
    document = document_of(objects)
    assert orjson.loads(b"".join(unpacked(document))) == found
    assert list(objects_of(document)) == objects


@given(st.lists(items, max_size=4))
def test_documents_join_to_one_array(found: list[list[dict[str, object]]]) -> None:
    documents = [document_of(map(orjson.dumps, part)) for part in found if part]
    expected = [item for part in found for item in part]
    assert orjson.loads(b"".join(joined(documents))) == expected


def test_objects_larger_than_a_chunk_come_whole() -> None:
    objects = [b'{"a":"' + bytes([97 + number]) * 700_000 + b'"}' for number in range(3)]
    assert list(objects_of(document_of(objects))) == objects


def test_only_uris_of_bulk_data_move() -> None:
    text = f'"BulkDataURI":"{ROOT}/x'
    item = {"1": {"BulkDataURI": f"{ROOT}/1/bulkdata/2"}, "2": {"Value": [text, f"{ROOT}/y"]}}
    moved = rebased(document_of([orjson.dumps(item)]), ROOT, OTHER)
    assert orjson.loads(b"".join(unpacked(moved))) == [
        {"1": {"BulkDataURI": f"{OTHER}/1/bulkdata/2"}, "2": item["2"]}
    ]


def test_the_least_used_document_makes_room() -> None:
    cache = DocumentCache(10)
    cache.put("a", b"12345")
    cache.put("b", b"12345")
    assert cache.get("a") == b"12345"
    cache.put("c", b"1")
    assert cache.get("b") is None
    assert cache.get("a") is not None
    cache.put("d", bytes(11))
    assert cache.get("d") is None
    assert cache.get("c") == b"1"


def test_turns_are_taken_per_key() -> None:
    turns, inside, most = Turns(), list[str](), list[int]()
    together = threading.Barrier(2, timeout=10)

    def work(key: str) -> None:
        with turns.of(key):
            inside.append(key)
            most.append(inside.count(key))
            together.wait()
            inside.remove(key)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, ["a", "b", "a", "b"]))
    assert max(most) == 1
    assert not turns._turns


# --- as a service -----------------------------------------------------------------------------------


def fill(bench: Bench, count: int, series: str = "1.2.9") -> None:
    for number in range(count):
        uids = ("1.2", series, f"{series}.{number}")
        bench.keep(samples.ct_at(*uids, InstanceNumber=str(number)))


def described(bench: Bench, series: str = "1.2.9", root: str = ROOT) -> list[dict[str, object]]:
    (state,) = bench.metadata.states("1.2", series)
    document = bench.metadata.document(state, root)
    assert document.etag == bench.metadata.etag([state], root)
    found = orjson.loads(b"".join(unpacked(document.body)))
    assert isinstance(found, list)
    return found


def without_reads(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> object:
        raise AssertionError("an object was opened")

    monkeypatch.setattr(bench.backend, "open", never)


def test_a_document_is_the_headers_in_their_order(bench: Bench) -> None:
    fill(bench, 40)
    found = described(bench)
    uids = [item["00080018"]["Value"] for item in found]  # type: ignore[index]
    assert uids == [[f"1.2.9.{number}"] for number in range(40)]
    instances = bench.retrieve.select(Selection(study_instance_uids=("1.2",)))
    (one,) = bench.metadata.objects(instances[7:8], ROOT)
    assert orjson.loads(one) == found[7]


def test_a_document_is_made_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(bench, 3)
    first = described(bench)
    without_reads(bench, monkeypatch)
    assert described(bench) == first


def test_another_process_finds_it_too(
    bench: Bench, another: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(bench, 3)
    first = described(bench)
    without_reads(another, monkeypatch)
    assert described(another) == first
    moved = described(another, root=OTHER)
    text = orjson.dumps(moved)
    assert OTHER.encode() in text
    assert ROOT.encode() not in text


def test_a_series_that_changes_has_another_document(bench: Bench, another: Bench) -> None:
    fill(bench, 2)
    assert len(described(bench)) == len(described(another)) == 2
    fill(bench, 3)
    assert len(described(another)) == len(described(bench)) == 3


def test_what_changes_between_two_looks_is_told_by_the_tag(bench: Bench) -> None:
    fill(bench, 1)
    (state,) = bench.metadata.states("1.2", "1.2.9")
    fill(bench, 2)
    document = bench.metadata.document(state, ROOT)
    (now,) = bench.metadata.states("1.2", "1.2.9")
    assert document.etag == bench.metadata.etag([now], ROOT)
    assert len(orjson.loads(b"".join(unpacked(document.body)))) == 2


def test_a_damaged_object_is_named_and_nothing_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(bench, 20)
    for path in list(bench.store_directory.rglob("*"))[-3:]:
        if path.is_file():
            path.unlink()
    with pytest.raises(Corrupt):
        described(bench)
    (state,) = bench.metadata.states("1.2", "1.2.9")
    assert not bench.index.documents.has(state, 1)


def test_a_viewer_that_has_gone_is_read_for_no_longer(bench: Bench) -> None:
    fill(bench, 1)
    (state,) = bench.metadata.states("1.2", "1.2.9")
    interrupt = Interrupt()
    interrupt.set()
    with interruptible(interrupt), pytest.raises(Abandoned):
        bench.metadata.document(state, ROOT)
    assert len(described(bench)) == 1


# --- made in advance --------------------------------------------------------------------------------


def settling(bench: Bench) -> SettlingService:
    return SettlingService(bench.index.documents, bench.metadata, ROOT)


def mark(bench: Bench, database: Database) -> None:
    ChangeIndex(database).number()
    bench.index.documents.mark()


def test_documents_of_what_has_settled_are_made_in_advance(
    bench: Bench, another: Bench, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(bench, 3)
    fill(bench, 2, "1.2.8")
    mark(bench, database)
    assert settling(bench).work(3600) == 0
    assert settling(bench).work(0) == 2
    assert settling(bench).work(0) == 0
    without_reads(another, monkeypatch)
    assert len(described(another)) == 3
    assert len(described(another, "1.2.8")) == 2


def test_a_document_that_is_there_is_not_made_again(
    bench: Bench, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(bench, 1)
    described(bench)
    mark(bench, database)
    without_reads(bench, monkeypatch)
    assert settling(bench).work(0) == 0
    assert not bench.index.documents.is_due(0)


def test_a_damaged_object_holds_up_no_other_series(bench: Bench, database: Database) -> None:
    fill(bench, 1)
    for path in bench.store_directory.rglob("*"):
        if path.is_file():
            path.unlink()
    fill(bench, 1, "1.2.8")
    mark(bench, database)
    assert settling(bench).work(0) == 1
    assert not bench.index.documents.is_due(0)


def test_storage_that_is_away_leaves_the_series_due(
    bench: Bench, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(bench, 1)
    mark(bench, database)

    def away(*_: object, **__: object) -> object:
        raise BackendUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(bench.backend, "open", away)
        with pytest.raises(Unavailable):
            settling(bench).work(0)
    with database.connection() as connection:
        connection.execute("UPDATE series_due SET taken_until = '-infinity'")
    assert settling(bench).work(0) == 1


def test_work_stops_when_it_is_told_to(bench: Bench, database: Database) -> None:
    fill(bench, 1)
    mark(bench, database)
    assert settling(bench).work(0, lambda: True) == 0
    assert bench.index.documents.is_due(0)
