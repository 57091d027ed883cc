"""Association policies of the statement: negotiation, rejections, aborts, limits and time-outs."""

from __future__ import annotations

from collections.abc import Iterator

from vna.config import Config, DimseConfig
from vna.conformance.classes import served_classes, title
from vna.conformance.table import Row, Table, listed, table, yes
from vna.dimse import settings
from vna.dimse.pdu import AbortReason, AbortSource
from vna.dimse.settings import Rejection
from vna.scp.extended import ALWAYS, FIND_FIELDS, NEGOTIATED, NEVER
from vna.scp.identity import KINDS, PASSWORD, TOKEN
from vna.scp.policy import ArchivePolicy

_FIELDS = (
    *(name.replace("_", " ") for name in FIND_FIELDS),
    "enhanced multi-frame image conversion",
    "empty value matching",
    "multiple value matching",
)
_CT = "1.2.840.10008.5.1.4.1.1.2"

_GRANTED = {ALWAYS: "always, negotiated or not", NEGOTIATED: "when negotiated", NEVER: "never"}

REJECTIONS: dict[str, str] = {
    "CALLED_AE_TITLE_NOT_RECOGNIZED": "another AE title is called and `dimse.check_called_ae_title` is set",
    "CALLING_AE_TITLE_NOT_RECOGNIZED": "the calling AE title is not known, or comes from a host that its peer may not "
    "come from",
    "APPLICATION_CONTEXT_NOT_SUPPORTED": "another application context",
    "PROTOCOL_VERSION_NOT_SUPPORTED": "another protocol version",
    "MALFORMED_REQUEST": "no presentation contexts, or ids that are even or not unique",
    "TEMPORARY_CONGESTION": "the listener of a migration (4.2.10) is due nothing now",
    "LOCAL_LIMIT_EXCEEDED": "a limit of associations is reached, or the archive is stopping",
    "IDENTITY_REFUSED": "the user identity is wrong, or there is none that can be checked where one is required",
}
"""When each constant of `vna.dimse.settings` is sent."""

ABORT_REASONS: dict[AbortReason, str] = {
    AbortReason.NOT_SPECIFIED: "the peer was silent, or too slow, for longer than its time-out",
    AbortReason.UNRECOGNIZED_PDU: "a PDU type that does not exist; HTTP, TLS or random bytes on the port",
    AbortReason.UNEXPECTED_PDU: "a PDU that is out of place",
    AbortReason.UNEXPECTED_PARAMETER: "a command inside a dataset, or a dataset without a command",
    AbortReason.INVALID_PARAMETER: "a PDU, PDV or command that breaks its rules or exceeds a bound, or comes on a "
    "presentation context that was not accepted",
}
"""When the archive, as provider, aborts with a reason (PS3.8 table 9-26)."""

ABORTED_BY_USER = (
    "the peer answers what was not asked, or an operation of the archive breaks off in the middle "
    "of a message"
)

LIMITS: dict[str, str] = {
    "max_associations": "associations at once, as acceptor, on this node",
    "max_associations_per_ae": "… of one calling AE title; a peer's own limit may be smaller",
    "max_associations_per_address": "… of one address (of IPv6: a /64)",
    "max_pdu_length": "maximum length of a P-DATA-TF received; the peer's maximum is kept when sending",
    "operations_window": "operations outstanding in each direction, at most",
    "artim_timeout": "from the connection to the end of its association request, TLS handshake included; for the "
    "answer to a request or a release; for the peer to close",
    "idle_timeout": "between messages; as requestor, for a response",
    "message_timeout": "waiting for the peer inside a message, in all",
    "slowest_rate": "bytes that give one second of that time back",
    "connect_timeout": "for a TCP connection to a destination",
    "drain_timeout": "for messages in progress when the archive stops",
    "pending_interval": "between pending responses of a retrieve",
    "move_retries": "repetitions of an instance that a move destination could not take for now",
}
"""The numbers of `DimseConfig` that a peer may notice."""

_UNITS = {
    "max_pdu_length": "bytes",
    "slowest_rate": "bytes",
    "pending_interval": "s",
    **{name: "s" for name in LIMITS if name.endswith("_timeout")},
}


def limit_table(config: DimseConfig) -> Table:
    """Limits and time-outs, with their defaults and as configured."""
    return table(
        "key | meaning | default | in force",
        (
            (
                f"`dimse.{name}`",
                text,
                _quantity(name, getattr(DimseConfig(), name)),
                _quantity(name, getattr(config, name)),
            )
            for name, text in LIMITS.items()
        ),
    )


