"""Whether an instance in the archive is corrected as the rules say that it came by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vna.dicom.encoding import Buffer
from vna.index.corrections import id_of
from vna.model.campaign import InstanceItem, KeptVersion, Reason
from vna.model.corrections import Correction
from vna.model.instances import Outcome

Correcting = Callable[[int, Buffer], Correction | None]
"""What a version of the rules makes of an object."""

NOT_CORRECTED = "not corrected"
"""Evidence that begins so tells of an instance that was in the archive before, and is as it was."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found: in words, as `evidence`, or as a `difference` that should not be."""

    evidence: tuple[str, ...] = ()
    difference: tuple[Reason, str] | None = None


def check_correction(
    item: InstanceItem, version: KeptVersion, view: Buffer, correcting: Correcting | None
) -> Checked:
    """Compare what is kept with what the rules make of the object; nothing is said where there were none.

    What was in the archive before it came was left as it was.
    """
    if correcting is None or item.rules is None:
        return Checked()
    correction = correcting(item.rules, view)
    wanted = None if correction is None else id_of(correction)
    rules = f"version {item.rules} of the rules"
    if version.correction == wanted:
        return Checked((f"{rules} changes nothing" if wanted is None else f"corrected by {rules}",))
    if item.outcome is Outcome.DUPLICATE:
        return Checked((f"{NOT_CORRECTED} by {rules}",))
    return Checked(difference=(Reason.NOT_CORRECTED, f"{rules} has it otherwise"))
