"""Changes to a conversation at the places where it has structure: PDUs, fragments, commands."""

from __future__ import annotations

import struct
from dataclasses import fields, replace
from random import Random
from typing import Any

from tests.fuzz.mutation import mutate
from vna.dimse.command import BadCommand, Command, CommandField, decode_command, encode_command

HEAD = 8
"""Bytes before the PDUs, which say how they are sent."""

_PDU = struct.Struct(">BxI")
_PDV = struct.Struct(">IBB")
_P_DATA = 4
_NUMBERS = (None, 0, 1, 2, 3, 7, 0x0101, 0x7FFF, 0xFFFF)
_TEXTS = ("", "1.2.840.10008.1.1", "1.2.3", "x" * 64, "../../etc", "1.2.840.10008.1.20.1.1", "é")
_IDS = (0, 1, 2, 3, 5, 7, 9, 255)


def mutate_conversation(data: bytes, random: Random) -> bytes:
    """One change; where the bytes are PDUs, mostly one that leaves them PDUs."""
    if random.random() < 0.3:
        return mutate(data, random)
    head, pdus = data[:HEAD].ljust(HEAD, b"\0"), split(data[HEAD:])
    if random.random() < 0.1:
        head = mutate(head, random)[:HEAD].ljust(HEAD, b"\0")
    for _ in range(random.choice((1, 1, 2, 3))):
        _change(pdus, random)
    return head + b"".join(pdus)


def split(data: bytes) -> list[bytes]:
    """The PDUs of `data`; what is none is the last."""
    found = []
    while len(data) >= _PDU.size:
        length = _PDU.size + int(_PDU.unpack_from(data)[1])
        if length > len(data):
            break
        found.append(data[:length])
        data = data[length:]
    return [*found, data] if data else found


def _change(pdus: list[bytes], random: Random) -> None:
    if not pdus:
        pdus.append(bytes((random.randint(0, 9), 0, 0, 0, 0, 4, 0, 0, 0, 0)))
        return
    at = random.randrange(len(pdus))
    what = random.randrange(7)
    if what == 0:
        del pdus[at]
    elif what == 1:
        pdus[at:at] = [pdus[random.randrange(len(pdus))]] * random.choice((1, 1, 2, 20))
    elif what == 2:
        pdus[at], pdus[-1] = pdus[-1], pdus[at]
    elif pdus[at][:1] == bytes([_P_DATA]):
        pdus[at] = _data_changed(pdus[at], random)
    elif len(pdus[at]) < _PDU.size:
        pdus[at] = mutate(pdus[at], random)
    else:
        body = mutate(pdus[at][_PDU.size :], random)
        pdus[at] = _PDU.pack(pdus[at][0], len(body)) + body


def _data_changed(pdu: bytes, random: Random) -> bytes:
    pdvs = _fragments(pdu[_PDU.size :])
    if not pdvs:
        return mutate(pdu, random)
    at = random.randrange(len(pdvs))
    context_id, control, value = pdvs[at]
    what = random.randrange(5)
    if what == 0:
        context_id = random.choice(_IDS)
    elif what == 1:
        control = random.randrange(4)
    elif what == 2:
        middle = random.randint(0, len(value))
        pdvs[at:at] = [(context_id, control & 1, value[:middle])]
        at, value = at + 1, value[middle:]
    elif control & 1:
        value = _command_changed(value, random)
    else:
        value = mutate(value, random)
    pdvs[at] = (context_id, control, value)
    body = b"".join(_PDV.pack(len(value) + 2, *head) + value for *head, value in pdvs)
    return _PDU.pack(_P_DATA, len(body)) + body


def _fragments(body: bytes) -> list[tuple[int, int, bytes]]:
    found = []
    while len(body) >= _PDV.size:
        length, context_id, control = _PDV.unpack_from(body)
        if not 2 <= length <= len(body) - 4:
            break
        found.append((context_id, control, body[_PDV.size : 4 + length]))
        body = body[4 + length :]
    return found


def _command_changed(value: bytes, random: Random) -> bytes:
    try:
        command, has_data = decode_command(value)
        name, old = random.choice([(each.name, each.default) for each in fields(Command)])
        new: Any = random.choice(_TEXTS if isinstance(old, str) else _NUMBERS)
        if name == "command_field":
            new = int(random.choice(list(CommandField)))
        elif isinstance(old, tuple):
            new = (random.getrandbits(32),)
        command = replace(command, **{name: new})
        return encode_command(command, has_data=has_data ^ (random.random() < 0.2))
    except BadCommand:
        return mutate(value, random)
