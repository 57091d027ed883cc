"""From bytes to PDUs (PS3.8 9.3), without sockets: whatever the chunks, the same PDUs come out."""

from __future__ import annotations

import struct
from collections.abc import Callable

from vna.dimse.associate import decode_accept, decode_request
from vna.dimse.pdu import (
    PDU_HEADER_LENGTH,
    PDV_HEADER_LENGTH,
    Abort,
    AbortReason,
    AssociateReject,
    Fragment,
    InvalidPdu,
    Pdu,
    PduType,
    ReleaseReply,
    ReleaseRequest,
)

MAX_ASSOCIATE_LENGTH = 1 << 20
FIXED_LENGTH = 4
LENGTH_TOLERANCE = PDV_HEADER_LENGTH  # some peers count the fragment without its header
_NOTHING = memoryview(b"")
_PDU_HEADER = struct.Struct(">BxI")
_PDV_HEADER = struct.Struct(">IBB")
_BOTH_HEADERS = struct.Struct(">BxIIBB")


class PduStream:
    """Give it what was received, take PDUs until it returns None, give it more.

    A P-DATA-TF is never collected: its fragments are handed out piece by piece, as views of the
    given buffer, so memory is bounded whatever length a PDU claims. Other PDUs are collected as
    their bytes arrive, up to 1 MiB. `max_pdu_length` is what we announced (0: no limit). After
    InvalidPdu the stream stays silent: where the next PDU begins is unknown.
    """

    def __init__(self, max_pdu_length: int = 0) -> None:
        self._limit = max_pdu_length + LENGTH_TOLERANCE if max_pdu_length else 0xFFFFFFFF
        self._chunk = _NOTHING
        self._position = 0
        self._partial = bytearray()
        self._pdu_left = 0
        self._pdv_left = 0
        self._context_id = 0
        self._control = 0
        self._collecting: PduType | None = None
        self._broken = False

    @property
    def is_between_pdus(self) -> bool:
        """Whether nothing of a next PDU has been taken in."""
        return not (
            self._pdu_left or self._partial or self._collecting or self._position < len(self._chunk)
        )

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take in received bytes. The buffer must stay as it is until `next_pdu` returns None."""
        if self._broken:
            return
        rest = self._chunk[self._position :]
        self._chunk = memoryview(data) if not rest else memoryview(bytes(rest) + bytes(data))
        self._position = 0

    def next_pdu(self) -> Pdu | None:
        """The next PDU, or piece of a P-DATA-TF; None: more bytes are needed. Raises InvalidPdu."""
        if self._broken:
            return None
        try:
            return self._advance()
        except InvalidPdu:
            self._broken = True
            self._chunk = _NOTHING
            self._position = 0
            raise

    def next_data(self, context_id: int) -> memoryview | None:
        """The next piece of the dataset that is being received on this context, as `next_pdu` would
        give it in a Fragment.

        A short way for what nearly all bytes are: None when it is anything else (the end of the
        dataset among others), or when more bytes are needed; `next_pdu` tells.
        """
        if not self._pdv_left and not self._begin_plain_pdv(context_id):
            return None
        if self._context_id != context_id or self._control & 1:
            return None
        start = self._position
        data = self._chunk[start : start + self._pdv_left]
        size = len(data)
        if not size or (size == self._pdv_left and self._control & 2):
            return None
        self._position = start + size
        self._pdv_left -= size
        return data

    def _begin_plain_pdv(self, context_id: int) -> bool:
        """Enter a P-DATA-TF of one dataset fragment, if its headers are there and it is just that."""
        if self._pdu_left or self._partial or self._collecting or self._broken:
            return False
        if len(self._chunk) - self._position < PDU_HEADER_LENGTH + PDV_HEADER_LENGTH:
            return False
        header = _BOTH_HEADERS.unpack_from(self._chunk, self._position)
        kind, pdu_length, pdv_length, context, control = header
        is_plain = kind == PduType.P_DATA_TF and pdu_length == pdv_length + 4 <= self._limit
        if not is_plain or pdv_length <= 2 or context != context_id or control & 1:
            return False
        self._position += PDU_HEADER_LENGTH + PDV_HEADER_LENGTH
        self._context_id, self._control, self._pdv_left = context, control, pdv_length - 2
        return True

    def _advance(self) -> Pdu | None:
        while True:
            if self._pdv_left:
                return self._piece()
            if self._collecting is not None:
                return self._collect(self._collecting)
            if self._pdu_left:
                if not self._begin_pdv():
                    return None
                if not self._pdv_left:
                    return self._fragment(_NOTHING)
            elif not self._begin_pdu():
                return None

    def _take(self, size: int) -> memoryview | bytes | None:
        """Exactly `size` bytes once they are there."""
        available = len(self._chunk) - self._position
        missing = size - len(self._partial)
        start = self._position
        if available < missing:
            self._partial += self._chunk[start:]
            self._position = len(self._chunk)
            return None
        self._position += missing
        if not self._partial:
            return self._chunk[start : start + missing]
        taken = bytes(self._partial) + bytes(self._chunk[start : start + missing])
        self._partial.clear()
        return taken

    def _begin_pdu(self) -> bool:
        header = self._take(PDU_HEADER_LENGTH)
        if header is None:
            return False
        kind, length = _PDU_HEADER.unpack(header)
        if kind == PduType.P_DATA_TF:
            if not PDV_HEADER_LENGTH <= length <= self._limit:
                raise InvalidPdu(f"P-DATA-TF of {length} bytes; we take {self._limit} at most")
            self._pdu_left = length
        else:
            self._collecting = _checked_type(kind, length)
            self._pdu_left = length
        return True

    def _begin_pdv(self) -> bool:
        header = self._take(PDV_HEADER_LENGTH)
        if header is None:
            return False
        length, self._context_id, self._control = _PDV_HEADER.unpack(header)
        if not 2 <= length <= self._pdu_left - 4:
            raise InvalidPdu(f"a PDV of {length} bytes where {self._pdu_left - 4} are left")
        self._pdu_left -= 4 + length
        if 0 < self._pdu_left < PDV_HEADER_LENGTH:
            raise InvalidPdu(f"{self._pdu_left} bytes behind the last PDV of a P-DATA-TF")
        self._pdv_left = length - 2
        return True

    def _piece(self) -> Fragment | None:
        start = self._position
        data = self._chunk[start : start + self._pdv_left]
        if not data:
            return None
        self._position = start + len(data)
        self._pdv_left -= len(data)
        return self._fragment(data)

    def _fragment(self, data: memoryview) -> Fragment:
        # Bits 2 to 7 of the message control header are never checked (PS3.8 E.2).
        is_last = bool(self._control & 2) and not self._pdv_left
        return Fragment(self._context_id, bool(self._control & 1), is_last, data)

    def _collect(self, kind: PduType) -> Pdu | None:
        body = self._take(self._pdu_left)
        if body is None:
            return None
        self._pdu_left = 0
        self._collecting = None
        return _DECODERS[kind](memoryview(body))


def _checked_type(kind: int, length: int) -> PduType:
    if kind not in _DECODERS:
        raise InvalidPdu(f"PDU type 0x{kind:02X} does not exist", AbortReason.UNRECOGNIZED_PDU)
    if kind in {PduType.ASSOCIATE_RQ, PduType.ASSOCIATE_AC}:
        if length > MAX_ASSOCIATE_LENGTH:
            raise InvalidPdu(f"an A-ASSOCIATE PDU of {length} bytes is too long")
    elif length != FIXED_LENGTH:
        raise InvalidPdu(f"PDU type 0x{kind:02X} has {length} bytes instead of {FIXED_LENGTH}")
    return PduType(kind)


_DECODERS: dict[int, Callable[[memoryview], Pdu]] = {
    PduType.ASSOCIATE_RQ: decode_request,
    PduType.ASSOCIATE_AC: decode_accept,
    PduType.ASSOCIATE_RJ: lambda body: AssociateReject(body[1], body[2], body[3]),
    PduType.RELEASE_RQ: lambda _: ReleaseRequest(),
    PduType.RELEASE_RP: lambda _: ReleaseReply(),
    PduType.ABORT: lambda body: Abort(body[2], body[3]),
}
