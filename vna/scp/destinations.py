"""Associations that the archive itself opens: with the AE titles of `dimse.destinations`."""

from __future__ import annotations

from collections.abc import Sequence

from vna.dimse.association import Association
from vna.dimse.errors import NotAccepted
from vna.dimse.negotiation import RoleSelection
from vna.dimse.settings import RequestorSettings
from vna.scp.exchange import Door, timeouts_of

Context = tuple[str, tuple[str, ...]]


def open_association(
    door: Door,
    name: str,
    contexts: Sequence[Context],
    *,
    roles: Sequence[RoleSelection] = (),
) -> Association:
    """An association with the configured destination `name`; close it, or use it as a context.

    `contexts`: (abstract syntax, transfer syntaxes) pairs, 128 at most.
    Raises NotAccepted for a destination that is not configured, else AssociationEnded's children.
    """
    destination = door.config.destinations.get(name)
    if destination is None:
        raise NotAccepted(f"destination {name} is not configured")
    settings = RequestorSettings(
        calling_ae_title=door.ae_title,
        called_ae_title=name,
        contexts=tuple(contexts),
        roles=tuple(roles),
        max_pdu_length=door.config.max_pdu_length,
        timeouts=timeouts_of(door.config),
        operations_window=destination.operations_window,
        tls=door.tls_contexts.of(destination),
    )
    return Association.request((destination.host, destination.port), settings)
