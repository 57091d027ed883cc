"""How an object's bytes go to an S3 store: in one request, or in parts of which few are in memory."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from storage_backends.base import Digest
from storage_backends.digests import Hasher, check_digest, new_hasher
from storage_backends.errors import StorageError
from storage_backends.s3.client import Client
from storage_backends.s3.errors import translated
from storage_backends.s3.sending import Body
from storage_backends.streams import in_memory, read_announced, shows_memory

_MIB = 2**20
_MAX_PARTS = 10_000


@contextlib.contextmanager
def pieces(
    key: str, source: BinaryIO, size: int, digest: Digest, piece_bytes: int
) -> Iterator[Iterator[Body]]:
    """The bytes of `source` in pieces of `piece_bytes`; the last is given only if all of them match `digest`.

    A source that shows its memory is not copied. Raises IntegrityError.
    """
    if not shows_memory(source):
        yield _checked(key, digest, _read_pieces(key, source, size, piece_bytes))
        return
    with in_memory(key, source, size, digest) as (data, is_vouched):
        cut = (data[at : at + piece_bytes] for at in range(0, max(size, 1), piece_bytes))
        yield cut if is_vouched else _checked(key, digest, cut)


def part_bytes_for(size: int, part_bytes: int) -> int:
    """Bytes of each part so that an object of `size` bytes needs no more than S3 allows."""
    least = -(-size // _MAX_PARTS)
    return max(part_bytes, -(-least // _MIB) * _MIB)


class MultipartUpload:
    """One object in parts, some of them on the way at once; aborted when anything fails."""

    def __init__(
        self, client: Client, senders: ThreadPoolExecutor, at_once: int, *, only_new: bool
    ) -> None:
        self._client, self._senders = client, senders
        self._at_once, self._only_new = at_once, only_new

    def send(self, backend: str, key: str, name: str, parts: Iterator[Body]) -> None:
        """Send all parts and make them an object. Raises StorageError, and what `parts` raises."""
        with translated(backend, key, writes=True):
            upload = self._client.begin(name)
        try:
            etags = self._send_parts(backend, key, (name, upload), parts)
            with translated(backend, key, writes=True):
                self._client.finish(name, upload, etags, only_new=self._only_new)
        except BaseException:
            with contextlib.suppress(StorageError), translated(backend, key):
                self._client.abort(name, upload)
            raise

    def _send_parts(
        self, backend: str, key: str, target: tuple[str, str], parts: Iterator[Body]
    ) -> list[str]:
        etags: list[str] = []
        under_way: deque[Future[str]] = deque()
        try:
            for number, part in enumerate(parts, 1):
                if len(under_way) >= self._at_once:
                    etags.append(_outcome(backend, key, under_way.popleft()))
                under_way.append(self._senders.submit(self._client.put_part, *target, number, part))
            while under_way:
                etags.append(_outcome(backend, key, under_way.popleft()))
        finally:
            for future in under_way:  # their memory is the source's
                future.cancel() or future.exception()
        return etags


def _outcome(backend: str, key: str, sent: Future[str]) -> str:
    with translated(backend, key, writes=True):
        return sent.result()


def _read_pieces(key: str, source: BinaryIO, size: int, piece_bytes: int) -> Iterator[bytes]:
    left = size
    while True:
        piece = read_announced(key, source, min(piece_bytes, left))
        left -= len(piece)
        yield piece
        if not left:
            return


def _checked(key: str, digest: Digest, parts: Iterator[Body]) -> Iterator[Body]:
    hasher: Hasher = new_hasher(digest.algorithm)
    held: Body | None = None
    for part in parts:
        if held is not None:
            yield held
        hasher.update(part)
        held = part
    check_digest(key, hasher, digest)
    if held is not None:
        yield held