def _quantity(name: str, value: float) -> str:
    return f"{value:g} {_UNITS.get(name, '')}".strip() if value < 1e6 else f"{int(value)}"


def rejections() -> dict[str, Rejection]:
    """The rejections that the archive knows, by their names."""
    return {name: item for name, item in vars(settings).items() if isinstance(item, Rejection)}


def rejection_table() -> Table:
    """A-ASSOCIATE-RJ: result, source, reason (PS3.8 table 9-21)."""
    known = rejections()
    return table(
        "result | source | reason | when",
        (
            (*map(str, (known[name].result, known[name].source, known[name].reason)), text)
            for name, text in REJECTIONS.items()
        ),
    )


def abort_table() -> Table:
    """A-ABORT of the archive, as provider and (without a reason) as user."""
    provider, user = int(AbortSource.SERVICE_PROVIDER), int(AbortSource.SERVICE_USER)
    rows: list[Row] = [
        (str(provider), str(int(reason)), reason.name.lower().replace("_", " "), text)
        for reason, text in ABORT_REASONS.items()
    ]
    rows.append((str(user), "0", "", ABORTED_BY_USER))
    return table("source | reason | name | when", rows)


def extended_table(config: DimseConfig) -> Table:
    """The answer to a proposal of every option, byte by byte (PS3.4 tables C.5-1, C.5-2)."""
    policy = ArchivePolicy(config.fuzzy_matching)
    proposal = bytes([1] * len(_FIELDS))
    rows: list[Row] = []
    for uid in served_classes():
        answer = policy.answer_extended(uid, proposal)
        if answer is not None:
            granted = (name for name, value in zip(_FIELDS, answer, strict=True) if value)
            rows.append((title(uid), answer.hex(" "), listed(granted)))
    return table("SOP class | answer to a proposal of ones | agreed", rows)


def storage_support() -> str:
    """The answer to extended negotiation of a storage class (PS3.4 B.3.1), in hex."""
    answer = ArchivePolicy().answer_extended(_CT, bytes(6))
    return "none" if answer is None else answer.hex(" ")


def option_table(config: DimseConfig) -> Table:
    """When each option of a query counts."""
    rules = {
        "relational": _GRANTED[config.relational_queries],
        "combined_datetime": _GRANTED[NEGOTIATED],
        "fuzzy": _GRANTED[config.fuzzy_matching],
        "timezone": "when negotiated, for requests with Timezone Offset From UTC (0008,0201)",
    }
    return table(
        "option | granted", ((name.replace("_", " "), rules[name]) for name in FIND_FIELDS)
    )


def identity_table(config: DimseConfig) -> Table:
    """The kinds of user identity (PS3.7 D.3.3.7) and whether they are checked."""
    return table("type | what | checked", _identities(config))


def _identities(config: DimseConfig) -> Iterator[Row]:
    identity = config.identity
    checked = {
        PASSWORD: ("against `dimse.identity.users`", bool(identity.users)),
        TOKEN: ("against the keys of `dimse.identity.jwt_keys`", bool(identity.jwt_keys)),
    }
    for kind, name in KINDS.items():
        how, is_in_force = checked.get(kind, ("no: it counts as no identity", True))
        text = how if is_in_force else f"{how}; none are configured, so it counts as no identity"
        yield str(kind), name, text


def peer_table(config: Config) -> Table:
    """The peers that are configured, without addresses."""
    return table(
        "AE title | services | transfer syntaxes | associations | hosts restricted | user required",
        (
            (
                title,
                listed(peer.services, "all"),
                listed(peer.transfer_syntaxes, "any"),
                str(peer.max_associations or config.dimse.max_associations_per_ae),
                yes(bool(peer.hosts)),
                yes(peer.user_identity_required or config.dimse.identity.required),
            )
            for title, peer in config.dimse.peers.items()
        ),
    )


def destination_table(config: Config) -> Table:
    """The AE titles to which the archive may open associations, without addresses."""
    return table(
        "AE title | associations at once | operations window proposed | TLS",
        (
            (
                title,
                str(destination.associations),
                f"{destination.operations_window}, 1"
                if destination.operations_window > 1
                else "none",
                yes(destination.tls),
            )
            for title, destination in config.dimse.destinations.items()
        ),
    )
