"""What a body is covered by on its way: a checksum that the store proves."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import zlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

from minio.error import S3Error

from storage_backends.errors import StorageError
from storage_backends.s3.errors import status_of, translated
from storage_backends.s3.sending import Body

Checksum = Callable[[Body], dict[str, str]]
"""The headers that cover a body."""

_REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_IMPLEMENTED})


class Storing(Protocol):
    """What a trial needs of a client."""

    def put(self, name: str, body: Body, *, only_new: bool, checksum: Checksum) -> None: ...
    def remove(self, name: str) -> None: ...


def md5(body: Body) -> dict[str, str]:
    """What every store proves."""
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    return {"Content-MD5": base64.b64encode(digest).decode()}


def crc32(body: Body) -> dict[str, str]:
    """What costs a sixth of that, and not every store proves."""
    return {"x-amz-checksum-crc32": base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()}


NAMES: Mapping[str, Checksum] = {"md5": md5, "crc32": crc32}


def is_covered(headers: Mapping[str, str]) -> bool:
    """Whether such headers cover a body."""
    return "Content-MD5" in headers or "x-amz-checksum-crc32" in headers


def proven_by(client: Storing, backend: str, name: str) -> Checksum:
    """The cheapest checksum that the store proves: some take no notice of a CRC. `name` is written and removed.

    Raises StorageError.
    """
    try:
        with translated(backend, name, writes=True):
            is_proven = not _takes(client, name, _wrong) and _takes(client, name, crc32)
    finally:
        with contextlib.suppress(StorageError), translated(backend, name):
            client.remove(name)
    return crc32 if is_proven else md5


def _takes(client: Storing, name: str, checksum: Checksum) -> bool:
    try:
        client.put(name, b"which checksum?", only_new=False, checksum=checksum)
    except S3Error as exc:
        if status_of(exc) in _REFUSED:
            return False
        raise
    return True


def _wrong(body: Body) -> dict[str, str]:
    return crc32(bytes(body) + b"!")
