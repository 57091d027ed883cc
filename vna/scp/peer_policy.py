"""Presentation contexts as the archive takes them, less what one peer may not do."""

from __future__ import annotations

from dataclasses import replace

from vna.config import PeerConfig
from vna.dimse.negotiation import Acceptance, ContextResult, Policy, Proposal, UserIdentity
from vna.scp.policy import Service, service_of

_SERVICES = {
    "verification": Service.VERIFICATION,
    "store": Service.STORAGE,
    "find": Service.FIND,
    "move": Service.MOVE,
    "get": Service.GET,
    "commitment": Service.COMMITMENT,
}
"""The words of `dimse.peers.NAME.services`."""


class PeerPolicy:
    """The policy of one association; `rules` and `user` are set when its peer is admitted, which
    comes before any context is chosen.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.rules = PeerConfig()
        self.user = ""

    def choose(self, proposal: Proposal) -> Acceptance | ContextResult:
        """As the archive's policy, but "user rejection" for a service that the peer may not use.

        Who may get but not store still needs storage contexts, in which it is the SCP only.
        """
        role = proposal.role
        receives_only = role is not None and role.scp and not role.scu
        choice = self._policy.choose(
            proposal if receives_only else self._in_allowed_syntaxes(proposal)
        )
        if not isinstance(choice, Acceptance) or not self.rules.services:
            return choice
        allowed = {_SERVICES[name] for name in self.rules.services}
        service = service_of(proposal.abstract_syntax) or Service.STORAGE  # announced as such
        if service in allowed:
            return choice
        if service is Service.STORAGE and Service.GET in allowed and role is not None and role.scp:
            return replace(choice, allow_scu=False)
        return ContextResult.USER_REJECTION

    def answer_extended(self, sop_class_uid: str, information: bytes) -> bytes | None:
        """As the archive's policy."""
        return self._policy.answer_extended(sop_class_uid, information)

    def answer_identity(self, identity: UserIdentity) -> bytes | None:
        """An empty response says that the user was verified, none that nobody looked (PS3.7
        D.3.3.7.2).
        """
        return b"" if self.user else None

    def _in_allowed_syntaxes(self, proposal: Proposal) -> Proposal:
        allowed = self.rules.transfer_syntaxes
        if not allowed or service_of(proposal.abstract_syntax) not in {None, Service.STORAGE}:
            return proposal
        kept = tuple(uid for uid in proposal.transfer_syntaxes if uid in allowed)
        return replace(proposal, transfer_syntaxes=kept)
