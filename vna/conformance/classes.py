"""SOP classes and transfer syntaxes of the statement: what the door's policy says of those of PS3.6."""

from __future__ import annotations

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

from vna.config import PeerConfig
from vna.conformance.table import Row, Table, listed, table, yes
from vna.dimse.negotiation import Acceptance, Proposal, RoleSelection
from vna.scp.peer_policy import PeerPolicy
from vna.scp.plan import syntaxes_for
from vna.scp.policy import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    ArchivePolicy,
    Model,
    Service,
    choose_transfer_syntax,
    is_storage_class,
    is_transfer_syntax,
    model_of,
    service_of,
)
from vna.scp.retrieve_request import FRAME

SHORT = {
    IMPLICIT_LITTLE: "Implicit LE",
    EXPLICIT_LITTLE: "Explicit LE",
    EXPLICIT_BIG: "Explicit BE",
}
_AS_SCU = frozenset({Service.STORAGE, Service.COMMITMENT})
_CT = "1.2.840.10008.5.1.4.1.1.2"
_JPEG_2000, _PRIVATE = "1.2.840.10008.1.2.4.90", "1.2.826.0.1.3680043.2.1143.1"


def uids(kind: str) -> list[str]:
    """All UIDs of PS3.6 of one type, in the order of their numbers."""
    found = (uid for uid in UID_dictionary if UID(uid).type == kind)
    return sorted(found, key=lambda uid: [int(part) for part in uid.split(".")])


def title(uid: str) -> str:
    """The name of a UID in PS3.6, "(retired)" behind it where it is."""
    known = UID(uid)
    return (
        known.name if not known.is_retired or "etired" in known.name else f"{known.name} (retired)"
    )


def served_classes() -> list[str]:
    """The SOP classes of PS3.6 other than those of storage that the archive serves."""
    return [uid for uid in uids("SOP Class") if service_of(uid) not in {None, Service.STORAGE}]


def overview_table() -> Table:
    """The network services, those of Query/Retrieve by information model."""
    names = {Service.VERIFICATION: "Verification", Service.STORAGE: "Storage"}
    names[Service.COMMITMENT] = "Storage Commitment, Push Model"
    rows = [(name, yes(service in _AS_SCU), "yes") for service, name in names.items()]
    rows += [
        (f"{model}: {services}", yes("Query/Retrieve" in model), "yes")
        for model, services, *_ in model_table().rows
    ]
    return table("network service | user (SCU) | provider (SCP)", rows)


def class_table() -> Table:
    """SOP classes and roles (PS3.2: table of SOP classes of an AE)."""
    rows: list[Row] = [_class_row(title(uid), uid, uid) for uid in served_classes()]
    rows += [
        _class_row("storage classes of the tables", "", _CT),
        _class_row(
            "other UIDs below 1.2.840.10008.5.1.4.1.1, which PS3.6 may add", "", _CT + ".999.1"
        ),
        _class_row("private classes: any valid UID outside of 1.2.840.10008", "", _PRIVATE),
    ]
    return table("SOP class | UID | SCU | SCP | role selection by the requestor", rows)


def _class_row(name: str, shown: str, uid: str) -> Row:
    service = service_of(uid)
    return name, shown, yes(_is_scu(uid, service)), yes(service is not None), _roles(uid)


def _is_scu(uid: str, service: Service | None) -> bool:
    """Storage and its commitment; queries and retrieval of the hierarchical models, for migrations."""
    if service in {Service.FIND, Service.MOVE, Service.GET}:
        return model_of(uid).is_hierarchical
    return service in _AS_SCU


def _roles(uid: str) -> str:
    """Which roles a requestor gets that asks for both, by asking the policy."""
    role = RoleSelection(uid, scu=True, scp=True)
    choice = ArchivePolicy().choose(Proposal(1, uid, (IMPLICIT_LITTLE,), role))
    if not isinstance(choice, Acceptance):
        return "refused"
    granted = {"SCU": choice.allow_scu, "SCP": choice.allow_scp}
    return listed(name for name, is_granted in granted.items() if is_granted)


def refused_classes() -> Table:
    """SOP classes named for storage, media or query that are not taken."""
    words = ("Media Storage", "Query/Retrieve", "Storage Commitment", "Inventory")
    rows = [
        (title(uid), uid)
        for uid in uids("SOP Class")
        if service_of(uid) is None and any(word in UID(uid).name for word in words)
    ]
    return table("SOP class | UID", rows)


def storage_table() -> Table:
    """The storage classes of PS3.6, which is what the door asks of a UID."""
    rows = [(title(uid), uid) for uid in uids("SOP Class") if is_storage_class(uid)]
    return table("SOP class | UID", rows)


def syntax_table() -> Table:
    """The transfer syntaxes of PS3.6: whether instances are taken in them, and as what they can be sent."""
    rows = (
        (
            title(uid),
            yes(is_transfer_syntax(uid)),
            listed((SHORT[other] for other in syntaxes_for(uid)[1:]), "–"),
            uid,
        )
        for uid in uids("Transfer Syntax")
    )
    return table("transfer syntax | taken | converted to | UID", rows)


def context_examples() -> Table:
    """What `choose_transfer_syntax` makes of proposals."""
    proposals = (
        (IMPLICIT_LITTLE,),
        (IMPLICIT_LITTLE, EXPLICIT_LITTLE),
        (EXPLICIT_BIG, IMPLICIT_LITTLE),
        (_JPEG_2000, IMPLICIT_LITTLE, EXPLICIT_LITTLE),
        (EXPLICIT_LITTLE, _JPEG_2000),
        (_JPEG_2000,),
        (_PRIVATE, IMPLICIT_LITTLE),
    )
    return table(
        "proposed, in this order | the peer sends instances | the peer only receives them (C-GET) "
        "| identifiers, Verification, commitment",
        (
            (
                ", ".join(map(_short, proposal)),
                _short(choose_transfer_syntax(Service.STORAGE, proposal)),
                _short(choose_transfer_syntax(Service.STORAGE, proposal, peer_only_receives=True)),
                _short(choose_transfer_syntax(Service.FIND, proposal)),
            )
            for proposal in proposals
        ),
    )


def _short(uid: str | None) -> str:
    names = {**SHORT, _JPEG_2000: "JPEG 2000", _PRIVATE: "a private one"}
    return "refused" if uid is None else names[uid]


def model_table() -> Table:
    """The information models with their services and levels."""
    rows = []
    for model in Model:
        services = [service_of(uid) for uid in served_classes() if _model_of(uid) is model]
        levels = [level.value for level in model.levels]
        if model is Model.COMPOSITE_ROOT:
            levels.append(FRAME)
        names = (service.name for service in Service if service in services)
        rows.append((_model_name(model), listed(names), listed(levels), yes(model.is_hierarchical)))
    return table("information model | services | levels | relational", rows)


def _model_name(model: Model) -> str:
    """The part of the names of its classes that they share."""
    names = [UID(uid).name for uid in served_classes() if _model_of(uid) is model]
    return names[0].rpartition(" - ")[0]


def _model_of(uid: str) -> Model | None:
    is_retrieval = service_of(uid) in {Service.FIND, Service.MOVE, Service.GET}
    return model_of(uid) if is_retrieval else None


def restricted_example() -> str:
    """What a context gets whose service the peer may not use, by asking the policy of such a peer."""
    policy = PeerPolicy(ArchivePolicy())
    policy.rules = PeerConfig(services=("verification",))
    choice = policy.choose(Proposal(1, _CT, (IMPLICIT_LITTLE,)))
    return "accepted" if isinstance(choice, Acceptance) else choice.name.lower().replace("_", " ")
