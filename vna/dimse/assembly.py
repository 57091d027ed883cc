"""From fragments to messages (PS3.7 6.3, PS3.8 E.2), without sockets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vna.dimse.command import BadCommand, Command, decode_command
from vna.dimse.negotiation import PresentationContext
from vna.dimse.pdu import AbortReason, Fragment, InvalidPdu

MAX_COMMAND_LENGTH = 65536


@dataclass(frozen=True, slots=True)
class ReceivedCommand:
    """A complete command set; its dataset, if it has one, comes next."""

    context: PresentationContext
    command: Command
    has_data: bool


class Assembler:
    """Puts fragments together: command fragments are collected (64 KiB at most), dataset fragments
    passed on.
    """

    def __init__(self, contexts: Mapping[int, PresentationContext]) -> None:
        self._contexts = contexts
        self._command = bytearray()
        self._context_id: int | None = None
        self._in_data = False

    @property
    def is_between_messages(self) -> bool:
        return self._context_id is None

    @property
    def is_in_data(self) -> bool:
        """Whether the dataset of the last command is still to come."""
        return self._in_data

    @property
    def data_context_id(self) -> int:
        """The context on which a dataset is being received; 0, which none has, when there is none."""
        return self._context_id or 0 if self._in_data else 0

    def take(self, fragment: Fragment) -> ReceivedCommand | memoryview | None:
        """A complete command, a piece of dataset, or None while a command is incomplete. Raises
        InvalidPdu.
        """
        if self._context_id is None:
            if fragment.context_id not in self._contexts:
                raise InvalidPdu(f"data on context {fragment.context_id}, which was not accepted")
            self._context_id = fragment.context_id
        elif fragment.context_id != self._context_id:
            raise InvalidPdu(
                f"a fragment of context {fragment.context_id} inside one of {self._context_id}"
            )
        if fragment.is_command is self._in_data:
            raise InvalidPdu(
                "a command inside a dataset" if self._in_data else "a dataset without command",
                AbortReason.UNEXPECTED_PARAMETER,
            )
        return self._data(fragment) if self._in_data else self._command_piece(fragment)

    def _data(self, fragment: Fragment) -> memoryview:
        if fragment.is_last:
            self._in_data = False
            self._context_id = None
        return fragment.data

    def _command_piece(self, fragment: Fragment) -> ReceivedCommand | None:
        if len(self._command) + len(fragment.data) > MAX_COMMAND_LENGTH:
            raise InvalidPdu(f"a command set of more than {MAX_COMMAND_LENGTH} bytes")
        self._command += fragment.data
        if not fragment.is_last:
            return None
        context = self._contexts[fragment.context_id]
        try:
            command, has_data = decode_command(bytes(self._command))
        except BadCommand as exc:
            raise InvalidPdu(str(exc)) from exc
        self._command.clear()
        self._in_data = has_data
        if not has_data:
            self._context_id = None
        return ReceivedCommand(context, command, has_data)
