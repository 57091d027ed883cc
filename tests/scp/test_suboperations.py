"""Counting sub-operations, and what the final response says of them."""

from __future__ import annotations

import io

import pytest

from tests.scp.test_plan import CT, EXPLICIT, stored
from vna.dicom.json import dataset_json
from vna.errors import Corrupt
from vna.scp.exchange import Counters
from vna.scp.retrieve import failed_list, final_status
from vna.scp.suboperations import ExactReader, Heartbeat, Tally


def tally_of(*statuses: int) -> Tally:
    tally = Tally(len(statuses))
    for number, status in enumerate(statuses):
        tally.add(stored(number, CT, EXPLICIT), status)
    return tally


@pytest.mark.parametrize(
    ("statuses", "code", "counters"),
    [
        ((), 0x0000, Counters(None, 0, 0, 0)),
        ((0x0000, 0x0000), 0x0000, Counters(None, 2, 0, 0)),
        ((0x0000, 0xB000), 0xB000, Counters(None, 1, 0, 1)),
        ((0x0000, 0xA700), 0xB000, Counters(None, 1, 1, 0)),
        ((0xB007, 0xC000), 0xB000, Counters(None, 0, 1, 1)),
        ((0xA700, 0x0122), 0xA702, Counters(None, 0, 2, 0)),
    ],
)
def test_the_final_status_follows_from_the_count(
    statuses: tuple[int, ...], code: int, counters: Counters
) -> None:
    tally = tally_of(*statuses)
    assert final_status(tally).code == code
    assert tally.counters(with_remaining=False) == counters
    assert tally.remaining == 0


def test_failed_instances_are_named_and_the_delivered_remembered() -> None:
    tally = tally_of(0x0000, 0xA700, 0xB000)
    assert tally.failed_uids == ["1.2.3.1"]
    assert tally.delivered == {"1.2": 2}


def test_counters_fit_their_elements() -> None:
    assert Tally(100_000).counters(with_remaining=True) == Counters(65535, 0, 0, 0)


def test_the_failed_list_is_an_identifier() -> None:
    data = failed_list(["1.2", "1.3"], EXPLICIT)
    assert data is not None
    elements = dataset_json(data, dataset_offset=0, transfer_syntax_uid=EXPLICIT)
    assert elements == {"00080058": {"vr": "UI", "Value": ["1.2", "1.3"]}}


def test_no_failures_no_identifier() -> None:
    assert failed_list([], EXPLICIT) is None


def test_a_very_long_failed_list_stays_encodable() -> None:
    data = failed_list([f"1.2.{n:060d}" for n in range(3000)], EXPLICIT)
    assert data is not None
    assert len(data) <= 8 + 0xFFFE


def test_an_exact_reader_passes_everything_on() -> None:
    reader = ExactReader(io.BytesIO(b"abcdef"), 6, "1.2")
    assert [reader.read(4), reader.read(4), reader.read(4)] == [b"abcd", b"ef", b""]


def test_an_object_that_ends_too_early_is_corrupt() -> None:
    reader = ExactReader(io.BytesIO(b"abc"), 6, "1.2.3")
    reader.read(4)
    with pytest.raises(Corrupt, match=r"1\.2\.3 ends 3 bytes too early"):
        reader.read(4)


def test_what_was_under_way_at_a_cancellation_has_failed_and_counts_no_more() -> None:
    tally = Tally(5)
    first, second, third = (stored(n, CT, EXPLICIT) for n in range(3))
    for instance in (first, second, third):
        tally.begin(instance)
    tally.add(first, 0)
    tally.seal()
    tally.add(second, 0)
    tally.fail(third)
    tally.postpone(third)
    tally.lose(1)
    assert tally.counters(with_remaining=True) == Counters(2, 1, 2, 0)
    assert tally.failed_uids == ["1.2.3.1", "1.2.3.2"]


def test_what_is_postponed_is_not_counted_until_it_ends() -> None:
    tally, instance = Tally(1), stored(7, CT, EXPLICIT)
    tally.begin(instance)
    tally.postpone(instance)
    assert tally.remaining == 1
    tally.begin(instance)
    tally.add(instance, 0xB000)
    assert tally.counters(with_remaining=True) == Counters(0, 0, 0, 1)


def test_only_so_many_failures_are_named_but_all_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vna.scp.suboperations.MAX_FAILED_UIDS", 2)
    tally = tally_of(0xA700, 0xA700, 0xA700)
    assert (tally.failed, len(tally.failed_uids)) == (3, 2)


def test_a_heartbeat_beats_at_once_and_then_at_its_interval() -> None:
    beats: list[int] = []
    seldom = Heartbeat(lambda: beats.append(1), 3600)
    seldom()
    seldom()
    assert len(beats) == 1
    often = Heartbeat(lambda: beats.append(2), 0)
    often()
    often()
    assert beats == [1, 2, 2]
