"""What a DICOM source offers: services, storage syntaxes, relational queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vna.dimse.negotiation import RoleSelection
from vna.dimse.scu import VERIFICATION_SOP_CLASS
from vna.migration import dicom_keys as tags
from vna.migration.dicom_contexts import COMPRESSED, PLAIN
from vna.migration.dicom_find import Finder
from vna.migration.dicom_link import (
    IDENTIFIER_SYNTAXES,
    PATIENT_ROOT,
    STUDY_ROOT,
    Context,
    DicomLink,
)
from vna.migration.probe import ProbeReport
from vna.migration.sources.base import SourceError
from vna.model.migration import FoundStudy

SERVICES = {
    "C-ECHO": VERIFICATION_SOP_CLASS,
    "C-FIND": f"{STUDY_ROOT}.1",
    "C-MOVE": f"{STUDY_ROOT}.2",
    "C-GET": f"{STUDY_ROOT}.3",
    "C-FIND of the Patient Root": f"{PATIENT_ROOT}.1",
    "C-MOVE of the Patient Root": f"{PATIENT_ROOT}.2",
    "C-GET of the Patient Root": f"{PATIENT_ROOT}.3",
    "storage commitment": "1.2.840.10008.1.20.1",
}
_CT = "1.2.840.10008.5.1.4.1.1.2"


def inspect(link: DicomLink, report: ProbeReport, sample: Sequence[FoundStudy]) -> None:
    """Ask what the source accepts, and propose how to take from it. Raises SourceError."""
    report.services = _services(link)
    if report.services["C-GET"] or report.services["C-GET of the Patient Root"]:
        report.syntaxes = _syntaxes(link)
    if sample:
        report.is_relational = _is_relational(link, sample[0])
    _propose(link, report)


def _services(link: DicomLink) -> dict[str, bool]:
    contexts = [(uid, IDENTIFIER_SYNTAXES) for uid in SERVICES.values()]
    accepted = _accepted(link, contexts)
    return {name: (uid, None) in accepted for name, uid in SERVICES.items()}


def _syntaxes(link: DicomLink) -> dict[str, bool]:
    """In which syntaxes it would send a CT image by C-GET, each proposed on its own."""
    wanted = (*PLAIN, *COMPRESSED)
    contexts: list[Context] = [(link.get_class, IDENTIFIER_SYNTAXES)]
    contexts += [(_CT, (syntax,)) for syntax in wanted]
    roles = [RoleSelection(_CT, scu=False, scp=True)]
    accepted = _accepted(link, contexts, roles)
    return {syntax: (_CT, syntax) in accepted for syntax in wanted}


def _accepted(
    link: DicomLink, contexts: Sequence[Context], roles: Iterable[RoleSelection] = ()
) -> set[tuple[str, str | None]]:
    """(class, None) and (class, syntax) of each accepted context."""
    with link.association(contexts, tuple(roles)) as association:
        found = association.contexts.values()
        return {(c.abstract_syntax, None) for c in found} | {
            (c.abstract_syntax, c.transfer_syntax) for c in found
        }


def _is_relational(link: DicomLink, study: FoundStudy) -> bool:
    """Whether instances are found by their study alone, without the series (PS3.4 C.4.1.2.2.1)."""
    keys = {
        tags.STUDY_INSTANCE_UID: study.study_instance_uid,
        tags.SERIES_INSTANCE_UID: "",
        tags.SOP_INSTANCE_UID: "",
    }
    if link.options.model == "patient":
        keys[tags.PATIENT_ID] = study.patient_id
    try:
        with Finder(link) as finder:
            return next(finder.find("IMAGE", keys), None) is not None
    except SourceError:
        return False


def _propose(link: DicomLink, report: ProbeReport) -> None:
    services = report.services
    if not services["C-FIND"] and services["C-FIND of the Patient Root"]:
        report.proposals["model"] = "patient"
    is_move = link.options.retrieve == "move"
    if is_move and not services["C-MOVE"] and services["C-GET"]:
        report.proposals["retrieve"] = "get"
    if not is_move and not services["C-GET"] and services["C-MOVE"]:
        report.proposals["retrieve"] = "move"
    if not is_move and report.syntaxes and not any(report.syntaxes[s] for s in COMPRESSED):
        report.notes.append(
            "no compressed syntax is accepted by C-GET: compressed objects would come decompressed; try retrieve=move"
        )
