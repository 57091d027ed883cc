"""The DIMSE command set: PS3.7 tables E.1-1 as a dataclass and its codec."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from operator import attrgetter

from vna.dimse.errors import DimseError

MAX_ERROR_COMMENT = 64
NO_DATA_SET = 0x0101
DATA_SET = 0x0001
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
RESPONSE = 0x8000


class CommandField(IntEnum):
    """Command Field (0000,0100), PS3.7 E.1-1."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_GET_RQ = 0x0010
    C_GET_RSP = 0x8010
    C_FIND_RQ = 0x0020
    C_FIND_RSP = 0x8020
    C_MOVE_RQ = 0x0021
    C_MOVE_RSP = 0x8021
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    N_EVENT_REPORT_RQ = 0x0100
    N_EVENT_REPORT_RSP = 0x8100
    N_GET_RQ = 0x0110
    N_GET_RSP = 0x8110
    N_SET_RQ = 0x0120
    N_SET_RSP = 0x8120
    N_ACTION_RQ = 0x0130
    N_ACTION_RSP = 0x8130
    N_CREATE_RQ = 0x0140
    N_CREATE_RSP = 0x8140
    N_DELETE_RQ = 0x0150
    N_DELETE_RSP = 0x8150
    C_CANCEL_RQ = 0x0FFF


class BadCommand(DimseError):
    """The bytes are not a command set (PS3.7 6.3.1)."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command set; absent elements are None, "" or (). Names are the keywords of PS3.7 E.1.

    Command Data Set Type (0000,0800) is not kept: whoever sends says whether data follows.
    """

    command_field: int
    message_id: int | None = None
    message_id_being_responded_to: int | None = None
    affected_sop_class_uid: str = ""
    requested_sop_class_uid: str = ""
    affected_sop_instance_uid: str = ""
    requested_sop_instance_uid: str = ""
    priority: int | None = None
    status: int | None = None
    move_destination: str = ""
    move_originator_application_entity_title: str = ""
    move_originator_message_id: int | None = None
    number_of_remaining_suboperations: int | None = None
    number_of_completed_suboperations: int | None = None
    number_of_failed_suboperations: int | None = None
    number_of_warning_suboperations: int | None = None
    offending_element: tuple[int, ...] = ()
    error_comment: str = ""
    error_id: int | None = None
    event_type_id: int | None = None
    action_type_id: int | None = None
    attribute_identifier_list: tuple[int, ...] = ()

    @property
    def is_response(self) -> bool:
        return bool(self.command_field & RESPONSE)

    @property
    def sop_class_uid(self) -> str:
        """The SOP class: affected, or requested (N-GET, N-SET, N-ACTION, N-DELETE)."""
        return self.affected_sop_class_uid or self.requested_sop_class_uid

    @property
    def sop_instance_uid(self) -> str:
        """The SOP instance, affected or requested."""
        return self.affected_sop_instance_uid or self.requested_sop_instance_uid

    def response(self, status: int) -> Command:
        """The response to this request, which repeats what identifies it (PS3.7 9.3, 10.3)."""
        return Command(
            command_field=self.command_field | RESPONSE,
            message_id_being_responded_to=self.message_id,
            affected_sop_class_uid=self.sop_class_uid,
            affected_sop_instance_uid=self.sop_instance_uid,
            event_type_id=self.event_type_id,
            action_type_id=self.action_type_id,
            status=status,
        )

    @property
    def name(self) -> str:
        """For logs: "C-STORE-RQ", or the number of an unknown command."""
        try:
            return CommandField(self.command_field).name.replace("_", "-")
        except ValueError:
            return f"command 0x{self.command_field:04X}"


@dataclass(frozen=True, slots=True)
class _Field:
    """An element of group 0000: number, keyword, VR."""

    element: int
    keyword: str
    vr: str


