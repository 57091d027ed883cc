"""A policy by a table, for tests that need one that decides by nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from vna.dimse.negotiation import Acceptance, ContextResult, Proposal, UserIdentity


class TablePolicy:
    """Takes listed SOP classes in the first proposed transfer syntax that their row has; every
    proposed role.
    """

    def __init__(self, supported: Mapping[str, tuple[str, ...]]) -> None:
        self._supported = dict(supported)

    def choose(self, proposal: Proposal) -> Acceptance | ContextResult:
        """By the table."""
        known = self._supported.get(proposal.abstract_syntax)
        if known is None:
            return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
        for transfer_syntax in proposal.transfer_syntaxes:
            if transfer_syntax in known:
                return Acceptance(transfer_syntax)
        return ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED

    def answer_extended(self, sop_class_uid: str, information: bytes) -> bytes | None:
        """No answer."""
        return None

    def answer_identity(self, identity: UserIdentity) -> bytes | None:
        """An empty response."""
        return b""
