"""The report of a store request: its items, its size in memory, its forms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomweb import pieces
from dicomweb.pieces import Pieces
from dicomweb.stow_report import Failure, StowReport, failure_reason
from vna.dicom.native_xml import read_xml
from vna.errors import InvalidInstance, Unavailable
from vna.model.identifiers import InstanceUids
from vna.model.instances import Outcome
from vna.services.store import StoreOutcome
from vna.spool import Spool

URL = "http://h/dicom-web/studies"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path, 4096)
    yield spool
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"] == []
    spool.close()


def stored(number: int, study: str = "1.2", *warnings: str) -> StoreOutcome:
    uids = InstanceUids(study, f"{study}.3", f"{study}.3.{number}")
    return StoreOutcome(Outcome.STORED, uids, "1.5", "1.6", 1, warnings)


def failed(uid: str = "", error: Exception | None = None) -> Failure:
    found = error or InvalidInstance("why")
    assert isinstance(found, (InvalidInstance, Unavailable))
    return Failure(found, failure_reason(found), "1.5" if uid else "", uid)


def test_many_items_lie_in_the_spool_and_come_in_order(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MEMORY_BYTES", 1000)
    items = Pieces(spool)
    texts = [b'{"n":%d}' % number for number in range(1000)]
    for text in texts:
        items.add(text)
    assert items.is_spooled
    assert items.count == 1000
    assert list(items) == texts == list(items)
    items.close()


def test_a_long_report_is_the_same_as_a_short_one(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = []
    for memory in (10**6, 100):
        monkeypatch.setattr(pieces, "MEMORY_BYTES", memory)
        report = StowReport(spool, URL)
        for number in range(20):
            report.add(stored(number))
            report.add(failed(f"9.{number}"))
            report.add(failed())
        assert report.is_long is (memory == 100)
        forms.append(json.loads(b"".join(report.json_chunks())))
        assert read_xml(b"".join(report.xml_chunks())) == forms[-1]
        report.close()
    assert forms[0] == forms[1]
    assert {tag: len(element["Value"]) for tag, element in forms[0].items()} == {
        "00081190": 1, "00081198": 20, "00081199": 20, "0008119A": 20,
    }  # fmt: skip
    assert forms[0]["00081190"]["Value"] == [f"{URL}/1.2"]


def test_a_report_left_in_the_middle_leaves_nothing(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MEMORY_BYTES", 100)
    report = StowReport(spool, URL)
    for number in range(200):
        report.add(stored(number))
    chunks = report.json_chunks()
    next(chunks)
    report.close()


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([stored(1)], 200),
        ([stored(1), stored(2, "1.2", "odd")], 202),
        ([stored(1), failed()], 202),
        ([failed("1.2")], 409),
        ([failed("1.2", Unavailable("gone"))], 503),
        ([stored(1), failed("1.2", Unavailable("gone"))], 202),
    ],
)
def test_the_status(spool: Spool, results: list[StoreOutcome | Failure], status: int) -> None:
    report = StowReport(spool, URL)
    for result in results:
        report.add(result)
    assert report.status() == status
    report.close()


def test_instances_of_several_studies_have_no_common_url(spool: Spool) -> None:
    report = StowReport(spool, URL)
    report.add(stored(1, "1.2"))
    report.add(stored(1, "1.3"))
    assert set(json.loads(b"".join(report.json_chunks()))) == {"00081199"}
    report.close()


def test_nothing_is_an_empty_report(spool: Spool) -> None:
    report = StowReport(spool, URL)
    assert report.is_empty
    assert json.loads(b"".join(report.json_chunks())) == {}
    assert read_xml(b"".join(report.xml_chunks())) == {}
