"""The command set: PS3.7 E.1 there and back, read by pynetdicom, and lenient towards peers."""

from __future__ import annotations

import struct
from dataclasses import fields
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from tests.unit.dimse import values
from vna.dimse.command import (
    FIELDS,
    BadCommand,
    Command,
    CommandField,
    decode_command,
    encode_command,
)

words = st.none() | st.integers(0, 65535)
tags = st.lists(st.integers(0, 0xFFFFFFFF), max_size=3).map(tuple)
texts = st.just("") | values.uids
commands = st.builds(
    Command,
    command_field=st.integers(0, 65535),
    message_id=words,
    message_id_being_responded_to=words,
    affected_sop_class_uid=texts,
    requested_sop_class_uid=texts,
    affected_sop_instance_uid=texts,
    requested_sop_instance_uid=texts,
    priority=words,
    status=words,
    move_destination=st.just("") | values.ae_titles.filter(lambda text: "\\" not in text),
    move_originator_application_entity_title=st.just("") | values.ae_titles,
    move_originator_message_id=words,
    number_of_remaining_suboperations=words,
    number_of_completed_suboperations=words,
    number_of_failed_suboperations=words,
    number_of_warning_suboperations=words,
    offending_element=tags,
    error_id=words,
    event_type_id=words,
    action_type_id=words,
    attribute_identifier_list=tags,
)

KEYWORDS = {  # of PS3.6 where the snake_case name does not tell
    "error_id": "ErrorID",
    "message_id": "MessageID",
    "event_type_id": "EventTypeID",
    "action_type_id": "ActionTypeID",
    "message_id_being_responded_to": "MessageIDBeingRespondedTo",
    "move_originator_message_id": "MoveOriginatorMessageID",
}


def element(number: int, value: bytes, group: int = 0) -> bytes:
    return struct.pack("<HHI", group, number, len(value)) + value


def keyword(name: str) -> str:
    camel = "".join(part.capitalize() for part in name.split("_"))
    return KEYWORDS.get(
        name,
        camel.replace("SopClassUid", "SOPClassUID").replace("SopInstanceUid", "SOPInstanceUID"),
    )


@given(commands, st.booleans())
def test_a_command_comes_back(command: Command, has_data: bool) -> None:
    assert decode_command(encode_command(command, has_data=has_data)) == (command, has_data)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.keyword)
def test_element_and_vr_are_those_of_the_dictionary(field: object) -> None:
    name, number = field.keyword, field.element  # type: ignore[attr-defined]
    assert tag_for_keyword(keyword(name)) == number
    assert dictionary_VR(number) == field.vr  # type: ignore[attr-defined]


def test_the_dataclass_has_every_field_of_the_table() -> None:
    assert {field.name for field in fields(Command)} == {field.keyword for field in FIELDS} - {
        "command_data_set_type"
    }


@given(commands)
def test_pydicom_reads_the_same(command: Command) -> None:
    encoded = encode_command(command, has_data=True)
    read = read_dataset(BytesIO(encoded), is_implicit_VR=True, is_little_endian=True)
    assert read.CommandField == command.command_field
    assert read.CommandGroupLength == len(encoded) - 12
    assert read.CommandDataSetType != 0x0101
    assert read.get("MessageID") == command.message_id
    assert (read.get("AffectedSOPClassUID") or "") == command.affected_sop_class_uid
    assert list(read.keys()) == sorted(read.keys())


def test_what_pydicom_writes_is_read() -> None:
    dataset = Dataset()
    dataset.CommandField = CommandField.C_MOVE_RSP
    dataset.MessageIDBeingRespondedTo = 7
    dataset.CommandDataSetType = 0x0101
    dataset.Status = 0xFF00
    dataset.OffendingElement = [0x00100010, 0x00080018]
    dataset.ErrorComment = "odd"
    dataset.NumberOfFailedSuboperations = 2
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = buffer.is_little_endian = True
    write_dataset(buffer, dataset)
    command, has_data = decode_command(buffer.getvalue())
    assert not has_data
    assert command == Command(
        CommandField.C_MOVE_RSP,
        message_id_being_responded_to=7,
        status=0xFF00,
        offending_element=(0x00100010, 0x00080018),
        error_comment="odd",
        number_of_failed_suboperations=2,
    )


def test_an_error_comment_is_cut_to_what_may_stand_there() -> None:
    comment = "Grüße aus \\ der Ferne " * 9
    command, _ = decode_command(
        encode_command(Command(0x8001, status=0xC000, error_comment=comment), has_data=False)
    )
    assert len(command.error_comment) == 64
    assert command.error_comment.isascii()
    assert "\\" not in command.error_comment


@pytest.mark.parametrize("value", [-1, 65536])
def test_a_number_that_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(BadCommand):
        encode_command(Command(0x0001, message_id=value), has_data=False)


ECHO = element(0x100, b"\x30\x00")


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (b"", Command(0x30)),
        (element(0x0110, b"\x05\x00\x00\x00"), Command(0x30, message_id=5)),
        (element(0x0110, b"\x05"), Command(0x30)),
        (element(0x0110, b""), Command(0x30)),
        (element(0x0002, b"1.2.3 "), Command(0x30, affected_sop_class_uid="1.2.3")),
        (element(0x0002, b"1.2.3\0\0"), Command(0x30, affected_sop_class_uid="1.2.3")),
        (element(0x0600, b"  DEST  "), Command(0x30, move_destination="DEST")),
        (element(0x0901, b"\x10\x00\x20\x00\x08"), Command(0x30, offending_element=(0x00100020,))),
        (element(0x0902, b"a\nb"), Command(0x30, error_comment="a?b")),
        (element(0x0860, b"\x01\x00"), Command(0x30)),
        (element(0x0110, b"\x05\x00", group=8), Command(0x30)),
    ],
)
def test_odd_values_are_read_or_skipped(extra: bytes, expected: Command) -> None:
    assert decode_command(ECHO + extra)[0] == expected
    assert decode_command(extra + ECHO)[0] == expected


@pytest.mark.parametrize(("field", "has_data"), [(0x0001, True), (0x0020, True), (0x0030, False)])
def test_without_data_set_type_the_command_tells(field: int, has_data: bool) -> None:
    assert decode_command(element(0x100, struct.pack("<H", field))) == (Command(field), has_data)


@pytest.mark.parametrize("kind", [0x0000, 0x0001, 0x0102, 0xFEFE])
def test_any_other_data_set_type_announces_a_dataset(kind: int) -> None:
    assert decode_command(ECHO + element(0x800, struct.pack("<H", kind)))[1]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        element(0x0110, b"\1\0"),
        element(0x100, b"\x30"),
        ECHO + b"\0\0\x10\x01\xff\xff\xff\xff",
    ],
)
def test_what_is_no_command_is_refused(data: bytes) -> None:
    with pytest.raises(BadCommand):
        decode_command(data)


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_read_but_never_crashes(data: bytes) -> None:
    for candidate in (data, ECHO + data):
        try:
            decode_command(candidate)
        except BadCommand as exc:
            assert str(exc)


def test_names_are_those_of_the_standard() -> None:
    assert Command(CommandField.C_STORE_RQ).name == "C-STORE-RQ"
    assert Command(0x4242).name == "command 0x4242"
    assert Command(0x8001).is_response
    assert not Command(0x0FFF).is_response
