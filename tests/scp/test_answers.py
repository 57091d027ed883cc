"""The responses of a C-FIND on their way out: together, in order, none held back for long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tests import samples
from vna.dicom.attributes import BY_TAG
from vna.dicom.encode import encode_dataset
from vna.dicom.json import dataset_json
from vna.dimse.command import RESPONSE, Command, CommandField
from vna.dimse.message import Message
from vna.dimse.negotiation import PresentationContext
from vna.errors import Unavailable
from vna.model.identifiers import Level, Origin
from vna.model.query import JsonElement, Query, Record
from vna.scp import answers, query
from vna.scp.answers import MOST_HELD, AnswerWriter
from vna.scp.exchange import Door, Exchange
from vna.scp.identifier import FindRequest, vr_of_key
from vna.scp.policy import Model

FIND = f"{Model.STUDY_ROOT}.1"
SUCCESS, CANCELLED, PENDING = 0, 0xFE00, 0xFF00


@dataclass
class Peer:
    """An association that notes what is sent: for each system call the statuses in it."""

    cancels_after: int | None = None
    extended: dict[str, bytes] = field(default_factory=dict)
    calls: list[list[int | None]] = field(default_factory=list)
    datasets: list[bytes] = field(default_factory=list)

    def cancelled(self, _message_id: int, *, look: bool = True) -> bool:
        assert look
        return self.cancels_after is not None and len(self.datasets) >= self.cancels_after

    def send_alike(
        self, _context: int, command: Command, datasets: list[bytes], last: Command | None = None
    ) -> None:
        ending = [] if last is None else [last.status]
        self.calls.append([*(command.status for _ in datasets), *ending])
        self.datasets += datasets

    @property
    def statuses(self) -> list[int | None]:
        return [status for call in self.calls for status in call]


@dataclass
class Archive:
    """Finds `count` studies; the search fails behind them if `fails`."""

    count: int
    fails: bool = False
    ae_title: str = "VNA"
    config: None = None

    @property
    def query(self) -> Archive:
        return self

    def find(self, asked: Query, _origin: Origin) -> Iterator[Record]:
        for number in range(self.count):
            element: JsonElement = {"vr": "UI", "Value": [f"1.2.{number}"]}
            yield Record(asked.level, {"0020000D": element})
        if self.fails:
            raise Unavailable("the database has gone")


def ask(archive: Archive, peer: Peer) -> int:
    identifier = samples.dataset({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""})
    pieces = iter((memoryview(identifier),))
    context = PresentationContext(1, FIND, samples.EXPLICIT, as_scu=False, as_scp=True)
    command = Command(CommandField.C_FIND_RQ, message_id=7, affected_sop_class_uid=FIND)
    message = Message(context, command, has_data=True, pull=lambda: next(pieces, None))
    door = cast("Door", archive)
    exchange = Exchange(door, peer, message, Origin("dimse", "P", "", ""))  # type: ignore[arg-type]
    return query.answer(exchange).code


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes out for its age, however slow the machine is."""
    monkeypatch.setattr(answers, "LONGEST_HELD", 3600.0)


@pytest.mark.parametrize("count", [0, 1, 2, MOST_HELD - 1])
def test_few_answers_go_out_with_the_end(count: int) -> None:
    peer = Peer()
    assert ask(Archive(count), peer) == SUCCESS
    assert peer.calls == [[PENDING] * count + [SUCCESS]]


@pytest.mark.parametrize("count", [MOST_HELD, MOST_HELD + 1, 5 * MOST_HELD + 3])
def test_many_answers_go_out_by_and_by_in_order(count: int) -> None:
    peer = Peer()
    assert ask(Archive(count), peer) == SUCCESS
    assert peer.statuses == [PENDING] * count + [SUCCESS]
    assert len(peer.calls) == count // MOST_HELD + 1
    uids = [
        dataset_json(data, dataset_offset=0, transfer_syntax_uid=samples.EXPLICIT)["0020000D"]
        for data in peer.datasets
    ]
    assert [uid["Value"] for uid in uids] == [[f"1.2.{number}"] for number in range(count)]


def test_an_answer_that_has_waited_long_goes_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LONGEST_HELD", 0.0)
    peer = Peer()
    assert ask(Archive(3), peer) == SUCCESS
    assert peer.calls == [[PENDING], [PENDING], [PENDING], [SUCCESS]]


