"""How an association is opened: what the acceptor and the requestor choose beforehand."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from vna.dimse.negotiation import CommonExtended, Policy, RoleSelection, UserIdentity
from vna.dimse.pdu import ProposedContext

DEFAULT_MAX_PDU_LENGTH = 262144
HALF_OPEN_MARGIN = 60.0
"""Seconds by which the kernel's own patience is longer than ours, which knows more."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Patience in seconds.

    `artim`: for the A-ASSOCIATE-RQ, for the answer to it or to a release, and for the peer to close
    the connection after a release, rejection or abort; by the clock. `idle`: between messages (for
    a requestor: for a response). `message`: while a message is received or sent; it counts only
    time spent waiting for the peer, and each `slowest_rate` bytes that pass give a second back, so
    a slow link may take its time and a dripping one may not. `connect`: for the TCP connection.
    """

    artim: float = 30.0
    idle: float = 300.0
    message: float = 60.0
    connect: float = 10.0
    slowest_rate: float = 16384.0

    @property
    def half_open(self) -> float:
        """How long TCP may go without an acknowledgement of what was sent."""
        return self.message + HALF_OPEN_MARGIN


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
IDENTITY_REFUSED = Rejection(1, 1, 1)
"""PS3.7 D.3.3.7 names no reason of its own for a user identity that is not taken."""


@dataclass(frozen=True, slots=True)
class AssociationProposal:
    """Who asks for an association, and for what, as far as admission may depend on it.

    `peer_address` is the IP address, "" where there is none; `user_identity` None when the peer
    names no user (PS3.7 D.3.3.7); `contexts` are the presentation contexts as they were proposed.
    """

    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    user_identity: UserIdentity | None
    contexts: tuple[ProposedContext, ...]


Admission = Callable[[AssociationProposal], Rejection | None]


def admit_everybody(proposal: AssociationProposal) -> None:
    """The default `admit`: nobody is turned away."""


@dataclass(frozen=True, slots=True)
class AcceptorSettings:
    """How to answer who connects. Lengths in bytes; `max_pdu_length` 0 announces "no limit".

    `admit` may return a Rejection (association limits, unknown callers, identities). With
    `check_called_ae_title` another called AE title is rejected (1, 1, 7). `operations_window`
    bounds the operations outstanding in each direction (PS3.7 D.3.3.3): what a peer that
    negotiates it gets at most; 1 is the synchronous mode.
    """

    ae_title: str
    policy: Policy
    max_pdu_length: int = DEFAULT_MAX_PDU_LENGTH
    timeouts: Timeouts = field(default_factory=Timeouts)
    check_called_ae_title: bool = False
    admit: Admission = admit_everybody
    operations_window: int = 1


@dataclass(frozen=True, slots=True)
class RequestorSettings:
    """What to propose. `contexts`: (abstract syntax, transfer syntaxes) pairs, 128 at most, ids 1,
    3, 5 … in order.

    `roles`: role selection items, one per SOP class (C-GET: RoleSelection(storage class, scu=False,
    scp=True)). `operations_window`: requests that we would have outstanding at once; beyond 1 it is
    proposed (PS3.7 D.3.3.3), the peer may grant less. `extended` and `common_extended`: SOP class
    extended negotiation (PS3.7 D.3.3.5, D.3.3.6). `tls`: for a connection in TLS.
    """

    calling_ae_title: str
    called_ae_title: str
    contexts: tuple[tuple[str, tuple[str, ...]], ...]
    roles: tuple[RoleSelection, ...] = ()
    max_pdu_length: int = DEFAULT_MAX_PDU_LENGTH
    timeouts: Timeouts = field(default_factory=Timeouts)
    user_identity: UserIdentity | None = None
    operations_window: int = 1
    extended: tuple[tuple[str, bytes], ...] = ()
    common_extended: tuple[CommonExtended, ...] = ()
    tls: ssl.SSLContext | None = None
