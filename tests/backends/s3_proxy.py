"""A proxy before an S3 server, which spoils what a test tells it to spoil."""

from __future__ import annotations

import base64
import http.client
import secrets
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from storage_backends.s3 import S3Backend
from tests.peers.peer import LOOPBACK
from tests.s3_server import S3Server


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a request: answered with `status` and `code`, or spoiled as `kind` says.

    Kinds: "answer"; "reset" before an answer, "lost" after the store did what it was asked for; "hang" until the
    client gives up; "cut" and "changed" for the body of the answer; "reset body" in the middle of it.
    """

    kind: str = "answer"
    status: int = 503
    code: str = "SlowDown"
    method: str = ""
    part: str = ""

    def fits(self, method: str, path: str) -> bool:
        """Whether such a request meets it."""
        return self.method in {"", method} and self.part in path


@dataclass(slots=True)
class Proxy:
    """One that runs; `faults` are used up one by one by the requests that they fit, `lasting` never is.

    `crc32`: whether such a checksum is "ignored", as the server behind does, "proven", or "refused", right or not.
    """

    server: S3Server
    port: int
    faults: list[Fault] = field(default_factory=list)
    lasting: Fault | None = None
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    knows_conditions: bool = False
    crc32: str = "ignored"
    lock: threading.Lock = field(default_factory=threading.Lock)
    writing: threading.Lock = field(default_factory=threading.Lock)
    let_go: threading.Event = field(default_factory=threading.Event)

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://{LOOPBACK}:{self.port}"

    def take(self, method: str, path: str) -> Fault | None:
        """The first fault that fits, gone from the list then."""
        with self.lock:
            for fault in self.faults:
                if fault.fits(method, path):
                    self.faults.remove(fault)
                    return fault
            lasting = self.lasting
        return lasting if lasting is not None and lasting.fits(method, path) else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def handle_one_request(self) -> None:
        """Errors of a connection that a fault has broken are expected."""
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def log_message(self, *words: object) -> None:
        """Stay silent."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.proxy.lock:
            self.proxy.seen.append((self.command, self.path, dict(self.headers)))
        fault = self.proxy.take(self.command, self.path) or self._mistrust(body)
        if fault is None and self.proxy.knows_conditions and "If-None-Match" in self.headers:
            with self.proxy.writing:
                if self._forward("HEAD", b"", signed=False)[0] == 200:
                    fault = Fault(status=412, code="PreconditionFailed")
                else:
                    self._answer(*self._forward(self.command, body))
                    return
        if fault is None:
            self._answer(*self._forward(self.command, body))
        else:
            self._spoil(fault, body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _mistrust(self, body: bytes) -> Fault | None:
        told = self.headers.get("x-amz-checksum-crc32")
        if told is None or self.proxy.crc32 == "ignored":
            return None
        if self.proxy.crc32 == "refused":
            return Fault(status=501, code="NotImplemented")
        found = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
        return None if told == found else Fault(status=400, code="XAmzContentChecksumMismatch")

    def _spoil(self, fault: Fault, body: bytes) -> None:
        match fault.kind:
            case "answer":
                said = f"<Error><Code>{fault.code}</Code><Message>no</Message></Error>".encode()
                self._answer(fault.status, {"Content-Type": "application/xml"}, said)
            case "reset":
                self._reset()
            case "lost":
                self._forward(self.command, body)
                self._reset()
            case "hang":
                self.proxy.let_go.wait(60)
                self._reset()
            case _:
                self._spoil_body(fault, *self._forward(self.command, body))

    def _spoil_body(self, fault: Fault, status: int, headers: dict[str, str], body: bytes) -> None:
        half = len(body) // 2
        if fault.kind == "changed":
            self._answer(status, headers, body[:half] + bytes((body[half] ^ 1,)) + body[half + 1 :])
            return
        self._head(status, {**headers, "Content-Length": str(len(body))})
        self.wfile.write(body[:half])
        self.wfile.flush()
        if fault.kind == "reset body":
            self._reset()
        self.close_connection = True

    def _forward(
        self, method: str, body: bytes, *, signed: bool = True
    ) -> tuple[int, dict[str, str], bytes]:
        if not signed:  # the proxy looks for itself, where the objects lie
            path = self.proxy.server.folder / self.path.partition("?")[0].lstrip("/").replace(
                "%21", "!"
            )
            return (200 if path.is_file() else 404), {}, b""
        connection = http.client.HTTPConnection(LOOPBACK, self.proxy.server.port, timeout=60)
        try:
            connection.putrequest(method, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            response = connection.getresponse()
            return response.status, dict(response.headers), response.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self._head(status, {**headers, "Content-Length": length})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"transfer-encoding", "connection"}:
                self.send_header(name, value)
        self.end_headers()

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True
        raise ConnectionResetError


@contextmanager
def running_proxy(server: S3Server) -> Iterator[Proxy]:
    """A proxy before `server`, ended after the block."""

    class Handler(_Handler):
        pass

    listener = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    listener.daemon_threads = True
    proxy = Proxy(server, listener.server_port)
    Handler.proxy = proxy
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield proxy
    finally:
        proxy.let_go.set()
        listener.shutdown()
        listener.server_close()
        thread.join()


def driver_through(proxy: Proxy, **options: object) -> S3Backend:
    """A driver whose requests go through `proxy`, with a prefix of its own and small parts."""
    values = {"part_bytes": 5 * 2**20, "conditional_put": "no", **options}
    prefix = f"through/{secrets.token_hex(8)}"
    return S3Backend(proxy.server.options(prefix, **{"endpoint": proxy.endpoint, **values}))
