"""The objects that the comparison sends: sizes as from a CT, an X-ray, a mammography, an ultrasound device."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import date, timedelta

from tests import samples
from tests.benchmarks.raw_client import file_meta_length, numbered_uid

CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
MG_IMAGE = "1.2.840.10008.5.1.4.1.1.1.2"
US_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"
STUDIES_A_WEEK = 11.5
"""What a search for a week finds, on average."""

_FIRST_DAY = date(1930, 1, 1)
_ANY_DATE = "18581117"
FIELDS = (numbered_uid(0), numbered_uid(0, 2), numbered_uid(0, 3), "BENCH-00000000", _ANY_DATE)
"""What differs between instances: instance, study and series UID, PatientID, StudyDate."""
_ELEMENTS: samples.Elements = {
    "SOPClassUID": samples.CT_IMAGE,
    "SOPInstanceUID": FIELDS[0],
    "StudyInstanceUID": FIELDS[1],
    "SeriesInstanceUID": FIELDS[2],
    "PatientID": FIELDS[3],
    "PatientName": "Bench^Patient",
    "PatientBirthDate": "19700101",
    "PatientSex": "O",
    "StudyDate": FIELDS[4],
    "StudyTime": "101500",
    "StudyID": "1",
    "StudyDescription": "CT Abdomen",
    "AccessionNumber": "A1",
    "ReferringPhysicianName": "Roe^Richard",
    "Modality": "CT",
    "SeriesNumber": "1",
    "SeriesDescription": "Abdomen 1.5",
    "InstanceNumber": "1",
}


@dataclass(frozen=True, slots=True)
class BenchObject:
    """A dataset that holds FIELDS, and its SOP class."""

    title: str
    dataset: bytes
    sop_class_uid: str


def patient_id(number: int) -> str:
    """A PatientID of fixed length."""
    return f"BENCH-{number:08d}"


def image(
    title: str, sop_class_uid: str, rows: int, columns: int, **overrides: object
) -> BenchObject:
    """An image with the 250 elements of a CT; 16 bits a pixel, or what `overrides` say."""
    file = samples.ct(
        sop_instance_uid=FIELDS[0],
        study_instance_uid=FIELDS[1],
        series_instance_uid=FIELDS[2],
        patient_id=FIELDS[3],
        rows=rows,
        columns=columns,
        SOPClassUID=sop_class_uid,
        StudyDate=FIELDS[4],
        **overrides,  # type: ignore[arg-type]
    )
    return BenchObject(title, file[file_meta_length(file) :], sop_class_uid)


def ultrasound() -> BenchObject:
    """60 colour frames of 640 x 480."""
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    return _clip("US 55 MB", 60, (480, 640), 3, **colour)


def many_frames() -> BenchObject:
    """500 grey frames of 256 x 512, 64 MB."""
    return _clip("500 frames", 500, (256, 512), 1)


def _clip(
    title: str, frames: int, shape: tuple[int, int], samples_per_pixel: int, **elements: object
) -> BenchObject:
    """A multi-frame image of 8 bits a sample; `shape`: rows and columns."""
    changed: dict[str, object] = {
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "NumberOfFrames": str(frames),
        "Modality": "US",
    }
    rows, columns = shape
    still = image(title, US_MULTIFRAME, rows, columns, **changed | elements)
    mark = b"\xe0\x7f\x10\x00OW\0\0"
    header = still.dataset[: still.dataset.rindex(mark)]
    pixels = bytes(range(256)) * (frames * shape[0] * shape[1] * samples_per_pixel // 256)
    data = header + b"\xe0\x7f\x10\x00OB\0\0" + struct.pack("<I", len(pixels)) + pixels
    return BenchObject(title, data, US_MULTIFRAME)


def ct() -> BenchObject:
    """512 x 512, 512 KiB."""
    return image("CT 512 KiB", samples.CT_IMAGE, 512, 512)


def small() -> BenchObject:
    """32 x 32 pixels and what an image needs besides, about 2.7 KiB."""
    elements = {**_ELEMENTS, **samples.image(32, 32, bits=16), "PixelData": bytes(2048)}
    return BenchObject("3 KiB objects", samples.dataset(elements), samples.CT_IMAGE)


def large() -> tuple[BenchObject, ...]:
    """Single images of 7.5, 17 and 55 MB."""
    return (
        image("CR 7.5 MB", CR_IMAGE, 1960, 1913, Modality="CR"),
        image("MG 17 MB", MG_IMAGE, 3328, 2560, Modality="MG"),
        ultrasound(),
    )


def tiny() -> BenchObject:
    """An object without pixels, of which an index of many studies is made."""
    return BenchObject("tiny", samples.dataset(_ELEMENTS), samples.CT_IMAGE)


def study_values(number: int, studies: int) -> tuple[str, ...]:
    """FIELDS of study `number` of so many: one instance each, two studies a patient, dates spread over the weeks."""
    return (
        numbered_uid(number),
        numbered_uid(number, 2),
        numbered_uid(number, 3),
        patient_id(number // 2),
        day_of(number, studies),
    )


def weeks_of(studies: int) -> int:
    """How many weeks so many studies fill."""
    return max(1, round(studies / STUDIES_A_WEEK))


def day_of(number: int, studies: int) -> str:
    """The StudyDate of a study: neighbours in number lie far apart in time."""
    return day_after(_FIRST_DAY, number * 7919 % (7 * weeks_of(studies)))


def day_after(first: date, days: int) -> str:
    """A date as DA has it, so many days after the first."""
    return f"{first + timedelta(days=days):%Y%m%d}"


def week(number: int, studies: int) -> str:
    """A range of dates, seven days long."""
    start = 7 * (number * 13 % weeks_of(studies))
    return f"{day_after(_FIRST_DAY, start)}-{day_after(_FIRST_DAY, start + 6)}"
