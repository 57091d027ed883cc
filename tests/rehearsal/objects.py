"""The instances that silos are filled with: ordinary ones, and those that old archives are feared for."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import imagecodecs
import numpy as np
from pydicom.pixels.encoders.base import RLELosslessEncoder

from tests import samples
from tests.samples import Typed
from vna.model.identifiers import InstanceUids

ROOT = "2.999.1776"
"""The arc of examples."""
EVERYWHERE = 0
"""The number of a silo in the UIDs of what several silos have."""
PRIVATE_CLASS, PRIVATE_SYNTAX = f"{ROOT}.9.1", f"{ROOT}.9.2"
SHARED_PATIENT = "4711"
"""Two domains gave this number to different people."""
_SIDE = 32
_KINDS = ("CT", "MR", "CR", "US", "MG", "XA")
_FORM: dict[str, Any] = {"rows": _SIDE, "columns": _SIDE}
_CODESTREAM = b"\xff\x4f\xff\x51"
"""How one of JPEG 2000 begins: SOC and SIZ."""
_FRAME: dict[str, Any] = {
    "rows": _SIDE, "columns": _SIDE, "samples_per_pixel": 1, "number_of_frames": 1, "bits_allocated": 8,
    "bits_stored": 8, "pixel_representation": 0, "photometric_interpretation": "MONOCHROME2",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placed:
    """An object that a silo is given. `oddity` says what is odd about it.

    `reasons`: with which the ledger has to list it as an exception; without any it has to be verified. `becomes`: what
    the silo has in its place after it has told of it, b"" for nothing. `twin`: of those that share this name only
    one, the second to come, is an exception.
    """

    uids: InstanceUids
    data: bytes
    oddity: str = ""
    reasons: frozenset[str] = frozenset()
    becomes: bytes | None = None
    twin: str = ""

    @property
    def is_shared(self) -> bool:
        """Whether another silo has it as well, perhaps under another file meta: the first to come is kept."""
        return self.uids.study_instance_uid.startswith(f"{ROOT}.{EVERYWHERE}.")

    def at_fault(self, oddity: str, *reasons: str, becomes: bytes | None = None) -> Placed:
        """The same object, expected among the exceptions."""
        return replace(self, oddity=oddity, reasons=frozenset(reasons), becomes=becomes)


class Maker:
    """Makes the studies of one silo; the same ones each time."""

    def __init__(self, silo: int, domain: str) -> None:
        self._silo, self._domain = silo, domain
        self._chance = random.Random(silo)
        self._studies = 0

    def uids(self, study: int, series: int, image: int, silo: int | None = None) -> InstanceUids:
        """The UIDs of an instance, of this silo or of another one."""
        above = f"{ROOT}.{self._silo if silo is None else silo}.{study}"
        return InstanceUids(above, f"{above}.{series}", f"{above}.{series}.{image}")

    def ordinary(self, studies: int, series: int, images: int) -> Iterator[Placed]:
        """Studies of several modalities, each of a patient, a day and an order of its own."""
        for _ in range(studies):
            self._studies += 1
            number = self._studies
            common = self._study(number)
            for one in range(1, series + 1):
                for image in range(1, images + 1):
                    uids = self.uids(number, one, image)
                    yield Placed(uids, self.image(uids, SeriesNumber=one, **common))

    def study(self, images: int, oddity: str = "", **others: Any) -> list[Placed]:
        """A study of one series, whose elements are as `others` say."""
        self._studies += 1
        common = self._study(self._studies) | others
        all_uids = [self.uids(self._studies, 1, number) for number in range(1, images + 1)]
        return [Placed(uids, self.image(uids, **common), oddity) for uids in all_uids]

    def image(self, uids: InstanceUids, syntax: str = samples.EXPLICIT, **others: Any) -> bytes:
        """An image whose pixels no other one has."""
        number = int(uids.sop_instance_uid.rpartition(".")[2])
        pixels = self._chance.randbytes(2 * _SIDE * _SIDE)
        elements = {"InstanceNumber": number, **others}
        if syntax == samples.DEFLATED:
            image = {**samples.image(_SIDE, _SIDE, bits=16), "PixelData": Typed("OW", pixels)}
            own = {**_dataset(uids), "SOPClassUID": samples.CT_IMAGE, **elements}
            return samples.part10({**image, **own}, syntax)
        data = samples.ct(transfer_syntax_uid=syntax, **_FORM, **_names(uids), **elements)
        return data[: -len(pixels)] + pixels

    def compressed(self, uids: InstanceUids, syntax: str, **others: Any) -> bytes:
        """An image of 8 bits in an encapsulated syntax."""
        bytes_ = self._chance.randbytes(_SIDE * _SIDE)
        pixels = np.frombuffer(bytes_, np.uint8).reshape(_SIDE, _SIDE)
        frame = encoded(pixels, syntax)
        elements = {**samples.image(_SIDE, _SIDE), **_dataset(uids), **others}
        return samples.encapsulated([[frame]], transfer_syntax_uid=syntax, **elements)

    def report(self, uids: InstanceUids, sop_class_uid: str, **others: Any) -> bytes:
        """An object without pixels."""
        elements = {**self._study(1), **_dataset(uids), "SOPClassUID": sop_class_uid, **others}
        return samples.small(**elements)

    def common(self) -> dict[str, Any]:
        """What the instances of the newest study have in common."""
        return self._study(self._studies)

    def new_study(self) -> int:
        """The number of one more study."""
        self._studies += 1
        return self._studies

    def _study(self, number: int) -> dict[str, Any]:
        return {
            "PatientID": f"{self._domain}-{number:03}",
            "PatientName": f"Person^{self._domain} {number}",
            "StudyDate": f"{2001 + number % 20}{1 + number % 12:02}{1 + number % 28:02}",
            "StudyTime": f"{number % 24:02}1500",
            "AccessionNumber": f"{self._domain}{number:05}",
            "StudyDescription": f"Study {number}",
            "Modality": _KINDS[number % len(_KINDS)],
        }


def encoded(pixels: np.ndarray[Any, np.dtype[np.uint8]], syntax: str) -> bytes:
    """A frame in one of the encapsulated syntaxes, of even length."""
    data: bytes | bytearray
    if syntax == samples.RLE:
        data = RLELosslessEncoder.encode(pixels.tobytes(), **_FRAME)
    elif syntax == samples.JPEG_BASELINE:
        data = imagecodecs.jpeg8_encode(pixels, level=95)
    elif syntax == samples.JPEG_LS:
        data = imagecodecs.jpegls_encode(pixels)
    elif syntax == samples.JPEG_2000:
        data = imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="j2k")
    else:
        data = b"what no decoder knows"
    return bytes(data) + bytes(len(data) % 2)


def with_other_pixels(data: bytes) -> bytes:
    """The same header with other pixels behind it."""
    return data[:-64] + bytes(255 - byte for byte in data[-64:])


def damaged(data: bytes) -> bytes:
    """The same object whose JPEG 2000 frame nobody can decode; its length stays."""
    start = data.rindex(_CODESTREAM) + len(_CODESTREAM)
    return data[:start] + bytes(200) + data[start + 200 :]


def _names(uids: InstanceUids) -> dict[str, Any]:
    return {
        "study_instance_uid": uids.study_instance_uid,
        "series_instance_uid": uids.series_instance_uid,
        "sop_instance_uid": uids.sop_instance_uid,
    }


def _dataset(uids: InstanceUids) -> dict[str, str]:
    return {
        "StudyInstanceUID": uids.study_instance_uid,
        "SeriesInstanceUID": uids.series_instance_uid,
        "SOPInstanceUID": uids.sop_instance_uid,
    }
