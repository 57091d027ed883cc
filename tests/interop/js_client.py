"""The JavaScript library dicomweb-client on a page of its own, called from Python."""

from __future__ import annotations

import base64
import functools
import http.server
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pydicom

from tests.e2e.process import running_archive
from tests.interop import viewer
from tests.interop.programs import sample
from tests.interop.sites import served
from tests.interop.viewer import Viewer

FILE = sample("CT_small.dcm")
_PAGE = b'<!doctype html><title>client</title><script src="/dicomweb-client.js"></script>'
_CALL = """
const [root, chosen, method, options, done] = arguments;
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
const seen = {progress: 0, hooks: [], errors: []};
if (options.request) {
  options.request.progressCallback = () => { seen.progress += 1; };
}
const client = new DICOMwebClient.api.DICOMwebClient({
  url: root, verbose: false, ...chosen,
  requestHooks: [(request, metadata) => { seen.hooks.push(metadata.url); return request; }],
  errorInterceptor: error => { seen.errors.push(error.status); },
});
try {
  Promise.resolve(client[method](options)).then(
    value => done({value: plain(value), seen}),
    error => done({error: `${error.message || error} ${error.status}`, seen}));
} catch (error) { done({error: String(error), seen}); }
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
    with served(handler) as origin:
        yield origin


@dataclass
class Client:
    """The library on a page, and the archive that it talks to."""

    page: Viewer
    root: str
    uids: Mapping[str, str]
    options: Mapping[str, object] = field(default_factory=dict)

    def call(self, method: str, **options: object) -> Any:
        """What a call gives, buffers as `text` writes them. Raises AssertionError with its error."""
        answer = self.watch(method, **options)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["value"]

    def watch(self, method: str, **options: object) -> Any:
        """As `call`: "value" or "error", and what hooks, interceptor and progress have "seen"."""
        script = self.page.driver.execute_async_script
        return script(_CALL, self.root, self.options, method, options)

    def down_to(self, level: int) -> dict[str, str]:
        """The UIDs of study, series and instance, as many as `level`."""
        return dict(list(self.uids.items())[:level])

    def configured(self, **options: object) -> Client:
        """The same page, its client made with these options."""
        return replace(self, options=options)


@contextmanager
def running_client(place: Path) -> Iterator[Client]:
    """A page and an archive with their data in `place`; the archive holds FILE."""
    folder = viewer.distribution(viewer.CLIENT)
    assert folder is not None
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
        client.call("storeInstances", datasets=[text(FILE.read_bytes())])
        yield client


def text(data: bytes) -> str:
    """Bytes as they come and go between Python and the page."""
    return base64.b64encode(data).decode()
