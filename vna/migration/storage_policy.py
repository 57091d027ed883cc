"""What a source may send us: every storage class, in the syntax in which it keeps the object where that is known."""

from __future__ import annotations

from collections.abc import Callable, Collection

from vna.dimse.negotiation import Acceptance, ContextResult, Proposal, UserIdentity
from vna.dimse.scu import VERIFICATION_SOP_CLASS
from vna.model.identifiers import is_valid_uid

_STANDARD = "1.2.840.10008."
_STORAGE = "1.2.840.10008.5.1.4."
_NO_STORAGE = ("1.2.840.10008.5.1.4.1.2.", "1.2.840.10008.5.1.4.3", "1.2.840.10008.5.1.4.4")
"""Query/Retrieve, worklist and the rest of the service classes beside the storage ones."""


class StoragePolicy:
    """Accepts C-ECHO and whatever may be a storage class, standard, retired or private."""

    def __init__(self, stored_syntaxes: Callable[[], Collection[str]]) -> None:
        """`stored_syntaxes`: those in which the objects that are due are kept at the source, as far as it says."""
        self._stored_syntaxes = stored_syntaxes

    def choose(self, proposal: Proposal) -> Acceptance | ContextResult:
        """The syntax of what is due, else the one that the source names first."""
        uid = proposal.abstract_syntax
        if uid != VERIFICATION_SOP_CLASS and not is_storage(uid):
            return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
        stored = self._stored_syntaxes()
        known = [syntax for syntax in proposal.transfer_syntaxes if syntax in stored]
        usable = [syntax for syntax in proposal.transfer_syntaxes if is_valid_uid(syntax)]
        if not usable:
            return ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
        return Acceptance((known or usable)[0])

    def answer_extended(self, sop_class_uid: str, information: bytes) -> bytes | None:
        """Nothing is negotiated."""
        return None

    def answer_identity(self, identity: UserIdentity) -> bytes | None:
        """Nobody is asked."""
        return None


def is_storage(uid: str) -> bool:
    """Whether instances of this SOP class may be stored."""
    if not is_valid_uid(uid):
        return False
    if not uid.startswith(_STANDARD):
        return True
    return uid.startswith(_STORAGE) and not uid.startswith(_NO_STORAGE)
