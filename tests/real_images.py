"""Real files that hold an image, and what others than the archive say its pixels are."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import warnings
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, ExplicitVRLittleEndian

from tests import samples
from vna.dicom.syntaxes import JPEG_LOSSY

UNDECODABLE = frozenset(
    {
        "JPEG2000-embedded-sequence-delimiter.dcm",
        "fo-dicom__genFile__d0a8cb30.dcm",
        "made__video_hevc_mp51__56d37921.dcm",
        "nibabel__0_DeflatedExplicitVRLittleEndian__0fe87bb8.dcm",
        "orthanc-jxl__test_ct1_jxl__42c415b6.dcm",
    }
)
"""No decoder of ours or of others reads these: video, JPEG XL, and faulty codestreams."""

INDESCRIBABLE = frozenset(
    {
        "MR_truncated.dcm",
        "OT-PAL-8-face.dcm",
        "badVR.dcm",
        "dcm4che__3gb-bulk-data-truncated__a8bcadf5.dcm",
        "dicom-test-files__badVR__d12583df.dcm",
        "dicomweb-conformance-t__test_synthetic__ca03a1e8.dcm",
        "fo-dicom__GH340__57e48e85.dcm",
        "pydicom__ambiguous_vr__cba67be0.dcm",
        "pymedphys__RD.DICOMORIENT.Dose_FFS_empty__4fdb485a.dcm",
        "pymedphys__RD.DICOMORIENT.Dose_HFDL_empty__a7b5d6ad.dcm",
    }
)
"""Of these pydicom gives no pixels, since their headers lack or contradict something, or pixels are missing."""

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_DIRECTORY = "1.2.840.10008.1.3.10"
_DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_BY_DCMTK = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in (51, 53, 55))
"""JPEG of 12 bits, and processes that are retired."""
_DCMDJPEG = "/usr/bin/dcmdjpeg"


@lru_cache(maxsize=1)
def storable_files() -> tuple[Path, ...]:
    """All of pydicom's files and of the corpus that name an instance."""
    paths = (*samples.pydicom_files(), *samples.corpus_files())
    return tuple(path for path in paths if _names_an_instance(path))


@lru_cache(maxsize=1)
def image_files() -> tuple[Path, ...]:
    """Those of them that hold an image that somebody can decode."""
    unreadable = UNDECODABLE | INDESCRIBABLE
    return tuple(p for p in storable_files() if p.name not in unreadable and _has_pixels(p))


def _names_an_instance(path: Path) -> bool:
    found = _values(path, "SOPClassUID", "SOPInstanceUID")
    return "SOPInstanceUID" in found and found.get("SOPClassUID") != _DIRECTORY


def _has_pixels(path: Path) -> bool:
    found = _values(path, "Rows", *_PIXELS)
    return "Rows" in found and len(found) > 1


def _values(path: Path, *keywords: str) -> dict[str, object]:
    """Those of these elements that a file has, and whose value is not empty."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dcmread(path, force=True, specific_tags=list(keywords))
        values = {keyword: found.get(keyword) for keyword in keywords}
        return {keyword: value for keyword, value in values.items() if value}


def decodable(data: bytes) -> Dataset:
    """The file `data` as pydicom can decode it: some compressions are undone by others before.

    Skips the test when that takes DCMTK, which is not there.
    """
    dataset = dcmread(io.BytesIO(data), force=True)
    uid = dataset.file_meta.TransferSyntaxUID
    if uid == _DEFLATED_FRAMES:
        frames = generate_frames(dataset.PixelData, number_of_frames=dataset.NumberOfFrames)
        inflated = [zlib.decompressobj(-15).decompress(frame) for frame in frames]
        dataset.PixelData = b"".join(inflated)
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if uid in _BY_DCMTK and dataset.BitsStored > 8:
        return _by_dcmtk(data)
    return dataset


def _by_dcmtk(data: bytes) -> Dataset:
    if shutil.which(_DCMDJPEG) is None:
        pytest.skip("DCMTK is not installed")
    with tempfile.TemporaryDirectory() as folder:
        stored, made = Path(folder) / "stored.dcm", Path(folder) / "made.dcm"
        stored.write_bytes(data)
        subprocess.run([_DCMDJPEG, stored, made], check=True, capture_output=True)
        return dcmread(io.BytesIO(made.read_bytes()))


def expected_frame(data: bytes, index: int) -> list[bytes]:
    """Frame `index` (from 0) of the file `data` as bytes, in each form that is right: in its own colour
    space or as RGB, by pixel or by plane, unused bits as they are or not.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = decodable(data)
        is_native = not UID(dataset.file_meta.TransferSyntaxUID).is_compressed
        if is_native and "422" in dataset.PhotometricInterpretation:
            size = dataset.Rows * dataset.Columns * 2  # pydicom would double the colours
            return [dataset.PixelData[index * size : (index + 1) * size]]
        return _forms(dataset, index)


def _forms(dataset: Dataset, index: int) -> list[bytes]:
    found = []
    for raw, corrected in ((True, True), (False, True), (True, False)):
        array = pixel_array(dataset, index=index, raw=raw, correct_unused_bits=corrected)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if dataset.BitsAllocated == 1:
            found.append(np.packbits(array.ravel(), bitorder="little").tobytes())
            continue
        found.append(array.tobytes())
        if array.ndim == 3:
            found.append(array.transpose(2, 0, 1).tobytes())
    return found


def tolerance(data: bytes) -> int:
    """How much 8-bit samples may be off: colours of a lossy JPEG may be rounded in another way."""
    uid = dcmread(io.BytesIO(data), force=True, stop_before_pixels=True).file_meta.TransferSyntaxUID
    return int(uid in JPEG_LOSSY)


def is_expected(found: bytes, expected: list[bytes], off: int) -> bool:
    """Whether `found` is one of `expected`, but for a difference of `off` in its bytes."""
    return found in expected or any(
        off and len(found) == len(other) and _difference(found, other) <= off for other in expected
    )


def _difference(found: bytes, expected: bytes) -> int:
    values = [np.frombuffer(data, np.uint8).astype(int) for data in (found, expected)]
    return int(np.abs(values[0] - values[1]).max())
