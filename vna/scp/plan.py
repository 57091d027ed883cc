"""The presentation contexts in which a C-MOVE or C-GET sends instances (PS3.8 9.3.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vna.dicom.syntaxes import can_transcode
from vna.dimse.association import Association
from vna.dimse.negotiation import PresentationContext
from vna.model.chosen import Kind
from vna.model.identifiers import is_valid_uid
from vna.scp.policy import EXPLICIT_LITTLE, IMPLICIT_LITTLE, UNCOMPRESSED

MAX_CONTEXTS = 128  # ids are the odd numbers 1 to 255
FALLBACKS = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)

Context = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one association carries: its contexts, and the kinds of instances to send over it."""

    contexts: tuple[Context, ...]
    kinds: frozenset[Kind]


def plan(kinds: Iterable[Kind]) -> list[Batch]:
    """Divide instances of these kinds over as few associations as 128 contexts each allow.

    Each (SOP class, stored transfer syntax) has a context of its own, compressed ones first, so
    that the peer can't trade it for another; one more per SOP class offers what the archive can
    convert to. A kind whose SOP class or transfer syntax is no valid UID is in no batch.
    """
    batches: list[Batch] = []
    contexts: list[Context] = []
    carried: set[Kind] = set()
    for sop_class_uid, syntaxes in _syntaxes_by_class(kinds).items():
        for chunk in _chunks(syntaxes, MAX_CONTEXTS - 1):
            proposed = _contexts(sop_class_uid, chunk)
            if len(contexts) + len(proposed) > MAX_CONTEXTS:
                batches.append(Batch(tuple(contexts), frozenset(carried)))
                contexts, carried = [], set()
            contexts += proposed
            carried |= {Kind(sop_class_uid, syntax) for syntax in chunk}
    if contexts:
        batches.append(Batch(tuple(contexts), frozenset(carried)))
    return batches


def syntaxes_for(transfer_syntax_uid: str) -> tuple[str, ...]:
    """In which syntaxes what is stored in this one can be sent, the best first.

    Private syntaxes, and those without a decoder, only as they are.
    """
    if not can_transcode(transfer_syntax_uid):
        return (transfer_syntax_uid,)
    return (transfer_syntax_uid, *(s for s in FALLBACKS if s != transfer_syntax_uid))


def _syntaxes_by_class(kinds: Iterable[Kind]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for kind in kinds:
        if is_valid_uid(kind.sop_class_uid) and is_valid_uid(kind.transfer_syntax_uid):
            found.setdefault(kind.sop_class_uid, {})[kind.transfer_syntax_uid] = None
    return {
        uid: sorted(syntaxes, key=lambda s: s in UNCOMPRESSED) for uid, syntaxes in found.items()
    }


def _chunks(items: list[str], size: int) -> list[list[str]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _contexts(sop_class_uid: str, syntaxes: Sequence[str]) -> list[Context]:
    own: list[Context] = [(sop_class_uid, (syntax,)) for syntax in syntaxes]
    if not any(map(can_transcode, syntaxes)):
        return own
    fallback = tuple(syntax for syntax in FALLBACKS if syntax not in syntaxes)
    return [*own, (sop_class_uid, fallback)] if fallback else own


class Routes:
    """How instances can travel over an open association: its contexts with this side as SCU."""

    def __init__(self, association: Association) -> None:
        self._contexts: dict[tuple[str, str], PresentationContext] = {}
        for context in association.contexts.values():
            if context.as_scu:
                key = (context.abstract_syntax, context.transfer_syntax)
                self._contexts.setdefault(key, context)

    def find(self, sop_class_uid: str, syntaxes: Iterable[str]) -> PresentationContext | None:
        """The context of the SOP class in the first of the `syntaxes` that has one."""
        for syntax in syntaxes:
            context = self._contexts.get((sop_class_uid, syntax))
            if context is not None:
                return context
        return None
