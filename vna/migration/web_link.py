"""Requests to one DICOMweb source, with their errors in the words of a migration."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import SHUT_RDWR
from typing import Self
from urllib.parse import quote, urlencode, urlsplit

import orjson

from vna.errors import ConfigError
from vna.migration.dicom_keys import Record
from vna.migration.source_options import WebOptions
from vna.migration.sources.base import SourceBusy, SourceError, SourceUnavailable

JSON = "application/dicom+json"
MAX_JSON_BYTES = 256 * 2**20
_REMEDIES = {
    401: "check user and password_file, or token_file",
    403: "it does not allow us this: ask who runs it",
    404: "check url",
}
_LATER = frozenset({429, 503})
_AWAY = frozenset({502, 504})


class WebLink:
    """How a source is reached. Raises ConfigError for files that can't be read."""

    def __init__(self, options: WebOptions) -> None:
        self.options = options
        parts = urlsplit(options.url.rstrip("/"))
        self._host, self._port, self.root = parts.hostname or "", parts.port, parts.path
        self._tls = _tls_of(options) if parts.scheme == "https" else None
        self._secrets()

    @property
    def name(self) -> str:
        """The source for messages."""
        return self.options.url

    def open(self) -> WebConnection:
        """A connection, the caller's to close; it connects with its first request."""
        seconds = self.options.connect_timeout
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        else:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=seconds, context=self._tls
            )
        return WebConnection(self, connection)

    def headers(self, accept: str) -> dict[str, str]:
        """Of a request; secrets are read again each time, so that they may be renewed."""
        return {"Accept": accept, "User-Agent": "vna-migration", **self._secrets()}

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Errors of HTTP as errors of the source."""
        try:
            yield
        except ssl.SSLError as exc:
            raise SourceError(f"no TLS with {self.name}: {exc}; check url and ca") from exc
        except (OSError, http.client.HTTPException) as exc:
            why = str(exc) or type(exc).__name__
            raise SourceUnavailable(f"{self.name}: {why}; check url, and that it is up") from exc

    def _secrets(self) -> dict[str, str]:
        options = self.options
        if options.token_file:
            return {"Authorization": f"Bearer {_secret(options.token_file)}"}
        if options.user:
            pair = f"{options.user}:{_secret(options.password_file)}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {}


class WebConnection:
    """One request after the other; for one thread, except `cut`."""

    def __init__(self, link: WebLink, connection: http.client.HTTPConnection) -> None:
        self._link, self._connection = link, connection

    def get(
        self, path: str, accept: str, query: Mapping[str, object] | None = None
    ) -> http.client.HTTPResponse:
        """The answer of status 200 or 204, its body yet to be read. Raises SourceError and its children."""
        target = f"{self._link.root}/{quote(path)}"
        if query:
            target += "?" + urlencode({k: v for k, v in query.items() if v != ""}, doseq=True)
        with self._link.errors():
            response = self._answer(target, self._link.headers(accept))
            if response.status not in {200, 204}:
                body = response.read(2000)
                self.close()
                raise self._failed(response, body)
            return response

    def records(self, path: str, query: Mapping[str, object]) -> list[Record]:
        """The matches of a search; none where the answer is empty. Raises SourceError and its children."""
        response = self.get(path, JSON, query)
        with self._link.errors():
            body = response.read(MAX_JSON_BYTES + 1)
        if len(body) > MAX_JSON_BYTES:
            raise SourceError(f"{self._link.name} answers with more than it should: set page lower")
        if not body.strip():
            return []
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError as exc:
            raise SourceError(
                f"{self._link.name} does not answer in JSON: {exc}; check url"
            ) from exc
        if not isinstance(found, list):
            raise SourceError(f"{self._link.name} does not answer with a list; check url")
        return [record for record in found if isinstance(record, dict)]

    def cut(self) -> None:
        """From any thread: end what is under way."""
        sock = self._connection.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(SHUT_RDWR)

    def close(self) -> None:
        """Close it; the next request would open another."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _answer(self, target: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Asked once more when a connection that was idle turns out to be gone."""
        was_open = self._connection.sock is not None
        try:
            return self._asked(target, headers)
        except (http.client.HTTPException, ConnectionError):
            self.close()
            if not was_open:
                raise
            return self._asked(target, headers)

    def _asked(self, target: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        if self._connection.sock is None:
            self._connection.connect()
            self._set_timeout(self._link.options.response_timeout)
        self._connection.request("GET", target, headers=dict(headers))
        return self._connection.getresponse()

    def _set_timeout(self, seconds: float) -> None:
        sock = self._connection.sock
        if sock is not None:
            sock.settimeout(seconds)

    def _failed(self, response: http.client.HTTPResponse, body: bytes) -> SourceError:
        status = response.status
        told = f"{self._link.name} answers {status} {response.reason}"
        if status in _LATER:
            return SourceBusy(told)
        if status in _AWAY:
            return SourceUnavailable(f"{told} {body[:200].decode('utf-8', 'replace')}".strip())
        if 300 <= status < 400:
            return SourceError(f"{told}: it is at {response.headers.get('Location', '?')}; set url")
        remedy = _REMEDIES.get(status, body[:200].decode("utf-8", "replace"))
        return SourceError(f"{told}: {remedy}")


def _tls_of(options: WebOptions) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=options.ca or None)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(f"source option ca: {options.ca} cannot be used: {exc}") from exc


def _secret(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"source option: {path} cannot be read: {exc}") from exc
