"""A real S3 server on loopback: rclone, which serves a folder."""

from __future__ import annotations

import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage_backends.s3 import S3Options
from tests.e2e.process import free_port
from tests.peers.peer import LOOPBACK, serving
from vna.dimse.tls import Credentials

ACCESS_KEY, SECRET_KEY = "vna-access", "vna-secret-key"
BUCKET = "archive"
SUFFIX = "!"
"""rclone keeps objects as files, which can't be folders of others at the same time."""


@dataclass(frozen=True, slots=True)
class S3Server:
    """One that runs; `folder` holds the bucket as a folder."""

    port: int
    folder: Path
    scheme: str = "http"
    pid: int = 0

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"{self.scheme}://{LOOPBACK}:{self.port}"

    def options(self, prefix: str = "", **others: object) -> S3Options:
        """Options of a backend that keeps its objects there."""
        values: dict[str, object] = {
            "endpoint": self.endpoint,
            "bucket": BUCKET,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "object_suffix": SUFFIX,
            "checksum": "md5",
            "prefix": prefix,
        }
        return S3Options(**{**values, **others})  # type: ignore[arg-type]


@contextmanager
def running_s3(folder: Path, port: int = 0, tls: Credentials | None = None) -> Iterator[S3Server]:
    """A server with one empty bucket, or with what an earlier one left in `folder`; ended after the block."""
    (folder / "objects" / BUCKET).mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    command = (
        _program(), "serve", "s3", folder / "objects",
        "--addr", f"{LOOPBACK}:{port}",
        "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}",
        "--config", folder / "none.conf",
        "--cache-dir", folder / "cache",
        "--ignore-checksum",  # else it hashes each object twice more, the second time as it reads it back
        *(("--cert", tls.certificate, "--key", tls.key) if tls else ()),
    )  # fmt: skip
    with serving(command, port, folder / "rclone.log") as process:
        yield S3Server(port, folder / "objects", "https" if tls else "http", process.pid)


def _program() -> Path:
    """The program that the wheel brings, whatever else the machine has."""
    beside = Path(sysconfig.get_path("scripts")) / "rclone"
    found = beside if beside.exists() else Path(shutil.which("rclone") or beside)
    if not found.exists():
        raise FileNotFoundError("rclone is missing: install requirements-dev.lock")
    return found
