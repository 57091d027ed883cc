"""The first bytes of a connection: DICOM, TLS, or somebody who has the wrong port."""

from __future__ import annotations

import contextlib
import socket
import ssl

from vna.dimse.opening import Link
from vna.dimse.tls_transport import secure
from vna.dimse.transport import Clock

_PDU_TYPES = range(1, 8)  # PS3.8 9.3.1
_TLS_HANDSHAKE = range(0x16, 0x17)  # RFC 8446 5.1
_UNRECOGNIZED_PDU = bytes.fromhex("07000000000400000201")  # A-ABORT, source 2, reason 1
_READ_AWAY = 65536
_SECONDS_TO_READ_AWAY = 1.0


class Silent(Exception):
    """Not one byte came: a probe of a load balancer, mostly."""


class Stranger(Exception):
    """The first byte can't begin what is spoken on this port; the message says what it may be."""


def greet(
    sock: socket.socket, context: ssl.SSLContext | None, clock: Clock, *, half_open_after: float
) -> Link:
    """What an association can be negotiated on; with a `context` the TLS handshake is done.

    Raises Silent, Stranger (answered already), TlsFailed, PeerTimeout, ConnectionLost.
    """
    first = first_byte(sock, clock.remaining)
    if first is None:
        raise Silent
    if first not in (_PDU_TYPES if context is None else _TLS_HANDSHAKE):
        refuse_stranger(sock)
        raise Stranger(_guess(first))
    if context is None:
        return sock
    return secure(sock, context, clock, half_open_after=half_open_after)


def first_byte(sock: socket.socket, patience: float) -> int | None:
    """The first byte that the peer sends, left in the socket; None when none comes within `patience` seconds."""
    try:
        sock.settimeout(max(patience, 0.001))
        first = sock.recv(1, socket.MSG_PEEK)
    except OSError:
        return None
    return first[0] if first else None


def refuse_stranger(sock: socket.socket) -> None:
    """HTTP, TLS and others whose first byte is no PDU type (PS3.8 9.3.1) get an A-ABORT (unrecognized PDU)."""
    with contextlib.suppress(OSError):
        sock.settimeout(_SECONDS_TO_READ_AWAY)
        sock.sendall(_UNRECOGNIZED_PDU)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(_READ_AWAY)  # unread bytes would turn the end into a reset


def _guess(first: int) -> str:
    if first in _PDU_TYPES:
        return "DICOM without TLS on the port for TLS"
    if first in _TLS_HANDSHAKE:
        return "TLS on the port without TLS"
    return "neither DICOM nor TLS"
