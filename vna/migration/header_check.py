"""Where the header of an instance contradicts what the source told of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vna.dicom.header import Header
from vna.dicom.syntaxes import JPEG_LOSSY
from vna.model.campaign import Reason
from vna.model.migration import FoundInstance, FoundStudy
from vna.model.query import JsonElement

_JPEG = "1.2.840.10008.1.2.4."
LOSSY = JPEG_LOSSY | {_JPEG + end for end in ("81", "91", "93", "203", "101", "102", "103", "112")}
"""Transfer syntaxes in which an image may have lost something."""

_PATIENT_ID, _ISSUER = "00100020", "00100021"
_DATE, _TIME, _ACCESSION = "00080020", "00080030", "00080050"


def compare(
    study: FoundStudy, found: FoundInstance, header: Header, allowed: Sequence[str]
) -> tuple[Reason, str] | None:
    """The gravest contradiction that is not `allowed`, with the keywords it is about; None without any.

    What the source does not tell contradicts nothing. Values are not repeated: they may be a patient's.
    """
    for reason, keywords in (
        (Reason.UIDS_DIFFER, _uids(study, found, header)),
        (Reason.CLASS_DIFFERS, _class(found, header)),
        (Reason.FRAMES_DIFFER, _frames(found, header)),
        (Reason.HEADER_DIFFERS, _values(study, header)),
    ):
        left = [keyword for keyword in keywords if keyword not in allowed]
        if left:
            return reason, ", ".join(left)
    if _is_lossy_now(found.transfer_syntax_uid, header.transfer_syntax_uid):
        return Reason.LOSSY, f"{found.transfer_syntax_uid} became {header.transfer_syntax_uid}"
    return None


def _uids(study: FoundStudy, found: FoundInstance, header: Header) -> Iterator[str]:
    if header.uids.study_instance_uid != study.study_instance_uid:
        yield "StudyInstanceUID"
    told = found.uids.series_instance_uid
    if told and header.uids.series_instance_uid != told:
        yield "SeriesInstanceUID"


def _class(found: FoundInstance, header: Header) -> Iterator[str]:
    if found.sop_class_uid and header.sop_class_uid != found.sop_class_uid:
        yield "SOPClassUID"


def _frames(found: FoundInstance, header: Header) -> Iterator[str]:
    """A single frame may go without saying: 0 and 1 are alike."""
    told = found.number_of_frames
    if told is not None and max(told, 1) != max(header.number_of_frames, 1):
        yield "NumberOfFrames"


def _values(study: FoundStudy, header: Header) -> Iterator[str]:
    patient, own = header.attributes.patient, header.attributes.study
    for keyword, told, held in (
        ("PatientID", study.patient_id, _text(patient, _PATIENT_ID)),
        ("IssuerOfPatientID", study.issuer_of_patient_id, _text(patient, _ISSUER)),
        ("AccessionNumber", study.accession_number, _text(own, _ACCESSION)),
        ("StudyDate", study.study_date.replace(".", ""), _text(own, _DATE).replace(".", "")),
    ):
        if told.strip() and told.strip() != held:
            yield keyword
    if not _is_same_time(_time(study.study_time), _time(_text(own, _TIME))):
        yield "StudyTime"


def _is_same_time(told: str, held: str) -> bool:
    """Times are told more or less exactly."""
    return not told or (bool(held) and (told.startswith(held) or held.startswith(told)))


def _time(text: str) -> str:
    """Hours, minutes and seconds."""
    return text.strip().replace(":", "").partition(".")[0]


def _text(attributes: dict[str, JsonElement], tag: str) -> str:
    values = attributes.get(tag, {}).get("Value")
    return str(values[0]).strip() if isinstance(values, list) and values else ""


def _is_lossy_now(told: str, now: str) -> bool:
    return bool(told) and told != now and now in LOSSY
