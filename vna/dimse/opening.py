"""How an association comes about, on either side, until data may flow (PS3.8 7.1)."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from vna.dimse.connection import Connection, rejected
from vna.dimse.errors import ConnectionLost
from vna.dimse.handshake import Contexts, judge, make_accept, make_request, read_accept
from vna.dimse.pdu import (
    Abort,
    AbortReason,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
)
from vna.dimse.settings import AcceptorSettings, RequestorSettings
from vna.dimse.tls_transport import secure
from vna.dimse.transport import Clock, Deadline, Transport

Link = socket.socket | Transport
"""A connected socket, or a transport that has done its TLS handshake."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection on which an association stands, and how it was negotiated."""

    connection: Connection
    request: AssociateRequest
    answer: AssociateAccept
    contexts: Contexts
    peer_address: str


def accept(link: Link, settings: AcceptorSettings, clock: Clock | None = None) -> Opened:
    """Negotiate on an accepted connection, which belongs to the association from now on.

    `clock`: how long the request may still take; ARTIM when it has not begun to run yet.
    Raises AssociationRejected (an A-ASSOCIATE-RJ was sent), AssociationAborted, ProtocolError,
    PeerTimeout, ConnectionLost; the connection is closed then.
    """
    connection = Connection(
        link,
        is_requestor=False,
        max_pdu_length=settings.max_pdu_length,
        timeouts=settings.timeouts,
    )
    with _finished_on_error(connection):
        peer_address = _peer_address(link)
        connection.machine.connection_indicated()
        request = connection.event(clock or Deadline(settings.timeouts.artim))
        if not isinstance(request, AssociateRequest):
            connection.fail("expected an A-ASSOCIATE-RQ", AbortReason.UNEXPECTED_PDU)
        rejection = judge(request, settings, peer_address)
        if rejection is not None:
            answer = AssociateReject(rejection.result, rejection.source, rejection.reason)
            connection.machine.reject(answer)
            connection.flush()
            raise rejected(f"the association of {request.calling_ae_title} is rejected", answer)
        accepted, contexts = make_accept(request, settings)
        connection.machine.accept(accepted)
        connection.flush()
        return Opened(connection, request, accepted, contexts, peer_address)


def request(address: tuple[str, int], settings: RequestorSettings) -> Opened:
    """Connect and negotiate. Raises as `accept`; AssociationRejected: the peer sent an
    A-ASSOCIATE-RJ.

    ValueError for settings without or with more than 128 contexts.
    """
    proposal = make_request(settings)
    connection = Connection(
        _connect(address, settings),
        is_requestor=True,
        max_pdu_length=settings.max_pdu_length,
        timeouts=settings.timeouts,
    )
    with _finished_on_error(connection):
        connection.machine.associate(proposal)
        connection.flush()
        answer = connection.event(Deadline(settings.timeouts.artim))
        if not isinstance(answer, AssociateAccept):
            connection.fail("expected an A-ASSOCIATE-AC", AbortReason.UNEXPECTED_PDU)
        return Opened(connection, proposal, answer, read_accept(proposal, answer), address[0])


def _connect(address: tuple[str, int], settings: RequestorSettings) -> Link:
    """A connection, in TLS where wanted. Raises ConnectionLost, PeerTimeout."""
    seconds = settings.timeouts.connect
    try:
        sock = socket.create_connection(address, timeout=seconds)
    except OSError as exc:
        raise ConnectionLost(f"cannot connect to {address[0]} port {address[1]}: {exc}") from exc
    if settings.tls is None:
        return sock
    return secure(
        sock,
        settings.tls,
        Deadline(seconds),
        server_hostname=address[0],
        half_open_after=settings.timeouts.half_open,
    )


def _peer_address(link: Link) -> str:
    try:
        name = link.getpeername()
    except OSError as exc:
        raise ConnectionLost(f"the peer has gone: {exc}") from exc
    return str(name[0]) if isinstance(name, tuple) else ""


@contextlib.contextmanager
def _finished_on_error(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.abort(Abort())
        connection.finish()
        raise
