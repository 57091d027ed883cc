"""Which proposed presentation contexts are taken, in which transfer syntax and roles (PS3.8 9.3.3,
PS3.7 D.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol


class ContextResult(IntEnum):
    """Result/Reason of a presentation context, PS3.8 table 9-18."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """SCP/SCU role selection item, PS3.7 D.3.3.4: the roles of the association *requestor* for a
    SOP class.
    """

    sop_class_uid: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """User identity item, PS3.7 D.3.3.7. Kinds: 1 name, 2 name and passcode, 3 Kerberos, 4 SAML, 5
    JWT.
    """

    kind: int
    primary: bytes
    secondary: bytes = b""
    response_requested: bool = False


@dataclass(frozen=True, slots=True)
class CommonExtended:
    """SOP class common extended negotiation, PS3.7 D.3.3.6: what service class and which general
    SOP classes.
    """

    sop_class_uid: str
    service_class_uid: str
    related_general_sop_class_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposed presentation context with everything else that the peer said of its SOP class.

    `role` is None when no role selection was proposed; `extended` the bytes of SOP class extended
    negotiation.
    """

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    role: RoleSelection | None = None
    extended: bytes | None = None
    common: CommonExtended | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A context is taken. The two roles are what the *requestor* may be, as far as it proposed
    them.
    """

    transfer_syntax: str
    allow_scu: bool = True
    allow_scp: bool = True


class Policy(Protocol):
    """Decides about proposals; shared by all threads, so without state."""

    def choose(self, proposal: Proposal) -> Acceptance | ContextResult:
        """Take the context in one of its `transfer_syntaxes`, or say why not."""
        ...

    def answer_extended(self, sop_class_uid: str, information: bytes) -> bytes | None:
        """The answer to SOP class extended negotiation (PS3.7 D.3.3.5); None: no item."""
        ...

    def answer_identity(self, identity: UserIdentity) -> bytes | None:
        """The server response to an admitted user identity whose sender asked for one (PS3.7
        D.3.3.7.2); None: no item, which tells the sender that nobody checked.
        """
        ...


@dataclass(frozen=True, slots=True)
class PresentationContext:
    """An accepted context. `as_scu` and `as_scp` are the roles that *this side* has on it."""

    id: int
    abstract_syntax: str
    transfer_syntax: str
    as_scu: bool
    as_scp: bool
