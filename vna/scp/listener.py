"""Accepted connections, a thread each: from negotiation to the end of the association."""

from __future__ import annotations

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
    LOCAL_LIMIT_EXCEEDED,
    AcceptorSettings,
    AssociationProposal,
    Rejection,
)
from vna.dimse.tls_transport import TlsFailed
from vna.dimse.transport import Deadline
from vna.errors import VnaError
from vna.model.identifiers import Origin
from vna.scp import session
from vna.scp.admission import Admission, Refusal
from vna.scp.credentials import listener_context
from vna.scp.exchange import Door, origin_of, timeouts_of
from vna.scp.greeting import Silent, Stranger, greet
from vna.scp.peer_policy import PeerPolicy
from vna.scp.places import Place, Places
from vna.scp.policy import ArchivePolicy
from vna.scp.rejections import RejectionJournal
from vna.scp.waiting import ROOM, WaitingRoom

log = logging.getLogger(__name__)

SPARE_CONNECTIONS = ROOM + 128
"""Connections beyond the association limit: those that wait, and those that were told to go."""

CROWD = 16
"""So many connections that wait are no usual load."""

_CLOSE_SECONDS = 5.0

_ENDINGS: tuple[tuple[type[AssociationEnded], str], ...] = (
    (AssociationRejected, "rejected"),
    (AssociationAborted, "aborted"),
    (PeerTimeout, "timeout"),
    (ProtocolError, "protocol_error"),
    (ConnectionLost, "lost"),
)


@dataclass(eq=False, slots=True)
class _Connection:
    """A connection being served; `association` is there once it is accepted, `place` a bit before.

    `is_reported`: that it did not become one is in the audit trail already. `is_parting`: its association is over, its
    peer has yet to close.
    """

    sock: socket.socket
    address: str
    is_tls: bool
    policy: PeerPolicy
    place: Place | None = None
    association: Association | None = None
    is_reported: bool = False
    is_parting: bool = False

    def leave_place(self) -> None:
        """Make room for another association; idempotent."""
        if self.place is not None:
            self.place.leave()


