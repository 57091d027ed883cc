"""A client of an S3 server that costs next to nothing: its requests are signed before the clock starts."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from minio.credentials import Credentials
from minio.signer import sign_v4_s3

from tests.benchmarks import raw_http
from tests.benchmarks.raw_http import RawHttp
from tests.peers.peer import LOOPBACK
from tests.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, SUFFIX, S3Server

_UNSIGNED = "UNSIGNED-PAYLOAD"
_REGION = "us-east-1"
_loads = itertools.count(1)


def put_rate(server: S3Server, body: bytes, clients: int, count: int) -> float:
    """Objects of `body` a second that the server takes on so many connections. Raises RuntimeError."""
    return signed_puts(server, body, clients, count)()


def signed_puts(server: S3Server, body: bytes, clients: int, count: int) -> Callable[[], float]:
    """The same, ready to be sent: the requests are signed, and the folder is there that all objects go to."""
    puts, load, each = _Puts(server, body), next(_loads), count // clients
    heads = [
        [puts.head(f"raw/{load}/{client}-{number}") for number in range(each)]
        for client in range(clients)
    ]
    with RawHttp((LOOPBACK, server.port)) as connection:
        raw_http.expect(connection.ask(puts.head(f"raw/{load}/first") + body), (200,))

    def ask(connection: RawHttp, client: int, number: int) -> None:
        connection.send(heads[client][number])
        raw_http.expect(connection.ask(body), (200,))

    return lambda: raw_http.rate((LOOPBACK, server.port), clients, each, ask)


@dataclass(frozen=True, slots=True)
class _Puts:
    """The beginnings of requests that all store the same bytes."""

    server: S3Server
    body: bytes
    md5: str = field(init=False)

    def __post_init__(self) -> None:
        md5 = hashlib.md5(self.body, usedforsecurity=False).digest()
        object.__setattr__(self, "md5", base64.b64encode(md5).decode())

    def head(self, key: str) -> bytes:
        """All of a PUT but its body, with the MD5 that the archive sends, too."""
        url = urlsplit(f"{self.server.endpoint}/{BUCKET}/{quote(key + SUFFIX)}")
        now = datetime.now(UTC)
        headers = {
            "Host": url.netloc,
            "Content-Length": str(len(self.body)),
            "Content-Type": "application/dicom",
            "Content-MD5": self.md5,
            "x-amz-content-sha256": _UNSIGNED,
            "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}",
        }
        signed = sign_v4_s3(
            method="PUT",
            url=url,
            region=_REGION,
            headers=headers,
            credentials=Credentials(ACCESS_KEY, SECRET_KEY),
            content_sha256=_UNSIGNED,
            date=now,
        )
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        return f"PUT {url.path} HTTP/1.1\r\n{lines}\r\n".encode()
