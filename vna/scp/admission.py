"""Who may open an association: AE titles, hosts, users, and how many at once."""

from __future__ import annotations

from dataclasses import dataclass

from vna.config import DimseConfig, PeerConfig
from vna.dimse.settings import (
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    IDENTITY_REFUSED,
    LOCAL_LIMIT_EXCEEDED,
    AssociationProposal,
    Rejection,
)
from vna.scp.hosts import HostList, Names
from vna.scp.identity import IdentityCheck, IdentityRefused
from vna.scp.places import Limit, Limits, Place, Places

_EVERYTHING = PeerConfig()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an association is rejected: the code for the peer, the reason for log and audit trail."""

    rejection: Rejection
    reason: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """An association that may be; `place` is taken for it. `user` is verified, or ""."""

    place: Place
    rules: PeerConfig
    user: str


@dataclass(frozen=True, slots=True)
class _Peer:
    rules: PeerConfig
    hosts: HostList


class Admission:
    """Judges association requests by the configuration; one per process, from any thread."""

    def __init__(
        self,
        config: DimseConfig,
        ae_title: str,
        places: Places,
        names: Names | None = None,
    ) -> None:
        """Raises BadCredentials for keys of JSON Web Tokens that can't be used."""
        self._config = config
        self._ae_title = ae_title
        self._places = places
        self._identity = IdentityCheck(config.identity)
        names = names or Names()
        self._peers = {
            title.strip(): _Peer(rules, HostList(rules.hosts, names))
            for title, rules in config.peers.items()
        }
        self._known = frozenset(title.strip() for title in config.known_ae_titles)

    def judge(self, proposal: AssociationProposal) -> Admitted | Refusal:
        """What is cheap to find out comes first; a place is taken last, by who may have one.

        May take as long as a password's hash or the resolver of host names.
        """
        rules = self._rules_of(proposal)
        if isinstance(rules, Refusal):
            return rules
        address = proposal.peer_address
        is_required = self._config.identity.required or rules.user_identity_required
        try:
            user = self._identity.verify(proposal.user_identity, address, is_required=is_required)
        except IdentityRefused as exc:
            return Refusal(IDENTITY_REFUSED, str(exc))
        limits = self._limits_for(rules)
        taken = self._places.take(address, proposal.calling_ae_title, limits)
        if isinstance(taken, Limit):
            return Refusal(LOCAL_LIMIT_EXCEEDED, self._explain(taken, rules))
        return Admitted(taken, rules, user)

    def _rules_of(self, proposal: AssociationProposal) -> PeerConfig | Refusal:
        config, calling = self._config, proposal.calling_ae_title
        if config.check_called_ae_title and proposal.called_ae_title != self._ae_title:
            return Refusal(
                CALLED_AE_TITLE_NOT_RECOGNIZED,
                f"called {proposal.called_ae_title!r}; this is {self._ae_title!r}",
            )
        peer = self._peers.get(calling)
        if peer is None:
            nobody_is_known = not (self._known or self._peers)
            if nobody_is_known or config.allow_any_ae or calling in self._known:
                return _EVERYTHING
            return Refusal(
                CALLING_AE_TITLE_NOT_RECOGNIZED,
                "unknown calling AE title; add it to dimse.known_ae_titles or dimse.peers "
                "to let it in",
            )
        if not peer.hosts.allows(proposal.peer_address):
            return Refusal(
                CALLING_AE_TITLE_NOT_RECOGNIZED,
                f"not one of the hosts of dimse.peers.{calling}",
            )
        return peer.rules

    def _limits_for(self, rules: PeerConfig) -> Limits:
        config = self._config
        per_ae = config.max_associations_per_ae
        return Limits(
            total=config.max_associations,
            per_ae=min(per_ae, rules.max_associations or per_ae),
            per_address=config.max_associations_per_address,
        )

    def _explain(self, limit: Limit, rules: PeerConfig) -> str:
        own = rules.max_associations
        if limit is Limit.PER_AE and 0 < own < self._config.max_associations_per_ae:
            limit = Limit.PEER
        return f"association limit reached; raise {limit.value} if this is usual"
