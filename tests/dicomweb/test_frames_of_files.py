"""Frames of real files through HTTP: uncompressed, the pixels are those that pydicom gives."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from flask.testing import FlaskClient
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from tests import samples
from tests.dicomweb.conftest import Archive
from tests.dicomweb.multiparts import ROOT
from tests.unit.dicom.test_pixels import UNDECODABLE
from vna.errors import InvalidInstance
from vna.model.identifiers import Origin
from vna.spool import Spool

pytestmark = pytest.mark.slow

LARGEST = 4_000_000
EXPLICIT = f"application/octet-stream; transfer-syntax={samples.EXPLICIT}"


def images() -> list[Path]:
    paths = (*samples.pydicom_files(), *samples.corpus_files())
    return [p for p in paths if p.stat().st_size <= LARGEST and p.name not in UNDECODABLE]


def as_pydicom_gives(dataset: Dataset, index: int) -> list[bytes]:
    """The frame as bytes: in its own colour space or as RGB, by pixel or by plane."""
    found = []
    if "422" in dataset.PhotometricInterpretation and not _syntax(dataset).is_compressed:
        size = dataset.Rows * dataset.Columns * 2  # pydicom would double the colours
        return [dataset.PixelData[index * size : (index + 1) * size]]
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


def _syntax(dataset: Dataset) -> UID:
    return UID(dataset.file_meta.TransferSyntaxUID)


def stored(archive: Archive, path: Path) -> str:
    """Its URL."""
    spool: Spool = archive.store.spool
    with spool.open() as writer:
        writer.write(path.read_bytes())
        with writer.finish() as spooled:
            uids = archive.store.store(spooled, Origin("web")).uids
    study, series, instance = (
        quote(uid, safe="")
        for uid in (uids.study_instance_uid, uids.series_instance_uid, uids.sop_instance_uid)
    )
    return f"{ROOT}/studies/{study}/series/{series}/instances/{instance}"


@pytest.mark.parametrize("path", images(), ids=lambda path: path.name)
@pytest.mark.filterwarnings("ignore")
def test_frames_are_what_pydicom_gives(archive: Archive, client: FlaskClient, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(io.BytesIO(path.read_bytes()), force=True)
        try:
            count = int(dataset.get("NumberOfFrames", 1) or 1)
            expected = {n: as_pydicom_gives(dataset, n - 1) for n in {1, count}}
        except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError, RuntimeError):
            pytest.skip("pydicom gives none")
    try:
        url = stored(archive, path)
    except InvalidInstance:
        pytest.skip("no instance")
    for number, given in expected.items():
        response = client.get(f"{url}/frames/{number}", headers={"Accept": EXPLICIT})
        assert response.status_code == 200, response.text
        assert response.data in given
