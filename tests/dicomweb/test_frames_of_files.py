"""Real images through HTTP, as frames and rendered: the pixels are those that pydicom gives."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from flask.testing import FlaskClient
from pydicom import dcmread

from tests import samples
from tests.dicomweb.conftest import Archive
from tests.dicomweb.multiparts import ROOT
from tests.dicomweb.test_rendered import picture
from tests.real_images import expected_frame, image_files, is_expected, tolerance
from tests.unit.dicom.rendering.expected import check_image
from vna.model.identifiers import Origin
from vna.spool import Spool

pytestmark = pytest.mark.slow

EXPLICIT = f"application/octet-stream; transfer-syntax={samples.EXPLICIT}"


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


@pytest.mark.parametrize("path", image_files(), ids=lambda path: path.name)
@pytest.mark.filterwarnings("ignore")
def test_frames_are_what_others_decode(archive: Archive, client: FlaskClient, path: Path) -> None:
    header = dcmread(path, force=True, stop_before_pixels=True)
    url = stored(archive, path)
    for number in {1, int(header.get("NumberOfFrames") or 1)}:
        response = client.get(f"{url}/frames/{number}", headers={"Accept": EXPLICIT})
        assert response.status_code == 200, response.text
        data = path.read_bytes()
        assert is_expected(response.data, expected_frame(data, number - 1), tolerance(data))


@pytest.mark.parametrize("path", image_files(), ids=lambda path: path.name)
@pytest.mark.filterwarnings("ignore")
def test_they_are_rendered_as_others_transform_them(
    archive: Archive, client: FlaskClient, path: Path
) -> None:
    response = client.get(f"{stored(archive, path)}/rendered", headers={"Accept": "image/png"})
    assert response.status_code == 200, response.text
    check_image(path.read_bytes(), np.asarray(picture(response.data)))
