"""What is corrected in an instance: its stored bytes stay, the index and what leaves the archive follow this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from vna.model.query import JsonElement


class ModificationReason(StrEnum):
    """Reason for the Attribute Modification (0400,0565): the defined terms that apply here (PS3.3 C.12.1.1.9)."""

    COERCE = "COERCE"
    CORRECT = "CORRECT"


@dataclass(frozen=True, slots=True)
class Correction:
    """A patch of a dataset. What it replaces is never in it: that is read from the stored bytes.

    `elements`: of the top level, in the DICOM JSON model keyed by eight upper-case hex digits; each replaces what is
    there, or is added; one without "Value" is written empty. Specific Character Set (0008,0005) is never among them.
    `character_set`: the defined terms by which the texts of the stored bytes are to be read, whatever they say
    themselves; () is the default repertoire, None: as they say. Text bytes stay, and get this label on their way out.
    `system` and `source` are Modifying System (0400,0563) and Source of Previous Values (0400,0564); `rules` names what
    it went by, for people. `modified_at` is when these rules were declared, so that all instances that they change in
    the same way have an equal correction, at whatever moment they come.
    """

    system: str
    source: str
    rules: str
    modified_at: datetime
    elements: Mapping[str, JsonElement] = field(default_factory=dict)
    character_set: tuple[str, ...] | None = None
    reason: ModificationReason = ModificationReason.COERCE


def correction_tree(correction: Correction) -> dict[str, Any]:
    """`correction` as JSON; equal corrections give equal trees, in the same order."""
    tree: dict[str, Any] = {
        "system": correction.system,
        "source": correction.source,
        "reason": correction.reason.value,
        "rules": correction.rules,
        "modified_at": correction.modified_at.isoformat(),
        "elements": {key: correction.elements[key] for key in sorted(correction.elements)},
    }
    if correction.character_set is not None:
        tree["character_set"] = list(correction.character_set)
    return tree


def correction_of(tree: Mapping[str, Any]) -> Correction:
    """The correction that `correction_tree` made `tree` of."""
    terms = tree.get("character_set")
    return Correction(
        system=tree["system"],
        source=tree["source"],
        rules=tree["rules"],
        modified_at=datetime.fromisoformat(tree["modified_at"]),
        elements=tree["elements"],
        character_set=None if terms is None else tuple(terms),
        reason=ModificationReason(tree["reason"]),
    )
