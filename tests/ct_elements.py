"""The elements of a realistic CT image, about 250 of them, but for its UIDs, patient and pixels."""

from __future__ import annotations

from typing import Any

from tests.samples import CT_IMAGE, Typed, Value

_TEXT = """
SpecificCharacterSet=ISO_IR 100
ImageType=ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI
InstanceCreationDate=20240131
InstanceCreationTime=101530.250000
StudyDate=20240131
SeriesDate=20240131
AcquisitionDate=20240131
ContentDate=20240131
AcquisitionDateTime=20240131101529.500000
StudyTime=100112.113000
SeriesTime=101522.500000
AcquisitionTime=101529.500000
ContentTime=101529.750000
AccessionNumber=A20240131007
Modality=CT
Manufacturer=ACME Imaging
InstitutionName=General Hospital
InstitutionAddress=1 Hospital Road, Springfield
ReferringPhysicianName=Roe^Richard^^Dr
TimezoneOffsetFromUTC=+0100
StationName=CT01
StudyDescription=CT Abdomen with contrast
SeriesDescription=Abdomen 1.5 B30f venous
InstitutionalDepartmentName=Radiology
PhysiciansOfRecord=Poe^Paula
PerformingPhysicianName=Moe^Max
NameOfPhysiciansReadingStudy=Low^Lisa
OperatorsName=Tech^Tom
AdmittingDiagnosesDescription=Abdominal pain
ManufacturerModelName=Somascan 64
IrradiationEventUID=1.2.826.0.1.3680043.8.498.1
PatientBirthDate=19630215
PatientSex=F
OtherPatientIDs=X-778\\Y-991
PatientAge=060Y
PatientSize=1.68
PatientWeight=71.5
PatientAddress=2 Elm Street
EthnicGroup=none stated
PatientComments=Allergic to penicillin
ContrastBolusAgent=Iomeprol
BodyPartExamined=ABDOMEN
ScanOptions=HELICAL MODE
SliceThickness=1.5
KVP=120
DataCollectionDiameter=500
DeviceSerialNumber=66213
SoftwareVersions=syngo CT 2012B
ProtocolName=Abdomen/Routine
ContrastBolusRoute=IV
ContrastBolusVolume=100
ContrastBolusStartTime=101400.000000
ContrastBolusTotalDose=100
ContrastFlowRate=3
ContrastFlowDuration=33
ContrastBolusIngredient=IODINE
ContrastBolusIngredientConcentration=400
ReconstructionDiameter=340
DistanceSourceToDetector=1085.6
DistanceSourceToPatient=595
GantryDetectorTilt=0
TableHeight=154
RotationDirection=CW
ExposureTime=500
XRayTubeCurrent=211
Exposure=106
FilterType=FLAT
GeneratorPower=42
FocalSpots=1.2
DateOfLastCalibration=20240130
TimeOfLastCalibration=220000.000000
ConvolutionKernel=B30f
PatientPosition=HFS
ExposureModulationType=XYZ_EC
StudyID=20240131A
SeriesNumber=5
AcquisitionNumber=3
InstanceNumber=117
ImagePositionPatient=-170.0\\-310.5\\-842.25
ImageOrientationPatient=1\\0\\0\\0\\1\\0
FrameOfReferenceUID=1.2.826.0.1.3680043.8.498.2
Laterality=
PositionReferenceIndicator=XY
SliceLocation=-842.25
ImageComments=venous phase
PhotometricInterpretation=MONOCHROME2
PixelSpacing=0.6640625\\0.6640625
WindowCenter=40\\300
WindowWidth=400\\1500
RescaleIntercept=-1024
RescaleSlope=1
RescaleType=HU
WindowCenterWidthExplanation=ABDOMEN\\BONE
RequestingPhysician=Roe^Richard
RequestingService=Emergency
RequestedProcedureDescription=CT Abdomen
RequestedContrastAgent=Iomeprol
CurrentPatientLocation=Ward 4
PerformedProcedureStepStartDate=20240131
PerformedProcedureStepStartTime=100200.000000
PerformedProcedureStepEndDate=20240131
PerformedProcedureStepEndTime=102000.000000
PerformedProcedureStepID=PPS77
PerformedProcedureStepDescription=CT Abdomen venous
CommentsOnThePerformedProcedureStep=no events
"""


def _code(value: str, meaning: str) -> dict[Any, Value]:
    return {"CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning}


def _referenced(number: int) -> dict[Any, Value]:
    return {
        "ReferencedSOPClassUID": CT_IMAGE,
        "ReferencedSOPInstanceUID": f"1.2.826.0.1.9.{number}",
    }


def _private(group: int, creator: str, count: int) -> dict[int, Typed]:
    """A private block: texts, numbers, a binary value and a sequence, as vendors write them."""
    base = (group << 16) | 0x1000
    block: dict[int, Typed] = {(group << 16) | 0x0010: Typed("LO", creator)}
    for number in range(count):
        block[base + number] = (
            Typed("DS", f"{number * 1.25:.4f}"),
            Typed("SH", f"value {number}"),
            Typed("UL", number * 1000),
            Typed("FD", number / 7),
            Typed("US", [number, number + 1]),
        )[number % 5]
    block[base + 0xF0] = Typed("OB", bytes(range(256)) * 8)
    block[base + 0xF1] = Typed("SQ", [{"CodeValue": "P1", "CodeMeaning": "private"}])
    return block


CT_ELEMENTS: dict[Any, Value] = {
    **dict(line.split("=", 1) for line in _TEXT.strip().splitlines()),
    "SOPClassUID": CT_IMAGE,
    "SamplesPerPixel": 1,
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 0,
    "SmallestImagePixelValue": 0,
    "LargestImagePixelValue": 4095,
    "SpiralPitchFactor": 0.9,
    "CTDIvol": 8.31,
    "EstimatedDoseSaving": 21.3,
    "SingleCollimationWidth": 0.6,
    "TotalCollimationWidth": 38.4,
    "TableSpeed": 46.0,
    "TableFeedPerRotation": 23.0,
    "DataCollectionCenterPatient": [0.0, -140.5, -842.25],
    "ReconstructionTargetCenterPatient": [0.0, -140.5, -842.25],
    "ProcedureCodeSequence": [_code("169070004", "CT of abdomen")],
    "ReferencedStudySequence": [_referenced(1)],
    "ReferencedPerformedProcedureStepSequence": [_referenced(2)],
    "ReferencedImageSequence": [_referenced(3), _referenced(4)],
    "SourceImageSequence": [_referenced(5), _referenced(6)],
    "CTDIPhantomTypeCodeSequence": [_code("113691", "IEC Body Dosimetry Phantom")],
    "AnatomicRegionSequence": [_code("818983003", "Abdomen")],
    "IssuerOfAccessionNumberSequence": [{"LocalNamespaceEntityID": "GENHOSP"}],
    "RequestAttributesSequence": [
        {
            "RequestedProcedureID": "RP-7",
            "ScheduledProcedureStepID": "SPS-7",
            "ScheduledProcedureStepDescription": "Abdomen routine",
            "ScheduledProtocolCodeSequence": [_code("CTABD", "Abdomen protocol")],
        }
    ],
    **_private(0x0019, "ACME CT VA0 COAD", 40),
    **_private(0x0021, "ACME MED", 25),
    **_private(0x0029, "ACME CSA HEADER", 15),
    **_private(0x0043, "ACME PARM_01", 25),
}
