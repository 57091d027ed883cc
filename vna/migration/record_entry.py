"""What an answer of C-FIND or QIDO-RS tells, as an entry of an inventory."""

from __future__ import annotations

from vna.migration import dicom_keys as tags
from vna.migration.dicom_keys import Record, number, text, texts
from vna.model.identifiers import InstanceUids
from vna.model.migration import FoundInstance, FoundStudy


def study_of(record: Record) -> FoundStudy:
    """An answer at the STUDY level."""
    return FoundStudy(
        text(record, tags.STUDY_INSTANCE_UID),
        patient_id=text(record, tags.PATIENT_ID),
        issuer_of_patient_id=text(record, tags.ISSUER_OF_PATIENT_ID),
        study_date=text(record, tags.STUDY_DATE),
        study_time=text(record, tags.STUDY_TIME),
        accession_number=text(record, tags.ACCESSION_NUMBER),
        modalities=texts(record, tags.MODALITIES_IN_STUDY),
        study_description=text(record, tags.STUDY_DESCRIPTION),
        number_of_instances=number(record, tags.STUDY_INSTANCES),
    )


def instance_of(study: FoundStudy, series: Record, image: Record) -> FoundInstance:
    """An answer at the IMAGE level, with that about its series."""
    return FoundInstance(
        InstanceUids(
            study.study_instance_uid,
            text(series, tags.SERIES_INSTANCE_UID),
            text(image, tags.SOP_INSTANCE_UID),
        ),
        sop_class_uid=text(image, tags.SOP_CLASS_UID),
        transfer_syntax_uid=text(image, tags.AVAILABLE_SYNTAX),
        number_of_frames=number(image, tags.NUMBER_OF_FRAMES),
        modality=text(series, tags.MODALITY),
    )
