"""The bytes of A-ASSOCIATE-RQ and A-ASSOCIATE-AC (PS3.8 9.3.2, 9.3.3; PS3.7 annex D.3.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vna.dimse.negotiation import CommonExtended, RoleSelection, UserIdentity
from vna.dimse.pdu import (
    AnsweredContext,
    AssociateAccept,
    AssociateRequest,
    InvalidPdu,
    PduType,
    ProposedContext,
    UserInformation,
)

# Why not pynetdicom's PDU classes: they raise KeyError for an item they don't know, which PS3.8 has
# us ignore, and take 10 ms to decode 128 contexts. The tests compare this codec with theirs.
_APPLICATION_CONTEXT = 0x10
_CONTEXT_RQ = 0x20
_CONTEXT_AC = 0x21
_ABSTRACT_SYNTAX = 0x30
_TRANSFER_SYNTAX = 0x40
_USER_INFORMATION = 0x50
_MAXIMUM_LENGTH = 0x51
_IMPLEMENTATION_CLASS_UID = 0x52
_ASYNCHRONOUS_OPERATIONS = 0x53
_ROLE_SELECTION = 0x54
_IMPLEMENTATION_VERSION_NAME = 0x55
_EXTENDED = 0x56
_COMMON_EXTENDED = 0x57
_USER_IDENTITY_RQ = 0x58
_USER_IDENTITY_AC = 0x59

MAX_CONTEXT_ITEMS = 256
"""Twice what there are ids for: a request with a few too many is rejected, not aborted."""

MAX_TRANSFER_SYNTAXES = 256
"""In one context; the standard has about sixty."""

_FIXED_PART = struct.Struct(">H2x16s16s32x")
_ITEM = struct.Struct(">BxH")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_TWO_U16 = struct.Struct(">HH")


def decode_request(body: memoryview) -> AssociateRequest:
    """The A-ASSOCIATE-RQ behind its six header bytes. Raises InvalidPdu; unknown items are ignored
    (9.3.1).
    """
    parts = _decode(body)
    contexts = tuple(_proposed_context(item) for item in parts.proposed)
    return AssociateRequest(
        parts.called, parts.calling, contexts, parts.user, parts.application_context, parts.version
    )


def decode_accept(body: memoryview) -> AssociateAccept:
    """The A-ASSOCIATE-AC behind its six header bytes. Raises InvalidPdu; ignores unknown items."""
    parts = _decode(body)
    contexts = tuple(_answered_context(item) for item in parts.answered)
    return AssociateAccept(
        parts.called, parts.calling, contexts, parts.user, parts.application_context, parts.version
    )


def encode_request(request: AssociateRequest) -> bytes:
    """The whole PDU."""
    contexts = (
        _item(
            _CONTEXT_RQ,
            bytes((context.id, 0, 0, 0))
            + _uid_item(_ABSTRACT_SYNTAX, context.abstract_syntax)
            + b"".join(_uid_item(_TRANSFER_SYNTAX, uid) for uid in context.transfer_syntaxes),
        )
        for context in request.contexts
    )
    return _encode(PduType.ASSOCIATE_RQ, request, contexts)


def encode_accept(accept: AssociateAccept) -> bytes:
    """The whole PDU."""
    contexts = (
        _item(
            _CONTEXT_AC,
            bytes((context.id, 0, context.result, 0))
            + _uid_item(_TRANSFER_SYNTAX, context.transfer_syntax),
        )
        for context in accept.contexts
    )
    return _encode(PduType.ASSOCIATE_AC, accept, contexts)


@dataclass(slots=True)
class _Parts:
    """The top-level items while they are collected."""

    version: int
    called: str
    calling: str
    application_context: str = ""
    proposed: list[memoryview] = field(default_factory=list)
    answered: list[memoryview] = field(default_factory=list)
    user: UserInformation = field(default_factory=UserInformation)
    has_user: bool = False


def _decode(body: memoryview) -> _Parts:
    if len(body) < _FIXED_PART.size:
        raise InvalidPdu(f"A-ASSOCIATE PDU of {len(body)} bytes is shorter than its fixed part")
    version, called, calling = _FIXED_PART.unpack_from(body)
    parts = _Parts(version, _ae_title(called), _ae_title(calling))
    for kind, value in _items(body[_FIXED_PART.size :]):
        _check_counts(parts)
        if kind == _APPLICATION_CONTEXT:
            parts.application_context = _uid(value)
        elif kind == _CONTEXT_RQ:
            parts.proposed.append(value)
        elif kind == _CONTEXT_AC:
            parts.answered.append(value)
        elif kind == _USER_INFORMATION:
            if parts.has_user:
                raise InvalidPdu("two user information items in an A-ASSOCIATE PDU")
            parts.user, parts.has_user = _user_information(value), True
    return parts


def _check_counts(parts: _Parts) -> None:
    """More contexts than have ids are no request but work for nothing."""
    if max(len(parts.proposed), len(parts.answered)) > MAX_CONTEXT_ITEMS:
        raise InvalidPdu(f"more than {MAX_CONTEXT_ITEMS} presentation contexts")


def _items(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < _ITEM.size:
            raise InvalidPdu("an item of an A-ASSOCIATE PDU is cut off")
        kind, length = _ITEM.unpack_from(data, offset)
        offset += _ITEM.size
        if length > end - offset:
            raise InvalidPdu(f"item 0x{kind:02X} of an A-ASSOCIATE PDU claims {length} bytes")
        yield kind, data[offset : offset + length]
        offset += length


def _proposed_context(value: memoryview) -> ProposedContext:
    if len(value) < 4:
        raise InvalidPdu("a presentation context item is cut off")
    abstract_syntax = ""
    transfer_syntaxes: list[str] = []
    for kind, name in _items(value[4:]):
        if kind == _ABSTRACT_SYNTAX:
            abstract_syntax = _uid(name)
        elif kind == _TRANSFER_SYNTAX:
            if len(transfer_syntaxes) >= MAX_TRANSFER_SYNTAXES:
                raise InvalidPdu(
                    f"more than {MAX_TRANSFER_SYNTAXES} transfer syntaxes in a context"
                )
            transfer_syntaxes.append(_uid(name))
    return ProposedContext(value[0], abstract_syntax, tuple(transfer_syntaxes))


def _answered_context(value: memoryview) -> AnsweredContext:
    if len(value) < 4:
        raise InvalidPdu("a presentation context item is cut off")
    if value[2] != 0:  # the syntax of a refused context is not significant and often malformed
        return AnsweredContext(value[0], value[2], "")
    names = [_uid(name) for kind, name in _items(value[4:]) if kind == _TRANSFER_SYNTAX]
    return AnsweredContext(value[0], 0, names[0] if names else "")


def _user_information(data: memoryview) -> UserInformation:
    values: dict[str, object] = {}
    roles: list[RoleSelection] = []
    extended: list[tuple[str, bytes]] = []
    common: list[CommonExtended] = []
    for kind, value in _items(data):
        try:
            if kind == _ROLE_SELECTION:
                roles.append(_role(value))
            elif kind == _EXTENDED:
                uid, offset = _prefixed(value, 0)
                extended.append((_uid(uid), bytes(value[offset:])))
            elif kind == _COMMON_EXTENDED:
                common.append(_common_extended(value))
            elif kind in _SINGLE:
                name, decode = _SINGLE[kind]
                values[name] = decode(value)
        except (struct.error, IndexError) as exc:
            raise InvalidPdu(f"user information item 0x{kind:02X} is cut off") from exc
    return UserInformation(
        **values,  # type: ignore[arg-type]
        roles=tuple(roles),
        extended=tuple(extended),
        common_extended=tuple(common),
    )


def _prefixed(value: memoryview, offset: int) -> tuple[memoryview, int]:
    """A field behind its two-byte length, and where the next begins. Raises struct.error,
    InvalidPdu.
    """
    (length,) = _U16.unpack_from(value, offset)
    start = offset + _U16.size
    if start + length > len(value):
        raise InvalidPdu("a field of a user information item is longer than the item")
    return value[start : start + length], start + length


def _role(value: memoryview) -> RoleSelection:
    uid, offset = _prefixed(value, 0)
    return RoleSelection(_uid(uid), bool(value[offset]), bool(value[offset + 1]))


def _common_extended(value: memoryview) -> CommonExtended:
    uid, offset = _prefixed(value, 0)
    service, offset = _prefixed(value, offset)
    related: list[str] = []
    if offset < len(value):
        listed, _ = _prefixed(value, offset)
        position = 0
        while position < len(listed):
            name, position = _prefixed(listed, position)
            related.append(_uid(name))
    return CommonExtended(_uid(uid), _uid(service), tuple(related))


def _identity(value: memoryview) -> UserIdentity:
    primary, offset = _prefixed(value, 2)
    secondary = _prefixed(value, offset)[0] if offset < len(value) else memoryview(b"")
    return UserIdentity(value[0], bytes(primary), bytes(secondary), bool(value[1]))


def _maximum_length(value: memoryview) -> int:
    return int(_U32.unpack_from(value)[0])


def _operations(value: memoryview) -> tuple[int, int]:
    invoked, performed = _TWO_U16.unpack_from(value)
    return invoked, performed


def _identity_response(value: memoryview) -> bytes:
    return bytes(_prefixed(value, 0)[0])


def _uid(value: memoryview | bytes) -> str:
    return str(value, "latin-1").strip("\0 ")


def _ae_title(value: bytes) -> str:
    text = value.decode("latin-1").strip("\0 ")
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _text(value: memoryview) -> str:
    return _ae_title(bytes(value))


_SINGLE = {
    _MAXIMUM_LENGTH: ("max_pdu_length", _maximum_length),
    _IMPLEMENTATION_CLASS_UID: ("implementation_class_uid", _uid),
    _IMPLEMENTATION_VERSION_NAME: ("implementation_version_name", _text),
    _ASYNCHRONOUS_OPERATIONS: ("asynchronous_operations", _operations),
    _USER_IDENTITY_RQ: ("user_identity", _identity),
    _USER_IDENTITY_AC: ("identity_response", _identity_response),
}


def _encode(
    kind: PduType, pdu: AssociateRequest | AssociateAccept, contexts: Iterable[bytes]
) -> bytes:
    body = b"".join(
        (
            _FIXED_PART.pack(
                pdu.protocol_version, _padded(pdu.called_ae_title), _padded(pdu.calling_ae_title)
            ),
            _uid_item(_APPLICATION_CONTEXT, pdu.application_context_name),
            *contexts,
            _item(_USER_INFORMATION, b"".join(_user_items(pdu.user))),
        )
    )
    return struct.pack(">BxI", kind, len(body)) + body


def _user_items(user: UserInformation) -> Iterator[bytes]:
    yield _item(_MAXIMUM_LENGTH, _U32.pack(user.max_pdu_length))
    yield _uid_item(_IMPLEMENTATION_CLASS_UID, user.implementation_class_uid)
    if user.asynchronous_operations is not None:
        yield _item(_ASYNCHRONOUS_OPERATIONS, _TWO_U16.pack(*user.asynchronous_operations))
    for role in user.roles:
        yield _item(_ROLE_SELECTION, _counted(role.sop_class_uid) + bytes((role.scu, role.scp)))
    if user.implementation_version_name:
        yield _uid_item(_IMPLEMENTATION_VERSION_NAME, user.implementation_version_name)
    for uid, information in user.extended:
        yield _item(_EXTENDED, _counted(uid) + information)
    for common in user.common_extended:
        related = b"".join(_counted(uid) for uid in common.related_general_sop_class_uids)
        names = _counted(common.sop_class_uid) + _counted(common.service_class_uid)
        yield _item(_COMMON_EXTENDED, names + _U16.pack(len(related)) + related)
    if user.user_identity is not None:
        identity = user.user_identity
        head = bytes((identity.kind, identity.response_requested))
        yield _item(
            _USER_IDENTITY_RQ, head + _counted(identity.primary) + _counted(identity.secondary)
        )
    if user.identity_response is not None:
        yield _item(_USER_IDENTITY_AC, _counted(user.identity_response))


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def _uid_item(kind: int, uid: str) -> bytes:
    return _item(kind, uid.encode("latin-1"))


def _counted(value: str | bytes) -> bytes:
    data = value.encode("latin-1") if isinstance(value, str) else value
    return _U16.pack(len(data)) + data


def _padded(ae_title: str) -> bytes:
    return ae_title.encode("latin-1", "replace")[:16].ljust(16)
