"""A gateway under gunicorn for a module of tests, and requests to it whose headers are exactly those given."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import psycopg

from tests.conftest import _CLEAN
from tests.dicomweb.multiparts import ROOT, Part, split, stow_body
from tests.dicomweb.servers import Server, gunicorn

PUBLIC = "https://pacs.example.org/imaging/dicom-web"
ORIGIN = "https://viewer.example.org"
CHROME = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
    "Accept-Language": "en-US,en;q=0.9",
    "Origin": ORIGIN,
    "Referer": f"{ORIGIN}/",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Dest": "empty",
}
"""What a browser adds to each request of a page."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """The media type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip()

    def json(self) -> Any:
        """The body, which must be JSON."""
        assert self.status == 200, self.body
        return orjson.loads(self.body)

    def parts(self) -> list[Part]:
        """The parts of a multipart answer."""
        assert self.status == 200, self.body
        return split(self.body, self.headers["content-type"])


@dataclass(frozen=True, slots=True)
class ViewerSite:
    """What viewers talk to."""

    server: Server

    def ask(
        self, target: str, method: str = "GET", body: bytes | None = None, /, **headers: str
    ) -> Answer:
        """The answer to a request for a target below the DICOMweb root, or for a whole URL that the archive gave.

        Underscores in names of headers stand for hyphens. Nothing is added but Host and the body's length.
        """
        path = target.replace(PUBLIC, ROOT) if "://" in target else ROOT + target
        address = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def keep(self, *files: bytes) -> None:
        """Store files."""
        data, content_type = stow_body(*files)
        answer = self.ask("/studies", "POST", data, Content_Type=content_type)
        assert answer.status in {200, 202}, answer.body


@contextmanager
def viewer_site(
    database_url: str, folder: Path, variables: Mapping[str, str] | None = None
) -> Iterator[ViewerSite]:
    """A gateway behind a public address, which pages of ORIGIN may use; all it keeps is forgotten afterwards."""
    settings = {"VNA__WEB__PUBLIC_URL": PUBLIC, "VNA__WEB__CORS_ORIGINS": ORIGIN}
    with gunicorn(database_url, folder, variables={**settings, **(variables or {})}) as server:
        yield ViewerSite(server)
    with psycopg.connect(database_url) as connection:
        connection.execute(_CLEAN)
