"""Counting sub-operations, and what the final response says of them."""

from __future__ import annotations

import io

import pytest

from tests.scp.test_plan import CT, EXPLICIT, stored
from vna.dicom.json import dataset_json
from vna.errors import Corrupt
from vna.scp.exchange import Counters
from vna.scp.retrieve import failed_list, final_status
from vna.scp.suboperations import Heartbeat, Tally, WatchedReader


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
    assert [instance.instance_id for instance in tally.delivered] == [0, 2]


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


def test_a_watched_reader_passes_everything_on_and_beats() -> None:
    beats: list[int] = []
    reader = WatchedReader(io.BytesIO(b"abcdef"), 6, "1.2", lambda: beats.append(1))
    assert [reader.read(4), reader.read(4), reader.read(4)] == [b"abcd", b"ef", b""]
    assert len(beats) == 3


def test_an_object_that_ends_too_early_is_corrupt() -> None:
    reader = WatchedReader(io.BytesIO(b"abc"), 6, "1.2.3", lambda: None)
    reader.read(4)
    with pytest.raises(Corrupt, match=r"1\.2\.3 ends 3 bytes too early"):
        reader.read(4)


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