class Listener:
    """Serves connections of a DICOM port; every method may be called from any thread."""

    def __init__(self, door: Door, places: Places | None = None) -> None:
        """`places` is shared by the processes of this node. Raises BadCredentials."""
        config = door.config
        self._door = door
        self._policy = ArchivePolicy(config.fuzzy_matching)
        self._tls = listener_context(config.tls)
        self._admission = Admission(
            config, door.ae_title, places or Places(config.max_associations)
        )
        self.rejections = RejectionJournal(door.audit)
        self._changed = threading.Condition()
        self._connections: set[_Connection] = set()
        self._waiting: WaitingRoom[_Connection] = WaitingRoom()
        self._parting = 0
        self._is_draining = False

    @property
    def load(self) -> int:
        """How many connections are open now whose peers may want something yet."""
        return len(self._connections) - self._parting

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    @property
    def is_crowded(self) -> bool:
        """Whether more connections wait to become associations than do when all is well."""
        return len(self._waiting) > CROWD

    def serve(self, sock: socket.socket, address: str, *, is_tls: bool = False) -> None:
        """Serve an accepted connection in a thread of its own, which also closes it."""
        connection = _Connection(sock, address, is_tls, PeerPolicy(self._policy))
        with self._changed:
            limit = self._door.config.max_associations + SPARE_CONNECTIONS
            is_full = self._is_draining or len(self._connections) >= limit
            evicted = None
            if not is_full:
                self._connections.add(connection)
                evicted = self._waiting.enter(connection, address)
        if is_full:
            metrics.ASSOCIATIONS.labels("refused").inc()
            reason = "the archive is stopping" if self._is_draining else "too many connections"
            self._report(connection, "", reason)
            sock.close()
            return
        if evicted is not None:
            self._evict(evicted)
        thread = threading.Thread(
            target=self._run, args=(connection,), name=f"dicom-{address}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as exc:  # no more threads, or no memory for one
            log.warning("connection closed: %s", exc, extra={"address": address})
            metrics.ASSOCIATIONS.labels("refused").inc()
            self._forget(connection)

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

    def close(self) -> None:
        """Write what is still to be audited; for when it is idle."""
        self.rejections.close(_CLOSE_SECONDS)

    def _run(self, connection: _Connection) -> None:
        try:
            self._serve(connection)
        except Exception:
            log.exception(
                "unexpected error; connection closed", extra={"address": connection.address}
            )
        finally:
            self._forget(connection)

    def _forget(self, connection: _Connection) -> None:
        connection.leave_place()
        connection.sock.close()
        with self._changed:
            self._waiting.leave(connection)
            self._connections.discard(connection)
            self._parting -= connection.is_parting
            self._changed.notify_all()

    def _serve(self, connection: _Connection) -> None:
        association = self._open(connection)
        if association is None:
            return
        connection.association = association
        association.user = connection.policy.user
        with association, metrics.OPEN_ASSOCIATIONS.track_inprogress():
            if self._is_draining:
                association.drain()
            self._converse(association)
            self._await_farewell(connection)
            if self._is_draining:
                association.interrupt()  # no waiting for the peer to close

    def _open(self, connection: _Connection) -> Association | None:
        """The association, or None when none comes about. One ARTIM is for everything before it."""
        settings = self._settings(connection)
        clock = Deadline(settings.timeouts.artim)
        context = self._tls.current() if self._tls is not None and connection.is_tls else None
        try:
            half_open = settings.timeouts.half_open
            link = greet(connection.sock, context, clock, half_open_after=half_open)
            return Association.accept(link, settings, clock)
        except Silent:
            log.debug("connection without a word", extra={"address": connection.address})
        except Stranger as exc:
            metrics.ASSOCIATIONS.labels("refused").inc()
            self._report(connection, "", f"not DICOM; connection closed: {exc}")
        except AssociationEnded as exc:
            _count_end(exc)
            if isinstance(exc, (AssociationRejected, TlsFailed, ProtocolError)):
                self._report(connection, "", str(exc))
            log.info("no association: %s", exc, extra={"address": connection.address})
        return None

    def _converse(self, association: Association) -> None:
        fields = {
            "association": association.id,
            "peer": association.calling_ae_title,
            "address": association.peer_address,
        }
        log.info("association accepted", extra={**fields, "contexts": len(association.contexts)})
        if association.user:
            self._tell_user(association)
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

    def _tell_user(self, association: Association) -> None:
        """The audit row that says whose association this is; later ones carry its id."""
        fields = {"association": association.id, "user": association.user}
        log.info("user verified", extra=fields)
        event = AuditEvent(AuditAction.ASSOCIATION_IDENTIFIED, origin_of(association))
        try:
            self._door.audit.record(event)
        except VnaError as exc:
            log.warning("user not audited: %s", exc, extra=fields)

    def _settings(self, connection: _Connection) -> AcceptorSettings:
        config = self._door.config
        return AcceptorSettings(
            ae_title=self._door.ae_title,
            policy=connection.policy,
            max_pdu_length=config.max_pdu_length,
            timeouts=timeouts_of(config),
            admit=lambda proposal: self._admit(connection, proposal),
            operations_window=config.operations_window,
        )

    def _admit(self, connection: _Connection, proposal: AssociationProposal) -> Rejection | None:
        verdict = self._admission.judge(proposal)
        if not isinstance(verdict, Refusal):
            connection.place = verdict.place
            connection.policy.rules, connection.policy.user = verdict.rules, verdict.user
            with self._changed:
                self._waiting.leave(connection)
                if not self._is_draining:
                    return None
            verdict = Refusal(LOCAL_LIMIT_EXCEEDED, "the archive is stopping")
        self._report(connection, proposal.calling_ae_title, verdict.reason)
        return verdict.rejection

    def _await_farewell(self, connection: _Connection) -> None:
        """Its association is over, its peer has yet to close: it waits like one that has none, so
        that who never closes takes the room of nobody.
        """
        connection.leave_place()
        with self._changed:
            connection.is_parting = True
            self._parting += 1
            self._changed.notify_all()
            evicted = self._waiting.enter(connection, connection.address)
        if evicted is not None:
            self._evict(evicted)

    def _evict(self, connection: _Connection) -> None:
        """It has waited longest, for an association that it did not ask for, or to be closed."""
        if connection.association is None:
            metrics.ASSOCIATIONS.labels("evicted").inc()
            self._report(connection, "", "no association requested while too many others wait")
        _cut(connection.sock)

    def _report(self, connection: _Connection, calling_ae_title: str, reason: str) -> None:
        """To the audit trail and the log, once for each connection."""
        if connection.is_reported:
            return
        connection.is_reported = True
        peer = {"address": connection.address, "peer": calling_ae_title}
        log.warning("association rejected: %s", reason, extra=peer)
        self.rejections.record(Origin("dimse", calling_ae_title, connection.address), reason)


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
