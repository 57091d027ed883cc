"""The JavaScript library dicomweb-client, in a browser, on every transaction that it knows."""

from __future__ import annotations

import base64
import functools
import http.server
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.e2e.process import running_archive
from tests.interop import viewer
from tests.interop.programs import sample
from tests.interop.viewer import Viewer

pytestmark = [viewer.needed(viewer.CLIENT), pytest.mark.slow, pytest.mark.timeout(300)]

FILE = sample("CT_small.dcm")
_PAGE = b'<!doctype html><title>client</title><script src="/dicomweb-client.js"></script>'
_CALL = """
const [root, method, options, done] = arguments;
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer;
const plain = value => {
  if (value instanceof ArrayBuffer) {
    let text = '';
    new Uint8Array(value).forEach(byte => { text += String.fromCharCode(byte); });
    return btoa(text);
  }
  return Array.isArray(value) ? value.map(plain) : value;
};
if (options.datasets) { options.datasets = options.datasets.map(bytes); }
const client = new DICOMwebClient.api.DICOMwebClient({url: root, verbose: false});
try {
  client[method](options).then(
    value => done({value: plain(value)}), error => done({error: String(error.message || error)}));
} catch (error) { done({error: String(error)}); }
"""


class _Site(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(_PAGE)))
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, *_args: object) -> None:
        """Quiet."""


@contextmanager
def _site(folder: Path) -> Iterator[str]:
    handler = functools.partial(_Site, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Client:
    """The library on a page, and the archive that it talks to."""

    page: Viewer
    root: str
    uids: Mapping[str, str]

    def call(self, method: str, **options: object) -> Any:
        """What a call gives, buffers as bytes. Raises AssertionError with its error."""
        script = self.page.driver.execute_async_script
        answer = script(_CALL, self.root, method, options)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["value"]

    def down_to(self, level: int) -> dict[str, str]:
        """The UIDs of study, series and instance, as many as `level`."""
        return dict(list(self.uids.items())[:level])


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = viewer.distribution(viewer.CLIENT)
    assert folder is not None
    place = tmp_path_factory.mktemp("client")
    header = pydicom.dcmread(FILE, stop_before_pixels=True)
    uids = {
        "studyInstanceUID": str(header.StudyInstanceUID),
        "seriesInstanceUID": str(header.SeriesInstanceUID),
        "sopInstanceUID": str(header.SOPInstanceUID),
    }
    with (
        _site(folder) as origin,
        running_archive(place / "data", {"VNA__WEB__CORS_ORIGINS": origin}) as archive,
        viewer.browser(place / "profile", origin) as page,
    ):
        page.open_list()
        client = Client(page, archive.root, uids)
        client.call("storeInstances", datasets=[_text(FILE.read_bytes())])
        yield client


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _pixels() -> bytes:
    return bytes(pydicom.dcmread(FILE).PixelData)


def test_storing_again_is_no_error(client: Client) -> None:
    client.call("storeInstances", datasets=[_text(FILE.read_bytes())], **client.down_to(1))


@pytest.mark.parametrize(
    ("method", "level", "tag"),
    [
        ("searchForStudies", 0, "0020000D"),
        ("searchForSeries", 1, "0020000E"),
        ("searchForInstances", 2, "00080018"),
        ("searchForInstances", 1, "00080018"),
    ],
)
def test_a_search_finds_it(client: Client, method: str, level: int, tag: str) -> None:
    found = client.call(method, **client.down_to(level), queryParams={"PatientID": "1CT1"})
    assert [match[tag]["Value"][0] for match in found] == [
        list(client.uids.values())[("0020000D", "0020000E", "00080018").index(tag)]
    ]


@pytest.mark.parametrize(
    ("method", "level"),
    [
        ("retrieveStudyMetadata", 1),
        ("retrieveSeriesMetadata", 2),
        ("retrieveInstanceMetadata", 3),
    ],
)
def test_metadata_come(client: Client, method: str, level: int) -> None:
    answer = client.call(method, **client.down_to(level))
    instance = answer[0] if isinstance(answer, list) else answer
    assert instance["00280010"]["Value"] == [128]
    assert instance["7FE00010"]["BulkDataURI"].startswith(client.root)


@pytest.mark.parametrize(
    ("method", "level"), [("retrieveStudy", 1), ("retrieveSeries", 2), ("retrieveInstance", 3)]
)
def test_the_file_comes_bit_for_bit(client: Client, method: str, level: int) -> None:
    answer = client.call(method, **client.down_to(level))
    assert (answer[0] if isinstance(answer, list) else answer) == _text(FILE.read_bytes())


def test_a_frame_comes_bit_for_bit(client: Client) -> None:
    frames = client.call("retrieveInstanceFrames", **client.uids, frameNumbers=[1])
    assert frames == [_text(_pixels())]


def test_bulk_data_come_bit_for_bit(client: Client) -> None:
    metadata = client.call("retrieveInstanceMetadata", **client.uids)
    instance = metadata[0] if isinstance(metadata, list) else metadata
    values = client.call("retrieveBulkData", BulkDataURI=instance["7FE00010"]["BulkDataURI"])
    assert values == [_text(_pixels())]


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png"])
@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("retrieveInstanceRendered", {}),
        ("retrieveInstanceThumbnail", {}),
        ("retrieveInstanceFramesRendered", {"frameNumbers": [1]}),
        ("retrieveInstanceFramesThumbnail", {"frameNumbers": [1]}),
    ],
)
def test_pictures_come(client: Client, method: str, more: dict[str, Any], kind: str) -> None:
    wanted = [{"mediaType": kind}]
    answer = client.call(method, **client.uids, **more, mediaTypes=wanted)
    picture = base64.b64decode(answer[0] if isinstance(answer, list) else answer)
    assert picture.startswith(b"\xff\xd8\xff" if kind == "image/jpeg" else b"\x89PNG")


def test_what_is_not_there_is_an_error(client: Client) -> None:
    with pytest.raises(AssertionError, match="retrieveStudy"):
        client.call("retrieveStudy", studyInstanceUID="1.2.3.4.5")
