"""An archive with its DICOM door on a port of the loopback address, and a C-MOVE destination."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from storage_backends.base import StorageBackend
from vna.config import DestinationConfig, DimseConfig
from vna.dimse.association import Association
from vna.dimse.command import RESPONSE, Command
from vna.dimse.errors import DimseError
from vna.dimse.negotiation import (
    Acceptance,
    ContextResult,
    Proposal,
    RoleSelection,
    UserIdentity,
)
from vna.dimse.settings import (
    AcceptorSettings,
    Admission,
    RequestorSettings,
    Timeouts,
    admit_everybody,
)
from vna.index.audit import PostgresAuditLog
from vna.index.commitments import CommitmentIndex
from vna.index.commitments_asked import AskedCommitmentIndex
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.jobs import JobQueue
from vna.index.kept_objects import KeptObjectIndex
from vna.index.search import SearchIndex
from vna.model.identifiers import Selection
from vna.model.instances import StoredInstance
from vna.scp.exchange import Door
from vna.scp.listener import Listener
from vna.services.asked_commitment import AskedCommitmentService
from vna.services.commitment import CommitmentService
from vna.services.decoders import InProcess
from vna.services.pixels import PixelService
from vna.services.query import QueryService
from vna.services.retrieve import RetrieveService, read_fully
from vna.services.storage import ObjectStore
from vna.services.store import StoreService
from vna.spool import Spool

Socket = socket.socket
LOOPBACK = "127.0.0.1"
PATIENCE = Timeouts(artim=10, idle=60, message=30, connect=5)
SPOOL_MEMORY = 64 * 1024


@dataclass
class Site:
    """A running door; `destinations` may be filled while it runs."""

    database: Database
    door: Door
    listener: Listener
    backend: StorageBackend
    destinations: dict[str, DestinationConfig]
    spool_directory: Path
    socket: Socket
    tls_socket: Socket

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def tls_address(self) -> tuple[str, int]:
        """Where it listens in TLS, if its configuration has a `tls.port`, whatever that is."""
        host, port = self.tls_socket.getsockname()[:2]
        return str(host), int(port)

    def rejections(self) -> list[tuple[str, str, dict[str, str | int]]]:
        """(AE title, address, detail) of the audit rows about rejected associations, in order."""
        assert self.listener.rejections.flush(30)
        rows = self.database.attempt(
            lambda connection: connection.execute(
                "SELECT peer, address, detail FROM audit WHERE action = 'association.rejected' "
                "ORDER BY id"
            ).fetchall()
        )
        return [(str(peer), str(address), detail) for peer, address, detail in rows]

    def stored(self, sop_instance_uid: str) -> list[StoredInstance]:
        """What the archive can deliver under this UID."""
        return self.door.retrieve.select(Selection(sop_instance_uids=(sop_instance_uid,)))

    def dataset(self, sop_instance_uid: str) -> bytes:
        """The stored dataset bytes of the one instance with this UID."""
        (instance,) = self.stored(sop_instance_uid)
        reader, _ = self.door.retrieve.open_dataset(instance)
        with reader:
            return read_fully(reader)

    def spooled_files(self) -> list[Path]:
        """Files of received bytes that nobody has closed; locks and empty ones do not count."""
        files = (path for path in self.spool_directory.rglob("*") if path.is_file())
        return [path for path in files if path.stat().st_size]

    def object_count(self) -> int:
        """How many objects lie in the storage."""
        return sum(1 for _ in self.backend.scan())


def make_door(
    database: Database, backend: StorageBackend, spool_directory: Path, config: DimseConfig
) -> Door:
    """The services as bootstrap builds them, behind a door called VNA."""
    index, audit = InstanceIndex(database), PostgresAuditLog(database)
    objects = ObjectStore({backend.name: backend}, backend.name)
    retrieve = RetrieveService(index, objects, audit)
    return Door(
        store=StoreService(index, objects, Spool(spool_directory, SPOOL_MEMORY), audit),
        query=QueryService(SearchIndex(database)),
        retrieve=retrieve,
        pixels=PixelService(retrieve, 2**29, InProcess()),
        commitments=CommitmentService(
            CommitmentIndex(database, JobQueue(database)), KeptObjectIndex(database), objects
        ),
        asked=AskedCommitmentService(AskedCommitmentIndex(database)),
        audit=audit,
        config=config,
        ae_title="VNA",
    )


@contextmanager
def open_site(
    database: Database,
    backend: StorageBackend,
    directory: Path,
    config: DimseConfig | None = None,
) -> Iterator[Site]:
    """Serve until the end of the block, then cut what is still connected."""
    destinations: dict[str, DestinationConfig] = {}
    config = replace(config or DimseConfig(), destinations=destinations)
    door = make_door(database, backend, directory / "spool", config)
    listener = Listener(door)
    with socket.create_server((LOOPBACK, 0)) as plain, socket.create_server((LOOPBACK, 0)) as tls:
        for listening in (plain, tls):
            arguments = (listening, listener, listening is tls)
            threading.Thread(target=_accept, args=arguments, daemon=True).start()
        spool = directory / "spool"
        yield Site(database, door, listener, backend, destinations, spool, plain, tls)
        for listening in (plain, tls):
            listening.shutdown(socket.SHUT_RDWR)
    listener.interrupt()
    assert listener.wait_idle(30)
    listener.close()
    door.commitments.close()


def _accept(listening: socket.socket, listener: Listener, is_tls: bool) -> None:
    while True:
        try:
            sock, address = listening.accept()
        except OSError:
            return
        listener.serve(sock, address[0], is_tls=is_tls)


@contextmanager
def associate(
    site: Site,
    *contexts: tuple[str, tuple[str, ...]],
    roles: Sequence[RoleSelection] = (),
    calling: str = "TESTS",
    called: str = "VNA",
) -> Iterator[Association]:
    """An association with the archive, released at the end of the block."""
    settings = RequestorSettings(calling, called, contexts, tuple(roles), timeouts=PATIENCE)
    with Association.request(site.address, settings) as association:
        yield association
        association.release()


@dataclass(frozen=True)
class Received:
    """One C-STORE as a destination got it."""

    command: Command
    transfer_syntax: str
    dataset: bytes
    association: str


@dataclass
class Destination:
    """A C-MOVE destination that keeps what it gets.

    `answer`: the status for a received instance, None to abort instead. `choose`: its policy,
    `admit`: whom it lets in. `window`: the operations that it lets be outstanding. `take`: what it
    does with an association instead of keeping what it gets.
    """

    answer: Callable[[Command], int | None] = lambda _: 0
    choose: Callable[[Proposal], Acceptance | ContextResult] = lambda proposal: Acceptance(
        proposal.transfer_syntaxes[0]
    )
    admit: Admission = admit_everybody
    window: int = 1
    take: Callable[[Association], None] | None = None
    received: list[Received] = field(default_factory=list)
    proposals: list[list[Proposal]] = field(default_factory=list)

    def answer_extended(self, sop_class_uid: str, information: bytes) -> bytes | None:
        """Part of the policy: no extended negotiation."""
        return None

    def answer_identity(self, identity: UserIdentity) -> bytes:
        """Part of the policy: no identities."""
        return b""

    @contextmanager
    def listen(self, site: Site, name: str = "DEST") -> Iterator[Destination]:
        """Be reachable for `site` under `name` until the end of the block."""
        with socket.create_server((LOOPBACK, 0)) as listening:
            threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
            site.destinations[name] = DestinationConfig(LOOPBACK, listening.getsockname()[1])
            yield self
            listening.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            settings = AcceptorSettings(
                "DEST", self, admit=self.admit, operations_window=self.window
            )
            with Association.accept(sock, settings) as association:
                self._take(association)
        except DimseError:
            return

    def _take(self, association: Association) -> None:
        if self.take is not None:
            self.take(association)
            return
        while (message := association.receive()) is not None:
            status = self.answer(message.command)
            if status is None:
                association.abort()
                return
            data = message.read_data(2**30)
            syntax = message.context.transfer_syntax
            self.received.append(Received(message.command, syntax, data, association.id))
            association.send(message.context.id, store_response(message.command, status))


def store_response(request: Command, status: int) -> Command:
    """The response to a C-STORE request."""
    return Command(
        command_field=request.command_field | RESPONSE,
        message_id_being_responded_to=request.message_id,
        affected_sop_class_uid=request.affected_sop_class_uid,
        affected_sop_instance_uid=request.affected_sop_instance_uid,
        status=status,
    )
