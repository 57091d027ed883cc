"""Whole objects on their way out: the last bytes leave only when all of them are what was stored."""

from __future__ import annotations

from collections.abc import Callable

from storage_backends.base import Digest, ObjectReader
from storage_backends.digests import new_hasher
from storage_backends.wrapping import WrappedReader
from vna.errors import Corrupt


class VerifiedReader(WrappedReader):
    """Everything of `inner`, hashed as it passes; `length` bytes are announced, `name` names the object in errors.

    `blame` is told of damage before it is raised.
    """

    def __init__(
        self,
        inner: ObjectReader,
        digest: Digest,
        length: int,
        name: str,
        blame: Callable[[Corrupt], object] | None = None,
    ) -> None:
        super().__init__(inner)
        self._blame = blame
        self._digest = digest
        self._hasher = new_hasher(digest.algorithm)
        self._left = length
        self._name = name

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, b"" at the end. Raises Corrupt instead of the last bytes when the digest differs, and
        where there are fewer bytes than announced.
        """
        data = self._inner.read(size)
        self._hasher.update(data)
        self._left -= len(data)
        is_over = not data and size != 0 and self._left > 0
        if is_over or (self._left == 0 and data and self._hasher.hexdigest() != self._digest.value):
            error = damaged(self._name, self._digest)
            if self._blame is not None:
                self._blame(error)
            raise error
        return data


def check_digest(data: bytes, digest: Digest, name: str) -> None:
    """Raises Corrupt when `data`, the whole object `name`, is not what was stored."""
    hasher = new_hasher(digest.algorithm)
    hasher.update(data)
    if hasher.hexdigest() != digest.value:
        raise damaged(name, digest)


def damaged(name: str, digest: Digest) -> Corrupt:
    """What is told of an object whose bytes are not those of `digest`."""
    return Corrupt(
        f"stored object {name} is damaged: its {digest.algorithm} digest differs from "
        "the one at its reception; restore it, or send the instance again"
    )
