"""Clients that close their connection while a whole archive works for them: each kind of work ends there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest

from tests import samples
from tests.dicomweb.bad_bodies import DICOM, part
from tests.dicomweb.hostile import STUDIES, Client, spooled
from tests.e2e.process import ArchiveProcess, running_archive

pytestmark = pytest.mark.slow

STUDY, SERIES, FILM = "1.2.3", "1.2.3.1", "1.2.3.2"
WADO = "/dicom-web/wado?requestType=WADO&contentType=video/mp4"
FRAMES, ROWS, COLUMNS = 480, 256, 512
IMAGES = 24
MIB = 2**20


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    environment = {"VNA__WEB__WORKERS": "1", "VNA__LOG__LEVEL": "warning"}
    with running_archive(tmp_path_factory.mktemp("gone") / "data", environment) as process:
        store = Client(process).store
        assert store(part(film())).status == 200
        for _ in range(IMAGES):
            image = samples.ct(study_instance_uid="1.2.4", rows=1024, columns=1024)
            assert store(part(image)).status == 200
        yield process


@pytest.fixture
def client(archive: ArchiveProcess) -> Client:
    return Client(archive)


def film() -> bytes:
    """A minute of a grey cine loop."""
    elements = samples.identity(
        SOPClassUID=samples.MULTIFRAME_CAPTURE,
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=SERIES,
        SOPInstanceUID=FILM,
    )
    elements |= samples.image(ROWS, COLUMNS, bits=8)
    elements |= {"NumberOfFrames": str(FRAMES), "CineRate": "8"}
    pixels = bytes(range(256)) * (FRAMES * ROWS * COLUMNS // 256)
    return samples.part10(elements | {"PixelData": samples.Typed("OB", pixels)})


def metric(client: Client, pattern: str) -> float:
    """The sum of the samples whose name and labels fit."""
    lines = client.get("/metrics").body.decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(pattern, line))


def until(is_so: Callable[[], bool]) -> bool:
    """Whether it becomes so; what happens in another process can't be waited for otherwise."""
    deadline = time.monotonic() + 60
    while not (found := is_so()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def unanswered(client: Client) -> float:
    """Requests whose client had gone before their answer."""
    return metric(client, r'vna_http_seconds_count\{.*status="499"')


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (f"{STUDIES}/{STUDY}/series/{SERIES}/instances/{FILM}/rendered", "video/mp4"),
        (f"{STUDIES}/{STUDY}/series/{SERIES}/instances/{FILM}/rendered", "image/gif"),
        (f"{WADO}&studyUID={STUDY}&seriesUID={SERIES}&objectUID={FILM}", "*/*"),
    ],
    ids=["film", "gif", "wado"],
)
def test_nothing_is_drawn_for_nobody(client: Client, path: str, accept: str) -> None:
    gone, drawn = unanswered(client), metric(client, "vna_rendered_images_total")
    with client.connect() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n\r\n".encode())
        assert until(lambda: metric(client, r"vna_decoders") > 0)
    assert until(lambda: unanswered(client) == gone + 1)
    assert metric(client, "vna_rendered_images_total") == drawn


@pytest.mark.parametrize(
    "accept",
    [
        f'multipart/related; type="{DICOM}"; transfer-syntax=*',
        "application/zip",
        f'multipart/related; type="{DICOM}"; transfer-syntax={samples.RLE}',
    ],
    ids=["as stored", "zip", "converted"],
)
def test_nothing_is_sent_to_nobody(client: Client, accept: str) -> None:
    def read() -> float:
        return metric(client, r'vna_storage_bytes_total\{.*operation="read"')

    before = read()
    request = f"GET {STUDIES}/1.2.4 HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n\r\n"
    for _ in range(3):
        with client.connect() as connection:
            connection.sendall(request.encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")
    ended = r'vna_http_seconds_count\{.*route="/dicom-web/studies/<study>",status="200"'
    assert until(lambda: metric(client, ended) % 3 == 0)
    assert read() - before < 2 * IMAGES * 2 * MIB


def test_an_upload_that_ends_early_leaves_nothing(client: Client) -> None:
    uid = samples.new_uid()
    body = part(samples.ct(sop_instance_uid=uid, rows=1024, columns=1024))
    head = f"POST {STUDIES} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
    with client.connect() as connection:
        connection.sendall(f'{head}Content-Type: multipart/related; boundary="B"\r\n\r\n'.encode())
        connection.sendall(body[:MIB])
    assert until(lambda: spooled(client.archive) == [])
    assert client.get(f"/dicom-web/instances?SOPInstanceUID={uid}").body == b"[]"
