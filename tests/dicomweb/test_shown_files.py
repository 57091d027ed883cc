"""Real files at the viewer's doors: everything that is stored is shown, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from pydicom import dcmread
from pydicom.encaps import generate_fragments

from tests.dicomweb.multiparts import ROOT, problem, stow_body
from tests.dicomweb.test_rendered import picture
from tests.real_images import storable_files

FILES = storable_files()


def stored_path(client: FlaskClient, path: Path) -> str:
    """The path of the instance behind the root."""
    data, content_type = stow_body(path.read_bytes())
    response = client.post(f"{ROOT}/studies", data=data, content_type=content_type, buffered=True)
    (item,) = response.get_json(force=True)["00081199"]["Value"]
    url = str(item["00081190"]["Value"][0])
    return url[url.index(ROOT) :]


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_real_file(client: FlaskClient, path: Path) -> None:
    instance = stored_path(client, path)
    rendered = client.get(f"{instance}/rendered")
    if rendered.status_code != 200:
        problem(rendered, 406)
    elif str(rendered.mimetype).startswith("image/"):
        assert min(picture(rendered.data).size) > 0
    thumbnail = client.get(f"{instance}/thumbnail?viewport=64,64")
    assert (thumbnail.status_code, thumbnail.mimetype) == (200, "image/jpeg")
    assert max(picture(thumbnail.data).size) <= 64


DOCUMENTS = [path for path in FILES if path.parent.name in {"DOC", "M3D"}]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_real_document_is_as_it_was(client: FlaskClient, path: Path) -> None:
    real = dcmread(path)
    response = client.get(f"{stored_path(client, path)}/rendered")
    assert response.status_code == 200
    document = real.EncapsulatedDocument or b""
    length = real.get("EncapsulatedDocumentLength") or len(document)
    assert response.data == document[:length]
    assert response.mimetype == real.MIMETypeOfEncapsulatedDocument.lower()


VIDEOS = [path for path in FILES if path.parent.name == "ES"]


@pytest.mark.parametrize("path", VIDEOS, ids=lambda path: path.name)
def test_a_real_video_is_as_it_was(client: FlaskClient, path: Path) -> None:
    real = dcmread(path)
    response = client.get(f"{stored_path(client, path)}/rendered", headers={"Range": "bytes=0-99"})
    assert response.status_code == 206
    assert response.data == b"".join(generate_fragments(real.PixelData))[:100]
