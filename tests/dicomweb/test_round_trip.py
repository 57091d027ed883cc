"""Real files go in by STOW-RS and come back bit for bit; everything about them can be asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests import samples
from tests.dicomweb.multiparts import ROOT, split
from vna.dicom.envelope import read_envelope

pytestmark = pytest.mark.slow

FILES = (*samples.pydicom_files(), *samples.corpus_files())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_real_file(client: FlaskClient, path: Path) -> None:
    file = path.read_bytes()
    stored = client.post(f"{ROOT}/studies", data=file, content_type="application/dicom")
    if stored.status_code == 409:
        ((_, sequence),) = stored.get_json().items()
        (reason,) = sequence["Value"][0]["00000902"]["Value"]
        print(f"refused: {path.name}: {reason}")
        assert client.get(f"{ROOT}/instances").get_json() == []
        return
    assert stored.status_code in {200, 202}, stored.text
    (item,) = stored.get_json()["00081199"]["Value"]
    url = item["00081190"]["Value"][0]

    response = client.get(url)
    assert response.status_code == 200, response.text
    (part,) = split(response.data, response.headers["Content-Type"])
    envelope = read_envelope(file)
    assert part.data.endswith(file[envelope.dataset_offset :])
    is_true = f"transfer-syntax={envelope.transfer_syntax_uid}" in part.headers["content-type"]
    assert part.data == file or file[128:132] != b"DICM" or not is_true

    (record,) = client.get(f"{ROOT}/instances?includefield=all").get_json()
    assert record["00080018"]["Value"] == item["00081155"]["Value"]
    (dataset,) = client.get(f"{url}/metadata").get_json(force=True)
    pixels = dataset.get("7FE00010", {}).get("BulkDataURI")
    if pixels:
        assert client.get(pixels).status_code in {200, 404, 406}
    frame = client.get(f"{url}/frames/1")
    assert frame.status_code in {200, 404, 406}, frame.text


def test_there_are_real_files() -> None:
    assert len(FILES) >= 100, "pydicom's files are not found"
