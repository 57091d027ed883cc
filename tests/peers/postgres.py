"""A Postgres cluster for a peer: the same program, settings and durability as the archive's own embedded one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from vna.index.embedded import EmbeddedPostgres


@dataclass(frozen=True, slots=True)
class PeerDatabase:
    """An empty database: `host` is a socket directory; `pid` is the server's first process."""

    host: str
    name: str
    user: str
    pid: int
    settings: str


@contextmanager
def running_postgres(folder: Path) -> Iterator[PeerDatabase]:
    """A cluster of its own below `folder`, fsync and synchronous_commit on."""
    with EmbeddedPostgres.start(folder) as server:
        url = urlsplit(server.url)
        host = parse_qs(url.query)["host"][0]
        yield PeerDatabase(
            host,
            url.path.lstrip("/"),
            url.username or "",
            postmaster_pid(folder),
            durability(server.url),
        )


def postmaster_pid(folder: Path) -> int:
    """The first process of the embedded Postgres that keeps its cluster below `folder`."""
    path = folder / "postgres" / "cluster" / "postmaster.pid"
    return int(path.read_text().split()[0])


def durability(url: str) -> str:
    """The version of a server and what its durability rests on, as it says itself."""
    names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
    with psycopg.connect(url) as connection:
        rows = [
            connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names
        ]
    values = [str(row[0]) if row else "?" for row in rows]
    rest = ", ".join(f"{name} {value}" for name, value in zip(names[1:], values[1:], strict=True))
    return f"PostgreSQL {values[0]} ({rest})"
