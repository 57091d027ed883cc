"""Which attributes the index keeps, and at which level of the information model (PS3.4 C.6, PS3.18
10.6).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from pydicom.datadict import dictionary_VR, tag_for_keyword

from vna.model.identifiers import Level

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_HEX_TAG = re.compile(r"[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class Attribute:
    """A data element of the standard, at the level where it is kept."""

    tag: int
    keyword: str
    vr: str
    level: Level

    @property
    def key(self) -> str:
        """Its name in the DICOM JSON model: eight upper-case hex digits."""
        return f"{self.tag:08X}"

    @property
    def column(self) -> str:
        """Its name in snake_case, as in SQL: `sop_instance_uid`, `other_patient_ids`."""
        return column_name(self.keyword)


def column_name(keyword: str) -> str:
    """A keyword in snake_case: SOPClassesInStudy -> sop_classes_in_study."""
    return _WORD.sub("_", keyword.replace("IDs", "Ids").replace("UIDs", "Uids")).lower()


def lookup(name: str) -> tuple[int, str] | None:
    """(tag, VR) of a keyword or of eight hex digits; None for a word that is neither.

    Any element of the standard is known; a private or unknown tag has VR UN. Of several possible
    VRs the first.
    """
    tag = tag_for_keyword(name) if name else None
    if tag is None:
        if not _HEX_TAG.fullmatch(name):
            return None
        tag = int(name, 16)
    return tag, vr_of(tag)


@lru_cache(maxsize=8192)
def vr_of(tag: int) -> str:
    """The VR that PS3.6 gives `tag` (the first of several), UN when it gives none."""
    try:
        return dictionary_VR(tag)[:2]
    except KeyError:
        return "UN"


_PATIENT = """
 PatientName PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence PatientBirthDate
PatientBirthTime PatientSex OtherPatientIDs OtherPatientIDsSequence OtherPatientNames EthnicGroup
PatientComments PatientSpeciesDescription PatientBreedDescription ResponsiblePerson
ResponsibleOrganization PatientIdentityRemoved QualityControlSubject
"""

_STUDY = """
 StudyInstanceUID StudyDate StudyTime AccessionNumber IssuerOfAccessionNumberSequence StudyID
ReferringPhysicianName StudyDescription ProcedureCodeSequence NameOfPhysiciansReadingStudy
AdmittingDiagnosesDescription PatientAge PatientSize PatientWeight AdditionalPatientHistory
Occupation AdmissionID IssuerOfAdmissionIDSequence PhysiciansOfRecord ConsultingPhysicianName
RequestingService InstitutionName TimezoneOffsetFromUTC
"""

_SERIES = """
 SeriesInstanceUID Modality SeriesNumber SeriesDescription SeriesDate SeriesTime BodyPartExamined
Laterality PatientPosition PerformedProcedureStepStartDate PerformedProcedureStepStartTime
PerformedProcedureStepID PerformedProcedureStepDescription RequestAttributesSequence ProtocolName
OperatorsName PerformingPhysicianName Manufacturer ManufacturerModelName StationName InstitutionName
InstitutionalDepartmentName DeviceSerialNumber SoftwareVersions FrameOfReferenceUID
PresentationIntentType SeriesDescriptionCodeSequence AnatomicRegionSequence TimezoneOffsetFromUTC
"""

_IMAGE = """
 SOPClassUID SOPInstanceUID InstanceNumber Rows Columns BitsAllocated BitsStored SamplesPerPixel
