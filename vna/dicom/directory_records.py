"""Directory records of a DICOMDIR: their types, and the attributes that each has (PS3.3 F.4, F.5)."""

from __future__ import annotations

from pydicom.datadict import tag_for_keyword

_PREFIX = "1.2.840.10008.5.1.4."
_STORAGE = _PREFIX + "1.1."


def _tags(keywords: str) -> tuple[str, ...]:
    return tuple(f"{tag_for_keyword(keyword) or 0:08X}" for keyword in keywords.split())


PATIENT = _tags("PatientName PatientID")
STUDY = _tags("StudyDate StudyTime StudyDescription StudyInstanceUID StudyID AccessionNumber")
SERIES = _tags("Modality SeriesInstanceUID SeriesNumber")

_CONTENT = "ContentDate ContentTime"
_LABEL = "ContentLabel ContentDescription ContentCreatorName"
_LEAVES = {
    "IMAGE": "",
    "RT DOSE": "DoseSummationType DoseComment",
    "RT STRUCTURE SET": "StructureSetLabel StructureSetDate StructureSetTime",
    "RT PLAN": "RTPlanLabel RTPlanDate RTPlanTime",
    "RT TREAT RECORD": "TreatmentDate TreatmentTime",
    "PRESENTATION": (
        f"PresentationCreationDate PresentationCreationTime {_LABEL} "
        "ReferencedSeriesSequence BlendingSequence"
    ),
    "WAVEFORM": _CONTENT,
    "SR DOCUMENT": (
        f"{_CONTENT} CompletionFlag VerificationFlag VerificationDateTime ConceptNameCodeSequence"
    ),
    "KEY OBJECT DOC": f"{_CONTENT} ConceptNameCodeSequence",
    "SPECTROSCOPY": (
        f"{_CONTENT} ImageType ReferencedImageEvidenceSequence NumberOfFrames Rows Columns "
        "DataPointRows DataPointColumns"
    ),
    "RAW DATA": _CONTENT,
    "REGISTRATION": f"{_CONTENT} {_LABEL}",
    "FIDUCIAL": f"{_CONTENT} {_LABEL}",
    "ENCAP DOC": (
        f"{_CONTENT} DocumentTitle HL7InstanceIdentifier ConceptNameCodeSequence "
        "MIMETypeOfEncapsulatedDocument"
    ),
    "VALUE MAP": f"{_CONTENT} {_LABEL}",
    "STEREOMETRIC": "",
    "MEASUREMENT": f"{_CONTENT} {_LABEL}",
    "SURFACE": f"{_CONTENT} {_LABEL}",
    "SURFACE SCAN": _CONTENT,
    "TRACT": f"{_CONTENT} {_LABEL}",
    "ASSESSMENT": "InstanceCreationDate InstanceCreationTime",
    "RADIOTHERAPY": "UserContentLabel UserContentLongLabel ContentDescription ContentCreatorName",
    "ANNOTATION": f"{_CONTENT} {_LABEL}",
    "PRIVATE": "",
}
LEAVES = {kind: _tags(f"InstanceNumber {keywords}") for kind, keywords in _LEAVES.items()}
"""Record type -> attributes of the record, as tags in hexadecimal."""

CONDITIONAL = frozenset(_tags("VerificationDateTime HL7InstanceIdentifier"))
"""Attributes that a record has with a value or not at all."""

_TYPES = {
    "481.2": "RT DOSE",
    "481.3": "RT STRUCTURE SET",
    "481.5": "RT PLAN",
    "481.8": "RT PLAN",
    "481.4": "RT TREAT RECORD",
    "481.6": "RT TREAT RECORD",
    "481.7": "RT TREAT RECORD",
    "481.9": "RT TREAT RECORD",
    "11": "PRESENTATION",
    "9": "WAVEFORM",
    "88.59": "KEY OBJECT DOC",
    "88": "SR DOCUMENT",
    "4.2": "SPECTROSCOPY",
    "4.3": "SPECTROSCOPY",
    "4.4": "SPECTROSCOPY",
    "66": "RAW DATA",
    "66.1": "REGISTRATION",
    "66.3": "REGISTRATION",
    "66.2": "FIDUCIAL",
    "66.5": "SURFACE",
    "66.6": "TRACT",
    "104": "ENCAP DOC",
    "67": "VALUE MAP",
    "77.1.5.3": "STEREOMETRIC",
    "78": "MEASUREMENT",
    "68": "SURFACE SCAN",
    "90": "ASSESSMENT",
    "91": "ANNOTATION",
    "481.10": "RADIOTHERAPY",
}
_IMAGES = frozenset({"66.4", "66.7", "481.1", "481.23"})
"""Classes with pixel data below a family of others: segmentations and RT images."""


def record_type(sop_class_uid: str, *, has_pixels: bool) -> str:
    """The type of the record for an instance of that class; what no table has is PRIVATE, or an IMAGE
    when it has pixels.
    """
    branch = sop_class_uid.removeprefix(_STORAGE)
    if branch != sop_class_uid and branch not in _IMAGES:
        while branch:
            if branch in _TYPES:
                return _TYPES[branch]
            branch = branch.rpartition(".")[0]
    return "IMAGE" if has_pixels else "PRIVATE"
