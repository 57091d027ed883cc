"""The presentation contexts in which a C-MOVE or C-GET sends instances (PS3.8 9.3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vna.dimse.association import Association
from vna.dimse.negotiation import PresentationContext
from vna.model.identifiers import is_valid_uid
from vna.model.instances import StoredInstance
from vna.scp.policy import EXPLICIT_LITTLE, IMPLICIT_LITTLE, UNCOMPRESSED

MAX_CONTEXTS = 128  # ids are the odd numbers 1 to 255
FALLBACKS = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)

Context = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one association carries: its contexts and the instances to send over it, in order."""

    contexts: tuple[Context, ...]
    instances: tuple[StoredInstance, ...]


def plan(instances: Sequence[StoredInstance]) -> list[Batch]:
    """Divide `instances` over as few associations as 128 contexts each allow.

    Each (SOP class, stored transfer syntax) has a context of its own, compressed ones first, so
    that the peer can't trade it for another; one more per SOP class offers what the archive can
    convert to. An instance whose SOP class or transfer syntax is no valid UID is in no batch.
    """
    batches: list[Batch] = []
    contexts: list[Context] = []
    pairs: set[tuple[str, str]] = set()
    for sop_class_uid, syntaxes in _syntaxes_by_class(instances).items():
        for chunk in _chunks(syntaxes, MAX_CONTEXTS - 1):
            proposed = _contexts(sop_class_uid, chunk)
            if len(contexts) + len(proposed) > MAX_CONTEXTS:
                batches.append(_batch(contexts, pairs, instances))
                contexts, pairs = [], set()
            contexts += proposed
            pairs |= {(sop_class_uid, syntax) for syntax in chunk}
    if contexts:
        batches.append(_batch(contexts, pairs, instances))
    return batches


def _syntaxes_by_class(instances: Sequence[StoredInstance]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for instance in instances:
        if not (
            is_valid_uid(instance.sop_class_uid) and is_valid_uid(instance.transfer_syntax_uid)
        ):
            continue
        found.setdefault(instance.sop_class_uid, {})[instance.transfer_syntax_uid] = None
    return {
        uid: sorted(syntaxes, key=lambda s: s in UNCOMPRESSED) for uid, syntaxes in found.items()
    }


def _chunks(items: list[str], size: int) -> list[list[str]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _contexts(sop_class_uid: str, syntaxes: Sequence[str]) -> list[Context]:
    own: list[Context] = [(sop_class_uid, (syntax,)) for syntax in syntaxes]
    fallback = tuple(syntax for syntax in FALLBACKS if syntax not in syntaxes)
    return [*own, (sop_class_uid, fallback)] if fallback else own


def _batch(
    contexts: list[Context], pairs: set[tuple[str, str]], instances: Sequence[StoredInstance]
) -> Batch:
    chosen = (i for i in instances if (i.sop_class_uid, i.transfer_syntax_uid) in pairs)
    return Batch(tuple(contexts), tuple(chosen))


class Routes:
    """How instances can travel over an open association: its contexts with this side as SCU."""

    def __init__(self, association: Association) -> None:
        self._contexts: dict[tuple[str, str], PresentationContext] = {}
        for context in association.contexts.values():
            if context.as_scu:
                key = (context.abstract_syntax, context.transfer_syntax)
                self._contexts.setdefault(key, context)

    def find(self, instance: StoredInstance) -> PresentationContext | None:
        """The context that takes the instance as stored, else one to convert it for, else None."""
        for syntax in (instance.transfer_syntax_uid, *FALLBACKS):
            context = self._contexts.get((instance.sop_class_uid, syntax))
            if context is not None:
                return context
        return None