PhotometricInterpretation NumberOfFrames ImageType ContentDate ContentTime AcquisitionDate
AcquisitionTime AcquisitionDateTime AcquisitionNumber AcquisitionUID ImagePositionPatient
ImageOrientationPatient SliceLocation PixelSpacing SliceThickness ImageLaterality ViewPosition
ImageComments InstanceCreationDate InstanceCreationTime ConceptNameCodeSequence ContentLabel
ContentDescription ContentCreatorName CompletionFlag VerificationFlag PreliminaryFlag DocumentTitle
MIMETypeOfEncapsulatedDocument PresentationCreationDate PresentationCreationTime
ReferencedRequestSequence ReferencedStudySequence LossyImageCompression BurnedInAnnotation
TemporalPositionIndex RTPlanLabel RTPlanDate RTPlanTime StructureSetLabel StructureSetDate
StructureSetTime DoseSummationType TimezoneOffsetFromUTC
"""


def _table(level: Level, keywords: str) -> tuple[Attribute, ...]:
    return tuple(
        _attribute(level, keyword) for keyword in ("SpecificCharacterSet", *keywords.split())
    )


def _attribute(level: Level, keyword: str) -> Attribute:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is not a keyword of PS3.6")
    return Attribute(tag, keyword, vr_of(tag), level)


BY_LEVEL: dict[Level, tuple[Attribute, ...]] = {
    Level.PATIENT: _table(Level.PATIENT, _PATIENT),
    Level.STUDY: _table(Level.STUDY, _STUDY),
    Level.SERIES: _table(Level.SERIES, _SERIES),
    Level.IMAGE: _table(Level.IMAGE, _IMAGE),
}

ATTRIBUTES: tuple[Attribute, ...] = tuple(item for table in BY_LEVEL.values() for item in table)
"""Everything the index keeps. A few (character set, time zone, institution) are kept at several
levels.
"""

COMPUTED: tuple[Attribute, ...] = tuple(
    _attribute(level, keyword)
    for level, keywords in (
        (Level.PATIENT, ("NumberOfPatientRelatedStudies", "NumberOfPatientRelatedSeries")),
        (Level.PATIENT, ("NumberOfPatientRelatedInstances",)),
        (Level.STUDY, ("ModalitiesInStudy", "SOPClassesInStudy", "NumberOfStudyRelatedSeries")),
        (Level.STUDY, ("NumberOfStudyRelatedInstances",)),
        (Level.SERIES, ("NumberOfSeriesRelatedInstances",)),
        (Level.IMAGE, ("AvailableTransferSyntaxUID",)),
        (
            Level.IMAGE,
            ("InstanceAvailability", "RetrieveURL", "RetrieveAETitle", "QueryRetrieveLevel"),
        ),
    )
    for keyword in keywords
)
"""Attributes of an answer that no object carries. Those of IMAGE without a count exist at every
level.
"""

UNIQUE_KEYS: dict[Level, Attribute] = {
    Level.PATIENT: _attribute(Level.PATIENT, "PatientID"),
    Level.STUDY: _attribute(Level.STUDY, "StudyInstanceUID"),
    Level.SERIES: _attribute(Level.SERIES, "SeriesInstanceUID"),
    Level.IMAGE: _attribute(Level.IMAGE, "SOPInstanceUID"),
}

SEQUENCE_MEMBERS: frozenset[int] = frozenset(
    _attribute(Level.IMAGE, keyword).tag
    for keyword in [
        "CodeValue",
        "CodingSchemeDesignator",
        "CodingSchemeVersion",
        "CodeMeaning",
        "LongCodeValue",
        "URNCodeValue",
        "LocalNamespaceEntityID",
        "UniversalEntityID",
        "UniversalEntityIDType",
        "PatientID",
        "IssuerOfPatientID",
        "TypeOfPatientID",
        "IssuerOfPatientIDQualifiersSequence",
        "IssuerOfAccessionNumberSequence",
        "AccessionNumber",
        "StudyInstanceUID",
        "RequestedProcedureID",
        "RequestedProcedureDescription",
        "RequestedProcedureCodeSequence",
        "ScheduledProcedureStepID",
        "ScheduledProcedureStepDescription",
        "ScheduledProtocolCodeSequence",
        "PlacerOrderNumberImagingServiceRequest",
        "FillerOrderNumberImagingServiceRequest",
        "RequestingPhysician",
        "RequestingService",
        "ReferencedSOPClassUID",
        "ReferencedSOPInstanceUID",
        "AnatomicRegionModifierSequence",
    ]
)
"""What is kept of the items of a kept sequence, at any depth; the rest stays in the object."""

BY_TAG: dict[int, tuple[Attribute, ...]] = {}
for _item in (*ATTRIBUTES, *COMPUTED):
    BY_TAG[_item.tag] = (*BY_TAG.get(_item.tag, ()), _item)
