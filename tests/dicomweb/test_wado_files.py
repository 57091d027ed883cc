"""Studies that the kernel sends out of files, hashed ahead: whole, or broken off before what is damaged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests import samples
from tests.dicomweb.multiparts import split, stow_body
from tests.dicomweb.servers import Server
from vna.services.ahead import DEPTH

pytestmark = pytest.mark.slow

STUDY = "1.2.3"
COUNT = 3 * DEPTH
ACCEPT = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


@pytest.fixture
def files(server: Server) -> list[bytes]:
    """A study in the order of its instance numbers; large enough to fill every buffer on the way."""
    made = [
        samples.ct(
            study_instance_uid=STUDY,
            series_instance_uid="1.2.3.4",
            sop_instance_uid=f"1.2.3.4.{number}",
            rows=512,
            columns=512,
            InstanceNumber=str(number),
        )
        for number in range(1, COUNT + 1)
    ]
    body, content_type = stow_body(*made)
    response = requests.post(
        f"{server.url}/studies", data=body, headers={"Content-Type": content_type}, timeout=60
    )
    assert response.status_code == 200
    return made


def retrieved(server: Server) -> list[bytes]:
    response = requests.get(f"{server.url}/studies/{STUDY}", headers=ACCEPT, timeout=60)
    assert response.status_code == 200
    return [part.data for part in split(response.content, response.headers["Content-Type"])]


def test_several_clients_at_once_get_every_byte_in_order(
    server: Server, files: list[bytes]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: retrieved(server), range(6)):
            assert found == files


def test_nothing_of_a_damaged_instance_or_behind_it_is_sent(
    server: Server, files: list[bytes]
) -> None:
    place = 2 * DEPTH
    (path,) = [path for path in server.stored_files() if path.read_bytes() == files[place]]
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(-2, 2)
        file.write(b"\xaa\x55")
    with requests.get(
        f"{server.url}/studies/{STUDY}", headers=ACCEPT, timeout=60, stream=True
    ) as response:
        received = bytearray()
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            for chunk in response.iter_content(None):
                received += chunk
    assert all(
        file in received for file in files[: place - 1]
    )  # the end of the next one may be held
    assert f"/instances/1.2.3.4.{place + 1}\r\n".encode() not in received
    assert received.count(b"DICM") <= place


def test_a_client_that_leaves_leaves_no_file_open(server: Server, files: list[bytes]) -> None:
    for _ in range(3):
        with server.connect() as connection:
            request = f"GET /dicom-web/studies/{STUDY} HTTP/1.1\r\nHost: a\r\n\r\n"
            connection.sendall(request.encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    assert (
        retrieved(server) == files
    )  # the thread that hashes ahead was given back, or this one waited for none
    for _ in range(100):
        if not open_objects(server):
            break
        requests.get(server.url.replace("/dicom-web", "/readyz"), timeout=60)
    assert open_objects(server) == []


def open_objects(server: Server) -> list[str]:
    """Objects that the workers have open."""
    pid = server.process.pid
    workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    links = []
    for worker in workers:
        for link in Path(f"/proc/{worker}/fd").iterdir():
            try:
                links.append(str(link.readlink()))
            except FileNotFoundError:
                continue
    return [link for link in links if link.endswith(".dcm")]
