"""The operating system's errors in the words of the storage contract."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from storage_backends.errors import (
    BackendFull,
    BackendReadOnly,
    BackendUnavailable,
    ObjectNotFound,
    StorageError,
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_READ_ONLY = frozenset({errno.EROFS})
_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM})
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


def storage_error(error: OSError, backend: str, key: str) -> StorageError:
    """What an OSError met while reaching the object `key` means to a caller."""
    if error.errno in _ABSENT:
        return ObjectNotFound(f"{backend}: no object {key!r}")
    return _failure(error, backend, key)


@contextmanager
def translated(backend: str, what: str, *, writes: bool = False) -> Iterator[None]:
    """Turn every OSError inside into BackendFull, BackendReadOnly or BackendUnavailable.

    What may not be done is a read-only store to who `writes`.
    """
    try:
        yield
    except OSError as exc:
        raise _failure(exc, backend, what, writes=writes) from exc


def is_other_file_system(error: OSError) -> bool:
    """Whether a rename failed because the two names lie on different file systems."""
    return error.errno == errno.EXDEV


def _failure(error: OSError, backend: str, what: str, *, writes: bool = False) -> StorageError:
    kind = BackendUnavailable
    if error.errno in _FULL:
        kind = BackendFull
    elif error.errno in _READ_ONLY or (writes and error.errno in _NOT_ALLOWED):
        kind = BackendReadOnly
    return kind(f"{backend}: {what}: {error.strerror or error}")
