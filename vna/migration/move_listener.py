"""Where the objects of our C-MOVEs arrive: a listener that takes nothing but what a running fetch is due."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
from collections.abc import Iterator, Sequence

from vna.dicom.header import read_header
from vna.dimse.association import Association
from vna.dimse.command import CommandField
from vna.dimse.errors import DimseError
from vna.dimse.message import Message
from vna.dimse.settings import (
    TEMPORARY_CONGESTION,
    AcceptorSettings,
    AssociationProposal,
    Rejection,
    Timeouts,
)
from vna.errors import InvalidInstance, VnaError
from vna.migration.dicom_receive import OUT_OF_RESOURCES, receive, spooled
from vna.migration.reception import Reception
from vna.migration.sources.base import SourceError, SourceUnavailable
from vna.migration.storage_policy import StoragePolicy
from vna.model.migration import FoundInstance
from vna.spool import Spool

log = logging.getLogger(__name__)

MAX_ASSOCIATIONS = 64
_MAX_MESSAGE_ID = 0xFFFF
_PAUSE = 0.5
_NOT_DUE = 0xA900

Destination = tuple[str, str, int]
"""AE title, host and port."""


class MoveListener:
    """One port of this process.

    Objects are matched by Move Originator (PS3.7 9.1.1) and message id, which no other running C-MOVE has; of a source
    that leaves that out by the SOP Instance UID, and last by the study.
    """

    def __init__(self, destinations: Sequence[Destination], spool: Spool) -> None:
        """Listen at the first of `destinations` that is free. Raises SourceUnavailable when none is."""
        self._spool = spool
        self._socket, self.destination = bound(destinations)
        self.ae_title = self.destination[0]
        self._changed = threading.Condition()
        self._due: dict[int, Reception] = {}
        self._originators: dict[int, str] = {}
        self._syntaxes: dict[int, frozenset[str]] = {}
        self._associations: set[Association] = set()
        self._connections = 0
        self._last_id = 0
        self._closing = threading.Event()
        self._policy = StoragePolicy(self._stored_syntaxes)
        threading.Thread(target=self._accept, name="migration-listener", daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    @contextlib.contextmanager
    def expecting(
        self, reception: Reception, wanted: Sequence[FoundInstance], originator: str
    ) -> Iterator[int]:
        """Take what comes for a fetch by `originator` during the block; gives the message id of its C-MOVE."""
        with self._changed:
            message_id = self._free_id()
            self._due[message_id] = reception
            self._originators[message_id] = originator.strip()
            self._syntaxes[message_id] = frozenset(found.transfer_syntax_uid for found in wanted)
        try:
            yield message_id
        finally:
            with self._changed:
                del self._due[message_id], self._syntaxes[message_id], self._originators[message_id]
            reception.close()

    def close(self) -> None:
        """Listen no more, and cut what is open."""
        with self._changed:
            self._closing.set()
            associations = list(self._associations)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for association in associations:
            association.interrupt()
        with self._changed:
            self._changed.wait_for(lambda: not self._connections, 10)

    def _free_id(self) -> int:
        while True:
            self._last_id = self._last_id % _MAX_MESSAGE_ID + 1
            if self._last_id not in self._due:
                return self._last_id

    def _stored_syntaxes(self) -> frozenset[str]:
        with self._changed:
            return frozenset().union(*self._syntaxes.values())

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError as exc:  # closed, or for the moment too many files are open
                if self._closing.is_set():
                    return
                log.warning("no association of a source can be accepted now: %s", exc)
                self._closing.wait(_PAUSE)
                continue
            with self._changed:
                if self._closing.is_set() or self._connections >= MAX_ASSOCIATIONS:
                    sock.close()
                    continue
                self._connections += 1
            threading.Thread(
                target=self._serve, args=(sock,), name="migration-association", daemon=True
            ).start()

    def _serve(self, sock: socket.socket) -> None:
        settings = AcceptorSettings(
            self.ae_title,
            self._policy,
            timeouts=Timeouts(artim=10.0, idle=120.0, message=60.0),
            admit=self._admit,
        )
        try:
            with Association.accept(sock, settings) as association:
                self._converse(association)
        except DimseError as exc:
            log.info("an association of a source ended: %s", exc)
        except Exception:
            log.exception("unexpected error; association of a source closed")
        finally:
            with self._changed:
                self._connections -= 1
                self._changed.notify_all()

    def _admit(self, proposal: AssociationProposal) -> Rejection | None:
        with self._changed:
            return None if self._due else TEMPORARY_CONGESTION

    def _converse(self, association: Association) -> None:
        with self._changed:
            if self._closing.is_set():
                return
            self._associations.add(association)
        try:
            while (message := association.receive()) is not None:
                if message.command.command_field == CommandField.C_STORE_RQ:
                    status = self._store(message, association.calling_ae_title)
                    association.send(message.context.id, message.command.response(status))
                elif message.command.command_field == CommandField.C_ECHO_RQ:
                    association.send(message.context.id, message.command.response(0))
                else:
                    association.refuse(message)
        finally:
            with self._changed:
                self._associations.discard(association)

    def _store(self, message: Message, calling_ae_title: str) -> int:
        reception = self._reception_of(message)
        if reception is not None:
            status = receive(message, self._spool, reception, calling_ae_title)
        else:
            status = self._store_by_study(message, calling_ae_title)
        for _ in message.fragments():
            pass
        return status

    def _reception_of(self, message: Message) -> Reception | None:
        """By the Move Originator; else by the instance; else the only fetch that runs."""
        command = message.command
        with self._changed:
            originator = command.move_originator_application_entity_title.strip()
            if (
                originator in {"", *self._originators.values()}
                and command.move_originator_message_id
            ):
                return self._due.get(command.move_originator_message_id)
            uid = command.affected_sop_instance_uid
            found = [reception for reception in self._due.values() if reception.wants(uid)]
            if not found and len(self._due) == 1:
                found = list(self._due.values())
            return found[0] if found else None

    def _store_by_study(self, message: Message, calling_ae_title: str) -> int:
        """What nobody waits for by its UID may be of a study that is being fetched."""
        with self._changed:
            candidates = list(self._due.values())
        if not candidates:
            return _NOT_DUE
        uid = message.command.affected_sop_instance_uid
        try:
            with spooled(message, self._spool, candidates[0], calling_ae_title) as received:
                with received.buffer() as buffer:
                    study = read_header(buffer).uids.study_instance_uid
                for reception in candidates:
                    if study in reception.study_instance_uids:
                        reception.take(received, None, uid)
                        return 0
        except (InvalidInstance, DimseError):
            return _NOT_DUE
        except VnaError:
            return OUT_OF_RESOURCES
        return _NOT_DUE


def bound(destinations: Sequence[Destination]) -> tuple[socket.socket, Destination]:
    """A socket that listens at the first of `destinations` that is free. Raises SourceUnavailable."""
    errors = []
    for title, host, port in destinations:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            return socket.create_server((host, port), family=family), (title, host, port)
        except OSError as exc:
            errors.append((f"{title}@{host}:{port}: {exc.strerror or exc}", exc))
    if not errors:
        raise SourceError("no move_destinations are configured")
    in_use = [exc for _, exc in errors if exc.errno == errno.EADDRINUSE]
    remedy = (
        "; each process that works on it needs an entry in move_destinations: add one, or run fewer"
    )
    raise SourceUnavailable(
        f"no place to listen for what C-MOVE sends is free here: {'; '.join(text for text, _ in errors)}"
        + (remedy if in_use else "")
    ) from (in_use or [exc for _, exc in errors])[0]
