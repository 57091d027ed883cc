"""One DIMSE request while it is answered, with what the archive gives to answer it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from vna.audit import AuditLog
from vna.config import DimseConfig
from vna.dimse.association import Association
from vna.dimse.command import Command
from vna.dimse.message import Message
from vna.dimse.settings import Timeouts
from vna.model.identifiers import Origin
from vna.scp.credentials import ClientContexts
from vna.scp.status import Status
from vna.services.asked_commitment import AskedCommitmentService
from vna.services.commitment import CommitmentService
from vna.services.pixels import PixelService
from vna.services.query import QueryService
from vna.services.retrieve import RetrieveService
from vna.services.store import StoreService


@dataclass(frozen=True, slots=True)
class Door:
    """The services behind the door and how it is configured; shared by all associations."""

    store: StoreService
    query: QueryService
    retrieve: RetrieveService
    pixels: PixelService
    commitments: CommitmentService
    asked: AskedCommitmentService
    audit: AuditLog
    config: DimseConfig
    ae_title: str
    tls_contexts: ClientContexts = field(default_factory=ClientContexts)


@dataclass(frozen=True, slots=True)
class Counters:
    """Numbers of sub-operations in a response, each up to 65535; None leaves the element out."""

    remaining: int | None
    completed: int
    failed: int
    warning: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and the way to answer it."""

    door: Door
    association: Association
    message: Message
    origin: Origin

    @property
    def command(self) -> Command:
        return self.message.command

    @property
    def message_id(self) -> int:
        return self.message.command.message_id or 0

    @property
    def transfer_syntax_uid(self) -> str:
        """The syntax of the request's dataset, and of those that answer it."""
        return self.message.context.transfer_syntax

    def cancelled(self, *, look: bool = True) -> bool:
        """Whether the peer has sent a C-CANCEL-RQ for this request; without `look` as far as noticed."""
        return self.association.cancelled(self.message_id, look=look)

    def response(self, status: Status) -> Command:
        """The response command to the request (PS3.7 9.3, 10.3)."""
        response = self.command.response(status.code)
        if response.affected_sop_class_uid and not status.comment:
            return response
        sop_class_uid = response.affected_sop_class_uid or self.message.context.abstract_syntax
        return replace(response, affected_sop_class_uid=sop_class_uid, error_comment=status.comment)

    def respond(
        self, status: Status, data: bytes | None = None, counters: Counters | None = None
    ) -> None:
        """Send a response to the request. Raises DimseError."""
        response = self.response(status)
        if counters is not None:
            response = replace(
                response,
                number_of_remaining_suboperations=counters.remaining,
                number_of_completed_suboperations=counters.completed,
                number_of_failed_suboperations=counters.failed,
                number_of_warning_suboperations=counters.warning,
            )
        self.association.send(self.message.context.id, response, data)


def origin_of(association: Association) -> Origin:
    """Who sends over this association, for index, audit and logs."""
    return Origin(
        door="dimse",
        peer=association.calling_ae_title,
        address=association.peer_address,
        correlation_id=association.id,
        user=association.user,
    )


def timeouts_of(config: DimseConfig) -> Timeouts:
    """The configured patience, for associations in either direction."""
    return Timeouts(
        artim=config.artim_timeout,
        idle=config.idle_timeout,
        message=config.message_timeout,
        connect=config.connect_timeout,
        slowest_rate=config.slowest_rate,
    )