# PS3.7 table E.1-1. Retired elements (E.2) and Command Group Length are skipped.
_DATA_SET_TYPE = _Field(0x0800, "command_data_set_type", "US")
FIELDS = (
    _Field(0x0002, "affected_sop_class_uid", "UI"),
    _Field(0x0003, "requested_sop_class_uid", "UI"),
    _Field(0x0100, "command_field", "US"),
    _Field(0x0110, "message_id", "US"),
    _Field(0x0120, "message_id_being_responded_to", "US"),
    _Field(0x0600, "move_destination", "AE"),
    _Field(0x0700, "priority", "US"),
    _DATA_SET_TYPE,
    _Field(0x0900, "status", "US"),
    _Field(0x0901, "offending_element", "AT"),
    _Field(0x0902, "error_comment", "LO"),
    _Field(0x0903, "error_id", "US"),
    _Field(0x1000, "affected_sop_instance_uid", "UI"),
    _Field(0x1001, "requested_sop_instance_uid", "UI"),
    _Field(0x1002, "event_type_id", "US"),
    _Field(0x1005, "attribute_identifier_list", "AT"),
    _Field(0x1008, "action_type_id", "US"),
    _Field(0x1020, "number_of_remaining_suboperations", "US"),
    _Field(0x1021, "number_of_completed_suboperations", "US"),
    _Field(0x1022, "number_of_failed_suboperations", "US"),
    _Field(0x1023, "number_of_warning_suboperations", "US"),
    _Field(0x1030, "move_originator_application_entity_title", "AE"),
    _Field(0x1031, "move_originator_message_id", "US"),
)
_BY_ELEMENT = {field.element: field for field in FIELDS}
_CONTENTS = attrgetter(*(f.keyword if f is not _DATA_SET_TYPE else "is_response" for f in FIELDS))
"""All fields of a Command in one call; in the place of the Data Set Type stands anything."""
_PADDING = {"UI": b"\0", "AE": b" ", "LO": b" "}
_ELEMENT = struct.Struct("<HHI")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")

# Requests that cannot do without a dataset, for peers that leave out Command Data Set Type.
_ALWAYS_WITH_DATA = frozenset(
    {CommandField.C_STORE_RQ, CommandField.C_FIND_RQ, CommandField.C_GET_RQ, CommandField.C_MOVE_RQ}
)


def encode_command(command: Command, *, has_data: bool) -> bytes:
    """The command set with its group length, implicit VR little endian (PS3.7 6.3.1).

    Raises BadCommand for a number that does not fit; an Error Comment is cut to 64 ASCII
    characters.
    """
    parts = []
    for field, content in zip(FIELDS, _CONTENTS(command), strict=True):
        if field is _DATA_SET_TYPE:
            value = _U16.pack(DATA_SET if has_data else NO_DATA_SET)
        elif not content and content != 0:  # None, "" or ()
            continue
        else:
            value = _encode_value(field, content)
        parts.append(_ELEMENT.pack(0, field.element, len(value)) + value)
    body = b"".join(parts)
    return _ELEMENT.pack(0, 0, 4) + _U32.pack(len(body)) + body


def decode_command(data: bytes) -> tuple[Command, bool]:
    """The command and whether a dataset follows. Raises BadCommand.

    Lenient where it can be: the group length is not needed, unknown and retired elements, elements
    of other groups and values of a wrong length are skipped, the order does not matter. Only bytes
    that are no elements at all, or a command set without Command Field, are refused.
    """
    values: dict[str, int | str | tuple[int, ...]] = {}
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < _ELEMENT.size:
            raise BadCommand("a command set ends inside an element header")
        group, number, length = _ELEMENT.unpack_from(data, offset)
        offset += _ELEMENT.size
        if length > end - offset:
            raise BadCommand(f"command element ({group:04X},{number:04X}) claims {length} bytes")
        field = _BY_ELEMENT.get(number) if group == 0 else None
        if field is not None:
            value = _decode_value(field, data[offset : offset + length])
            if value is not None:
                values[field.keyword] = value
        offset += length
    return _build(values)


def _build(values: dict[str, int | str | tuple[int, ...]]) -> tuple[Command, bool]:
    data_set_type = values.pop("command_data_set_type", None)
    if "command_field" not in values:
        raise BadCommand("a command set has no usable Command Field (0000,0100)")
    command = Command(**values)  # type: ignore[arg-type]
    if data_set_type is None:
        return command, command.command_field in _ALWAYS_WITH_DATA
    return command, data_set_type != NO_DATA_SET


def _encode_value(field: _Field, content: int | str | tuple[int, ...]) -> bytes:
    try:
        if isinstance(content, int):
            return _U16.pack(content)
        if isinstance(content, tuple):
            return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in content)
    except struct.error as exc:
        raise BadCommand(f"{field.keyword} of {content!r} does not fit") from exc
    if field.vr == "LO":
        content = content.replace("\\", "/")[:MAX_ERROR_COMMENT]
    value = content.encode("ascii", "replace")
    return value + _PADDING[field.vr] if len(value) % 2 else value


def _decode_value(field: _Field, value: bytes) -> int | str | tuple[int, ...] | None:
    if field.vr == "US":
        return _decode_number(value)
    if field.vr == "AT":
        words = struct.unpack(f"<{len(value) // 4 * 2}H", value[: len(value) // 4 * 4])
        return tuple(high << 16 | low for high, low in zip(words[::2], words[1::2], strict=True))
    text = value.decode("latin-1").strip("\0 ")
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _decode_number(value: bytes) -> int | None:
    if len(value) >= _U32.size and not any(value[2:4]):
        return int(_U32.unpack_from(value)[0])
    return int(_U16.unpack_from(value)[0]) if len(value) >= _U16.size else None
