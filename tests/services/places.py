"""Where the objects of a process that dies lie, in one word that it can be told on its command line."""

from __future__ import annotations

import secrets
from pathlib import Path

from storage_backends.base import StorageBackend
from storage_backends.encryption import EncryptedBackend
from storage_backends.filesystem import FilesystemBackend
from storage_backends.s3 import S3Backend
from tests.backends.test_encrypted_contract import keyring
from tests.s3_server import S3Server

FILESYSTEM, SEALED = "filesystem", "sealed files"
PART_BYTES = 5 * 2**20
"""The least that S3 allows: larger objects go in parts."""


def place_of(kind: str, server: S3Server) -> str:
    """The word for the file system, or for a prefix of the bucket that nobody else has."""
    return kind if kind in {FILESYSTEM, SEALED} else f"{server.port} die/{secrets.token_hex(8)}"


def backend_at(place: str, directory: Path) -> StorageBackend:
    """A driver for this place; `directory` is that of the process."""
    if place == FILESYSTEM:
        return FilesystemBackend(directory / "store")
    if place == SEALED:
        return EncryptedBackend(FilesystemBackend(directory / "store"), keyring("one"))
    port, prefix = place.split()
    options = S3Server(int(port), directory).options(
        prefix, part_bytes=PART_BYTES, conditional_put="no"
    )
    return S3Backend(options)