def test_large_answers_are_not_piled_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_HELD_BYTES", 1)
    peer = Peer()
    assert ask(Archive(2), peer) == SUCCESS
    assert peer.calls == [[PENDING], [PENDING], [SUCCESS]]


def test_what_was_found_before_a_failure_is_sent() -> None:
    peer = Peer()
    with pytest.raises(Unavailable):
        ask(Archive(3, fails=True), peer)
    assert peer.calls == [[PENDING] * 3]


@pytest.mark.parametrize("after", [0, MOST_HELD, 2 * MOST_HELD])
def test_nothing_goes_out_behind_a_cancel(after: int) -> None:
    peer = Peer(cancels_after=after)
    assert ask(Archive(10 * MOST_HELD), peer) == CANCELLED
    assert peer.statuses == [PENDING] * after + [CANCELLED]


def test_the_response_names_its_request() -> None:
    sent: list[Command] = []

    class Listening(Peer):
        def send_alike(
            self,
            _context: int,
            command: Command,
            datasets: list[bytes],
            last: Command | None = None,
        ) -> None:
            sent.extend([command] * len(datasets) + ([] if last is None else [last]))

    ask(Archive(1), Listening())
    assert [command.command_field for command in sent] == [CommandField.C_FIND_RQ | RESPONSE] * 2
    assert {command.message_id_being_responded_to for command in sent} == {7}
    assert {command.affected_sop_class_uid for command in sent} == {FIND}


def test_a_record_with_more_than_was_asked_for_is_cut_down() -> None:
    keys: dict[str, JsonElement] = {
        "00100020": {"vr": "LO"},
        "00081032": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH"}}]},
    }
    request = FindRequest(Query(Level.STUDY), keys, all_supported=True)
    code: JsonElement = {"vr": "SH", "Value": ["C"]}
    meaning: JsonElement = {"vr": "LO", "Value": ["more"]}
    record = Record(
        Level.STUDY,
        {
            "00100020": {"vr": "LO", "Value": ["P1"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Not^Asked"}]},
            "00081032": {"vr": "SQ", "Value": [{"00080100": code, "00080104": meaning}]},
        },
    )
    data = AnswerWriter(request, "VNA", samples.EXPLICIT).written(record)
    found = dataset_json(data, dataset_offset=0, transfer_syntax_uid=samples.EXPLICIT)
    assert found == {
        "00080052": {"vr": "CS", "Value": ["STUDY"]},
        "00080054": {"vr": "AE", "Value": ["VNA"]},
        "00080056": {"vr": "CS", "Value": ["ONLINE"]},
        "00081032": {"vr": "SQ", "Value": [{"00080100": code}]},
        "00100020": {"vr": "LO", "Value": ["P1"]},
    }


ANSWERED: dict[str, JsonElement] = {
    "00080052": {"vr": "CS", "Value": ["STUDY"]},
    "00080054": {"vr": "AE", "Value": ["VNA"]},
    "00080056": {"vr": "CS", "Value": ["ONLINE"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jörg"}]},
}


@pytest.mark.parametrize("syntax", [samples.IMPLICIT, samples.EXPLICIT])
def test_unknown_keys_are_answered_empty_and_written_once(
    syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some before, between and behind what is answered, the character set among it."""
    groups = (0x00080001, 0x00080057, 0x00100001, 0x00100011, 0x50001001)
    tags = {tag + number for tag in groups for number in range(8)} - BY_TAG.keys()
    keys = (f"{tag:08X}" for tag in tags)
    unknown: dict[str, JsonElement] = {key: {"vr": vr_of_key(key, {"vr": "LO"})} for key in keys}
    assert unknown.keys() >= {
        "00080001",
        "00080006",
        "00080058",
        "00100001",
        "00100011",
        "50001001",
    }
    request = FindRequest(
        Query(Level.STUDY), {**unknown, "00100010": {"vr": "PN"}}, all_supported=False
    )
    writer = AnswerWriter(request, "VNA", syntax)
    encoded: list[str] = []

    def encode(attributes: dict[str, JsonElement], *others: Any) -> bytes:
        encoded.extend(attributes)
        return encode_dataset(attributes, *others)

    monkeypatch.setattr(answers, "encode_dataset", encode)
    record = Record(Level.STUDY, {"00100010": ANSWERED["00100010"]})
    found = [writer.written(record) for _ in range(2)]
    assert found == [encode_dataset({**unknown, **ANSWERED}, syntax)] * 2
    assert set(encoded) == set(ANSWERED)
