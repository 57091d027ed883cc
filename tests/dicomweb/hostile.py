"""A client that asks a whole archive for what no honest one does, and watches that others are none the worse for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.dicomweb.bad_bodies import DICOM, multipart
from tests.e2e.process import ArchiveProcess
from tests.peers.peak_memory import PeakMemory

STUDIES = "/dicom-web/studies"
MOST_GROWTH = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, media type and body."""

    status: int
    kind: str
    body: bytes

    def refused(self, *statuses: int) -> None:
        """It is one of these, told as a problem document."""
        assert self.status in statuses, (self.status, self.body[:500])
        assert self.kind == "application/problem+json"
        assert json.loads(self.body)["status"] == self.status


class Client:
    """Requests of one archive, each on a connection of its own."""

    def __init__(self, archive: ArchiveProcess) -> None:
        self.archive = archive

    def connect(self) -> socket.socket:
        """A connection of one's own."""
        return socket.create_connection(("127.0.0.1", self.archive.http_port), timeout=120)

    def send(self, method: str, path: str, body: bytes | None = None, /, **headers: str) -> Answer:
        """A request; headers by their names with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.archive.http_port, timeout=120)
        with contextlib.closing(connection):
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers.get_content_type(), answer.read())

    def get(self, path: str, /, **headers: str) -> Answer:
        """A GET, as `send`."""
        return self.send("GET", path, **headers)

    def store(self, body: bytes, kind: str = DICOM, /, **headers: str) -> Answer:
        """A store request in several parts of `kind`, as `send`."""
        return self.send("POST", STUDIES, body, Content_Type=multipart(kind), **headers)

    def raw(self, data: bytes, *, ends: bool = False) -> bytes:
        """The answer to these bytes; `ends`: the client sends no more, which it tells."""
        with self.connect() as connection:
            connection.sendall(data)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer

    def instances(self) -> int:
        """How many a search finds."""
        return len(json.loads(self.get("/dicom-web/instances?limit=1000").body))


@contextlib.contextmanager
def watched(client: Client) -> Iterator[None]:
    """Meanwhile another client is served, memory stays in its bounds; then nothing new is to be seen, or left."""
    archive, done = client.archive, threading.Event()
    served: list[int] = []

    def watch() -> None:
        while not done.wait(0.1):
            served.append(client.get("/readyz").status)
            served.append(client.get(f"{STUDIES}?limit=1").status)

    assert archive.process is not None
    before = client.instances()
    watcher = threading.Thread(target=watch)
    with PeakMemory(archive.process.pid) as memory:
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
    assert set(served) <= {200}
    assert client.instances() == before
    assert memory.growth_bytes < MOST_GROWTH
    assert spooled(archive) == []
    assert "Traceback" not in archive.log_path.read_text()


def spooled(archive: ArchiveProcess) -> list[Path]:
    """What still lies in the spool."""
    found = (archive.data_dir / "spool").rglob("*")
    return [path for path in found if path.is_file() and path.suffix != ".lock"]
