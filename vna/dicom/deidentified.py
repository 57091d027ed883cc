"""An image without anything that tells whose it is: what is not known to be harmless is left out (PS3.15 E)."""

from __future__ import annotations

import io
import re
import warnings

from blake3 import blake3
from pydicom import DataElement, Dataset, config, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRLittleEndian

from vna.errors import Unsupported, VnaError

VERSION = 2
"""Counts the changes of what becomes of the same image: entity tags hold it."""

METHOD = "all but known harmless attributes left out, UIDs replaced"

_NUMBERS = frozenset({"DS", "IS", "FD", "FL", "US", "SS", "UL", "SL", "SV", "UV", "AT"})
_GROUPS = frozenset(
    {0x0018, 0x0020, 0x0022, 0x0028, 0x0048, 0x0054, 0x0062, 0x2050, 0x3004, 0x5200}
)
"""Where numbers, code strings and sequences say how an image was made and what its pixels mean."""

_KEPT = frozenset(
    {
        *(0x00080005, 0x00080008, 0x00080016, 0x00080060, 0x00080064, 0x00080068, 0x00080070),
        *(0x00081090, 0x00081150, 0x00081160, 0x00082218, 0x00082112, 0x00081140, 0x00089124),
        *(0x00089215, 0x00409096, 0x00409211, 0x00409212, 0x00409214, 0x00409216, 0x00409224),
        *(0x00409225, 0x004008EA, 0x0040A170, 0x00480105, 0x7FE00001, 0x7FE00002, 0x7FE00008),
        *(0x7FE00009, 0x7FE00010),
    }
)
_REPLACED_UIDS = frozenset({0x00080018, 0x0020000D, 0x0020000E, 0x00200052, 0x00081155, 0x00209164})
_CODES = frozenset({0x00080100, 0x00080102, 0x00080104})
_SCHEMES = frozenset({"DCM", "SCT", "SRT", "UCUM", "FMA", "LN", "RADLEX"})
_TABLES = frozenset(
    {0x00281201, 0x00281202, 0x00281203, 0x00281221, 0x00281222, 0x00281223, 0x00283006}
)
_EMPTY = (
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"),
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
)
"""Attributes that have to be there (type 2), and may be empty."""

_TEXTLESS = frozenset(
    {
        *("CT", "MR", "PT", "NM", "CR", "DX", "MG", "IO", "PX", "XA", "RF", "OCT"),
        *("RTDOSE", "RTIMAGE", "SEG"),
    }
)
"""Modalities whose images show a name only where they say so; others have to say that they do not."""

_MADE_ON_SCREEN = frozenset({"SECONDARY", "SCREEN SAVE"})
"""Values of Image Type that dose reports and other pictures of a screen have."""
_CODE_STRING = re.compile(r"[A-Z0-9_ ]{0,16}")
_MAX_DEPTH = 16
_CONTEXT = "vna 2025 UIDs of anonymized images"


def deidentified(file: bytes, secret: bytes) -> bytes:
    """The DICOM file `file`, an image in explicit VR little endian, without its patient.

    `secret` makes other UIDs of the old ones: the same of the same.

    Raises Unsupported for what is no image, and for images that may have a name written into them.
    """
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        try:
            source = dcmread(io.BytesIO(file))
            _check(source)
            key = blake3(secret, derive_key_context=_CONTEXT).digest()
            result = _harmless(source, 0, key)
            _finish(result, source)
            return _written(result)
        except VnaError:
            raise
        except Exception as exc:
            raise Unsupported(f"the object can't be anonymized: {exc}") from exc


def replaced_uid(uid: str, key: bytes) -> str:
    """What stands for `uid` in each object that is anonymized: with the same `key` the same for the same."""
    digest = blake3(uid.encode("ascii", "replace"), key=key).digest(length=16)
    return f"2.25.{int.from_bytes(digest, 'big')}"


def _check(source: Dataset) -> None:
    if not any(tag in source for tag in (0x7FE00008, 0x7FE00009, 0x7FE00010)):
        raise Unsupported("only images can be anonymized: of other objects text is what matters")
    said = _text(source, "BurnedInAnnotation")
    kinds = set(_texts(source, "ImageType"))
    is_textless = _text(source, "Modality") in _TEXTLESS and not kinds & _MADE_ON_SCREEN
    if said == "YES" or (said != "NO" and not is_textless):
        raise Unsupported(
            "the image may have the patient's name written into its pixels: it can't be anonymized"
        )


def _harmless(source: Dataset, depth: int, key: bytes) -> Dataset:
    result = Dataset()
    is_standard = _text(source, "CodingSchemeDesignator") in _SCHEMES
    tags = source.keys()
    for tag in tags:
        if tag in _CODES and is_standard:
            result.add(source[tag])
        elif tag in _REPLACED_UIDS:
            for uid in _texts(source, tag)[:1]:
                result.add_new(tag, "UI", replaced_uid(uid, key))
        elif tag in _KEPT or tag in _TABLES or tag.group in _GROUPS:
            kept = _kept(source[tag], depth, key)
            if kept is not None:
                result.add(kept)
    return result


def _kept(element: DataElement, depth: int, key: bytes) -> DataElement | None:
    tag, vr = element.tag, element.VR
    if vr == "SQ":
        if depth >= _MAX_DEPTH:
            return None
        return DataElement(tag, "SQ", [_harmless(item, depth + 1, key) for item in element.value])
    if not _is_of_standard(tag, vr) or element.value is None:
        return None
    if vr == "CS":
        texts = element.value if element.VM > 1 else [element.value]
        return element if all(map(_CODE_STRING.fullmatch, map(str, texts))) else None
    return element if vr in _NUMBERS or tag in _KEPT or tag in _TABLES else None


def _is_of_standard(tag: BaseTag, vr: str) -> bool:
    """Whether the standard has that element with that VR: nothing private, nothing mislabelled."""
    try:
        return not tag.is_private and vr in dictionary_VR(tag).split(" or ")
    except KeyError:
        return False


def _finish(result: Dataset, source: Dataset) -> None:
    for keyword in _EMPTY:
        setattr(result, keyword, "")
    result.PatientIdentityRemoved = "YES"
    result.DeidentificationMethod = METHOD
    for number, segment in enumerate(result.get("SegmentSequence") or (), start=1):
        segment.SegmentLabel = f"Segment {number}"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = source.SOPClassUID
    meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    result.file_meta = meta


def _written(result: Dataset) -> bytes:
    body = io.BytesIO()
    result.save_as(body, enforce_file_format=True)
    return body.getvalue()


def _texts(source: Dataset, name: str | BaseTag) -> list[str]:
    """The values of an element as text."""
    if name not in source:
        return []
    element = source[name]
    values = element.value if element.VM > 1 else [element.value]
    return [str(value).strip() for value in values if value is not None and value != ""]


def _text(source: Dataset, name: str) -> str:
    return next(iter(_texts(source, name)), "").upper()
