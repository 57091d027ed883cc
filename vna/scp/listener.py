"""Accepted connections, a thread each: from negotiation to the end of the association."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass

from vna import metrics
from vna.audit import AuditAction, AuditEvent
from vna.dimse.association import Association
from vna.dimse.errors import (
    AssociationAborted,
    AssociationEnded,
    AssociationRejected,
    ConnectionLost,
    PeerTimeout,
    ProtocolError,
)
from vna.dimse.settings import (
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    LOCAL_LIMIT_EXCEEDED,
    AcceptorSettings,
    Rejection,
)
from vna.errors import VnaError
from vna.model.identifiers import Origin
from vna.scp import session
from vna.scp.exchange import Door, timeouts_of
from vna.scp.policy import ArchivePolicy

log = logging.getLogger(__name__)

SPARE_CONNECTIONS = 64
"""Connections beyond the association limit that are heard in order to be rejected properly."""

_PDU_TYPES = range(1, 8)
_UNRECOGNIZED_PDU = bytes.fromhex("07000000000400000201")  # A-ABORT, source 2, reason 1
_READ_AWAY = 65536

_ENDINGS: tuple[tuple[type[AssociationEnded], str], ...] = (
    (AssociationRejected, "rejected"),
    (AssociationAborted, "aborted"),
    (PeerTimeout, "timeout"),
    (ProtocolError, "protocol_error"),
    (ConnectionLost, "lost"),
)


@dataclass(eq=False, slots=True)
class _Connection:
    """A connection being served; `association` is there once it is accepted."""

    sock: socket.socket
    address: str
    is_admitted: bool = False
    association: Association | None = None


class Listener:
    """Serves connections of a DICOM port; every method may be called from any thread."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._policy = ArchivePolicy()
        self._changed = threading.Condition()
        self._connections: set[_Connection] = set()
        self._is_draining = False

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    def serve(self, sock: socket.socket, address: str) -> None:
        """Serve an accepted connection in a thread of its own, which also closes it."""
        connection = _Connection(sock, address)
        with self._changed:
            limit = self._door.config.max_associations + SPARE_CONNECTIONS
            if self._is_draining or len(self._connections) >= limit:
                sock.close()
                metrics.ASSOCIATIONS.labels("refused").inc()
                return
            self._connections.add(connection)
        threading.Thread(
            target=self._run, args=(connection,), name=f"dicom-{address}", daemon=True
        ).start()

    def drain(self, timeout: float) -> bool:
        """Take nothing new, let what is under way finish; True once all connections are closed.

        A connection without an accepted association is cut. What is left after `timeout` seconds
        stays.
        """
        with self._changed:
            self._is_draining = True
            connections = list(self._connections)
        for connection in connections:
            _drain(connection)
        return self.wait_idle(timeout)

    def wait_idle(self, timeout: float) -> bool:
        """Wait until no connection is open; False when `timeout` seconds are over before."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._connections, timeout)

    def interrupt(self) -> None:
        """Cut every connection now; their threads end soon after."""
        with self._changed:
            connections = list(self._connections)
        for connection in connections:
            if connection.association is not None:
                connection.association.interrupt()
            else:
                _cut(connection.sock)

    def _run(self, connection: _Connection) -> None:
        try:
            self._serve(connection)
        except Exception:
            log.exception(
                "unexpected error; connection closed", extra={"address": connection.address}
            )
        finally:
            connection.sock.close()
            with self._changed:
                self._connections.discard(connection)
                self._changed.notify_all()

    def _serve(self, connection: _Connection) -> None:
        first = first_byte(connection.sock, self._door.config.artim_timeout)
        if first not in _PDU_TYPES:
            self._turn_away(connection, first)
            return
        try:
            association = Association.accept(connection.sock, self._settings(connection))
        except AssociationEnded as exc:
            _count_end(exc)
            log.info("no association: %s", exc, extra={"address": connection.address})
            return
        connection.association = association
        with association, metrics.OPEN_ASSOCIATIONS.track_inprogress():
            if self._is_draining:
                association.drain()
            self._converse(association)
            connection.is_admitted = False
            if self._is_draining:
                association.interrupt()  # no waiting for the peer to close

    def _converse(self, association: Association) -> None:
        fields = {
            "association": association.id,
            "peer": association.calling_ae_title,
            "address": association.peer_address,
        }
        log.info("association accepted", extra={**fields, "contexts": len(association.contexts)})
        started = time.monotonic()
        counts: Counter[str] = Counter()
        try:
            session.serve(association, self._door, counts)
        except AssociationEnded as exc:
            _count_end(exc)
            log.warning("association ended early: %s", exc, extra={**fields, **counts})
        else:
            metrics.ASSOCIATIONS.labels("released").inc()
            seconds = round(time.monotonic() - started, 3)
            log.info("association ended", extra={**fields, **counts, "seconds": seconds})

    def _turn_away(self, connection: _Connection, first: int | None) -> None:
        """Whoever says nothing is a probe of a load balancer, mostly, and not worth a line."""
        if first is None:
            log.debug("connection without a word", extra={"address": connection.address})
            return
        refuse_stranger(connection.sock)
        log.info("not DICOM; connection closed", extra={"address": connection.address})
        metrics.ASSOCIATIONS.labels("refused").inc()

    def _settings(self, connection: _Connection) -> AcceptorSettings:
        config = self._door.config

        def admit(calling: str, called: str, address: str) -> Rejection | None:
            return self._admit(connection, calling)

        return AcceptorSettings(
            ae_title=self._door.ae_title,
            policy=self._policy,
            max_pdu_length=config.max_pdu_length,
            timeouts=timeouts_of(config),
            check_called_ae_title=config.check_called_ae_title,
            admit=admit,
        )

    def _admit(self, connection: _Connection, calling_ae_title: str) -> Rejection | None:
        config = self._door.config
        if (
            config.known_ae_titles
            and not config.allow_any_ae
            and calling_ae_title not in config.known_ae_titles
        ):
            self._report_stranger(connection, calling_ae_title)
            return CALLING_AE_TITLE_NOT_RECOGNIZED
        with self._changed:
            admitted = sum(other.is_admitted for other in self._connections)
            if admitted >= config.max_associations or self._is_draining:
                log.warning(
                    "association limit reached; raise dimse.max_associations if this is usual",
                    extra={"address": connection.address, "peer": calling_ae_title},
                )
                return LOCAL_LIMIT_EXCEEDED
            connection.is_admitted = True
        return None

    def _report_stranger(self, connection: _Connection, calling_ae_title: str) -> None:
        log.warning(
            "unknown calling AE title; add it to dimse.known_ae_titles to let it in",
            extra={"address": connection.address, "peer": calling_ae_title},
        )
        origin = Origin("dimse", calling_ae_title, connection.address)
        try:
            self._door.audit.record(AuditEvent(AuditAction.ASSOCIATION_REJECTED, origin))
        except VnaError as exc:
            log.warning("rejection not audited: %s", exc, extra={"address": connection.address})


def first_byte(sock: socket.socket, patience: float) -> int | None:
    """The first byte that the peer sends, left in the socket; None when none comes within `patience` seconds."""
    sock.settimeout(patience)
    try:
        first = sock.recv(1, socket.MSG_PEEK)
    except OSError:
        return None
    return first[0] if first else None


def refuse_stranger(sock: socket.socket) -> None:
    """HTTP, TLS and others whose first byte is no PDU type (PS3.8 9.3.1) get an A-ABORT (unrecognized PDU)."""
    with contextlib.suppress(OSError):
        sock.sendall(_UNRECOGNIZED_PDU)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(_READ_AWAY)  # unread bytes would turn the end into a reset


def _count_end(error: AssociationEnded) -> None:
    names = (name for kind, name in _ENDINGS if isinstance(error, kind))
    metrics.ASSOCIATIONS.labels(next(names, "aborted")).inc()


def _drain(connection: _Connection) -> None:
    if connection.association is not None:
        connection.association.drain()
    else:
        _cut(connection.sock)


def _cut(sock: socket.socket) -> None:
    """Wake the thread that waits on `sock`; it closes the socket itself."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # closed already
