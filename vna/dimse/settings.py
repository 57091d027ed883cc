"""How an association is opened: what the acceptor and the requestor choose beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from vna.dimse.negotiation import Policy, RoleSelection, UserIdentity

DEFAULT_MAX_PDU_LENGTH = 262144


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Patience in seconds.

    `artim`: for the A-ASSOCIATE-RQ, for the answer to it or to a release, and for the peer to close
    the connection after a release, rejection or abort; by the clock. `idle`: between messages (for
    a requestor: for a response). `message`: while a message is received or sent; it counts only
    time spent waiting for the peer, and each KiB that passes gives a second back, so a slow link
    may take its time and a dripping one may not. `connect`: for the TCP connection.
    """

    artim: float = 30.0
    idle: float = 300.0
    message: float = 60.0
    connect: float = 10.0


@dataclass(frozen=True, slots=True)
class Rejection:
    """An A-ASSOCIATE-RJ: result, source and reason of PS3.8 table 9-21."""

    result: int
    source: int
    reason: int


CALLED_AE_TITLE_NOT_RECOGNIZED = Rejection(1, 1, 7)
CALLING_AE_TITLE_NOT_RECOGNIZED = Rejection(1, 1, 3)
APPLICATION_CONTEXT_NOT_SUPPORTED = Rejection(1, 1, 2)
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection(1, 2, 2)
MALFORMED_REQUEST = Rejection(1, 2, 1)
TEMPORARY_CONGESTION = Rejection(2, 3, 1)
LOCAL_LIMIT_EXCEEDED = Rejection(2, 3, 2)

Admission = Callable[[str, str, str], Rejection | None]


def admit_everybody(calling_ae_title: str, called_ae_title: str, peer_address: str) -> None:
    """The default `admit`: nobody is turned away."""


@dataclass(frozen=True, slots=True)
class AcceptorSettings:
    """How to answer who connects. Lengths in bytes; `max_pdu_length` 0 announces "no limit".

    `admit(calling_ae_title, called_ae_title, peer_address)` may return a Rejection (association
    limits, unknown callers). With `check_called_ae_title` another called AE title is rejected (1,
    1, 7).
    """

    ae_title: str
    policy: Policy
    max_pdu_length: int = DEFAULT_MAX_PDU_LENGTH
    timeouts: Timeouts = field(default_factory=Timeouts)
    check_called_ae_title: bool = False
    admit: Admission = admit_everybody


@dataclass(frozen=True, slots=True)
class RequestorSettings:
    """What to propose. `contexts`: (abstract syntax, transfer syntaxes) pairs, 128 at most, ids 1,
    3, 5 … in order.

    `roles`: role selection items, one per SOP class (C-GET: RoleSelection(storage class, scu=False,
    scp=True)).
    """

    calling_ae_title: str
    called_ae_title: str
    contexts: tuple[tuple[str, tuple[str, ...]], ...]
    roles: tuple[RoleSelection, ...] = ()
    max_pdu_length: int = DEFAULT_MAX_PDU_LENGTH
    timeouts: Timeouts = field(default_factory=Timeouts)
    user_identity: UserIdentity | None = None
