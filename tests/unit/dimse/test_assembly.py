"""Fragments into messages: what fits together and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dimse import values
from vna.dimse.assembly import MAX_COMMAND_LENGTH, Assembler, ReceivedCommand
from vna.dimse.command import Command, encode_command
from vna.dimse.pdu import AbortReason, Fragment, InvalidPdu

STORE = encode_command(Command(0x0001, message_id=1), has_data=True)
ECHO = encode_command(Command(0x0030, message_id=1), has_data=False)


def fragment(context_id: int, data: bytes, *, command: bool = False, last: bool = True) -> Fragment:
    return Fragment(context_id, command, last, memoryview(data))


@given(st.lists(st.integers(0, len(STORE)), max_size=6))
def test_a_command_in_pieces_is_one_command(cuts: list[int]) -> None:
    assembler = Assembler(values.CONTEXTS)
    pieces = values.chunked(STORE, cuts)
    for piece in pieces[:-1]:
        assert assembler.take(fragment(3, piece, command=True, last=False)) is None
        assert not assembler.is_between_messages
    received = assembler.take(fragment(3, pieces[-1], command=True))
    assert isinstance(received, ReceivedCommand)
    assert received.command.message_id == 1
    assert received.context is values.CONTEXTS[3]
    assert assembler.is_in_data


def test_a_dataset_is_passed_on_until_its_last_piece() -> None:
    assembler = Assembler(values.CONTEXTS)
    assembler.take(fragment(3, STORE, command=True))
    for data, last in ((b"ab", False), (b"", False), (b"cd", True)):
        piece = assembler.take(fragment(3, data, last=last))
        assert isinstance(piece, memoryview)
        assert bytes(piece) == data
    assert assembler.is_between_messages
    assert not assembler.is_in_data


def test_a_command_without_dataset_ends_its_message() -> None:
    assembler = Assembler(values.CONTEXTS)
    received = assembler.take(fragment(1, ECHO, command=True))
    assert isinstance(received, ReceivedCommand)
    assert not received.has_data
    assert assembler.is_between_messages


WRONG = {
    "context not accepted": ([], fragment(5, ECHO, command=True), AbortReason.INVALID_PARAMETER),
    "even context": ([], fragment(2, ECHO, command=True), AbortReason.INVALID_PARAMETER),
    "dataset without command": ([], fragment(1, b"ab"), AbortReason.UNEXPECTED_PARAMETER),
    "dataset after an echo": (
        [fragment(1, ECHO, command=True)],
        fragment(1, b"ab"),
        AbortReason.UNEXPECTED_PARAMETER,
    ),
    "dataset in another context": (
        [fragment(3, STORE, command=True)],
        fragment(1, b"ab"),
        AbortReason.INVALID_PARAMETER,
    ),
    "command inside a dataset": (
        [fragment(3, STORE, command=True)],
        fragment(3, ECHO, command=True),
        AbortReason.UNEXPECTED_PARAMETER,
    ),
    "dataset inside a command": (
        [fragment(3, STORE[:4], command=True, last=False)],
        fragment(3, b"ab"),
        AbortReason.UNEXPECTED_PARAMETER,
    ),
    "no command set": ([], fragment(1, b"abc", command=True), AbortReason.INVALID_PARAMETER),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused(name: str) -> None:
    before, wrong, reason = WRONG[name]
    assembler = Assembler(values.CONTEXTS)
    for piece in before:
        assembler.take(piece)
    with pytest.raises(InvalidPdu) as caught:
        assembler.take(wrong)
    assert caught.value.reason is reason


def test_a_command_set_is_bounded() -> None:
    assembler = Assembler(values.CONTEXTS)
    piece = fragment(1, bytes(MAX_COMMAND_LENGTH), command=True, last=False)
    assert assembler.take(piece) is None
    with pytest.raises(InvalidPdu):
        assembler.take(fragment(1, b"ab", command=True, last=False))
