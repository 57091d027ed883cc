"""What an object tells of itself, as an entry of an inventory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from vna.dicom.header import Header
from vna.migration import dicom_keys as tags
from vna.migration.dicom_keys import text, texts
from vna.model.migration import FoundInstance, FoundStudy, Scope


def entry_of(header: Header, place: str, size: int) -> tuple[FoundStudy, FoundInstance]:
    """The study and the instance behind a header."""
    levels = header.attributes
    modality = text(levels.series, tags.MODALITY)
    study = FoundStudy(
        header.uids.study_instance_uid,
        patient_id=text(levels.patient, tags.PATIENT_ID),
        issuer_of_patient_id=text(levels.patient, tags.ISSUER_OF_PATIENT_ID),
        study_date=text(levels.study, tags.STUDY_DATE),
        study_time=text(levels.study, tags.STUDY_TIME),
        accession_number=text(levels.study, tags.ACCESSION_NUMBER),
        modalities=tuple(filter(None, (modality, *texts(levels.study, tags.MODALITIES_IN_STUDY)))),
        study_description=text(levels.study, tags.STUDY_DESCRIPTION),
    )
    instance = FoundInstance(
        header.uids,
        sop_class_uid=header.sop_class_uid,
        transfer_syntax_uid=header.transfer_syntax_uid,
        size=size,
        number_of_frames=header.number_of_frames or None,
        modality=modality,
        place=place,
    )
    return study, instance


def is_in_scope(study: FoundStudy, scope: Scope) -> bool:
    """Whether a study is among those that are looked for; a date that is none counts as no date."""
    checks: Mapping[str, bool] = {
        "patient": not scope.patient_id or study.patient_id == scope.patient_id,
        "modality": not scope.modalities or not set(scope.modalities).isdisjoint(study.modalities),
        "study": not scope.study_instance_uids
        or study.study_instance_uid in scope.study_instance_uids,
        "date": _is_dated_so(study.study_date, scope),
    }
    return all(checks.values())


def _is_dated_so(text_: str, scope: Scope) -> bool:
    day = _day(text_)
    if day is None:
        return scope.undated and scope.first_date is None and scope.last_date is None
    return (scope.first_date or date.min) <= day <= (scope.last_date or date.max)


def _day(text_: str) -> date | None:
    digits = text_.replace(".", "")
    try:
        return (
            date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if len(digits) == 8 else None
        )
    except ValueError:
        return None
