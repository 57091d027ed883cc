"""Connections that bodies are sent on: all that a PUT needs of HTTP."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPSConnection
from urllib.parse import SplitResult

from urllib3.util import wait_for_read

from storage_backends.errors import InvalidOptions
from storage_backends.s3.options import S3Options

Body = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Answer:
    """What a store said, all of it."""

    status: int
    headers: HTTPMessage
    data: bytes


class SendingConnections:
    """Connections that are used again, each by one thread at a time; at most `connections` of them wait.

    They are not the SDK's because its layers cost as much processor time for each request as the request itself.
    Whatever goes wrong is an OSError; nothing is repeated.
    """

    def __init__(self, options: S3Options) -> None:
        """Raises InvalidOptions."""
        self._options = options
        self._context = _context_of(options) if options.is_secure else None
        self._lock = threading.Lock()
        self._waiting: dict[str, list[HTTPConnection]] = {}
        self._is_closed = False

    def put(self, url: SplitResult, headers: Mapping[str, str], body: Body) -> Answer:
        """The answer to a PUT of `body`, from where it lies in memory."""
        connection = self._connection(url.netloc)
        try:
            answer = _exchanged(connection, f"{url.path}?{url.query}".rstrip("?"), headers, body)
        except HTTPException as exc:
            connection.close()
            raise ConnectionError(f"{url.netloc}: no answer in HTTP: {exc!r}") from exc
        except BaseException:
            connection.close()
            raise
        self._give_back(url.netloc, connection)
        return answer

    def close(self) -> None:
        """Close those that wait, and the others as soon as they are done."""
        with self._lock:
            self._is_closed = True
            waiting = [one for some in self._waiting.values() for one in some]
            self._waiting.clear()
        for connection in waiting:
            connection.close()

    def _connection(self, netloc: str) -> HTTPConnection:
        while connection := self._take(netloc):
            # What can be read now is the end that the store has put to it.
            if not wait_for_read(connection.sock, timeout=0.0):
                return connection
            connection.close()
        wait = self._options.connect_timeout
        if self._context is None:
            connection = HTTPConnection(netloc, timeout=wait)
        else:
            connection = HTTPSConnection(netloc, timeout=wait, context=self._context)
        try:
            connection.connect()
        except OSError as exc:
            connection.close()
            raise ConnectionError(f"{netloc}: {exc}") from exc
        connection.sock.settimeout(self._options.read_timeout)
        return connection

    def _take(self, netloc: str) -> HTTPConnection | None:
        with self._lock:
            waiting = self._waiting.get(netloc)
            return waiting.pop() if waiting else None

    def _give_back(self, netloc: str, connection: HTTPConnection) -> None:
        """One that the store ended has no socket any more."""
        with self._lock:
            waiting = self._waiting.setdefault(netloc, [])
            has_room = not self._is_closed and len(waiting) < self._options.connections
            if connection.sock is not None and has_room:
                waiting.append(connection)
                return
        connection.close()


def _exchanged(
    connection: HTTPConnection, target: str, headers: Mapping[str, str], body: Body
) -> Answer:
    connection.putrequest("PUT", target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    broken: OSError | None = None
    try:
        connection.endheaders(body)
    except (BrokenPipeError, ConnectionResetError) as exc:
        broken = exc  # a store that refuses may answer, and close, before it has read the body
    with connection.getresponse() as response:
        answer = Answer(response.status, response.headers, response.read())
    if broken is not None:
        connection.close()
        if answer.status < HTTPStatus.BAD_REQUEST:
            raise broken
    return answer


def _context_of(options: S3Options) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=options.ca_file or None)
    except (OSError, ssl.SSLError) as exc:
        raise InvalidOptions(
            f"storage backend 's3': ca_file {options.ca_file}: {exc}; name certificates in PEM"
        ) from exc
