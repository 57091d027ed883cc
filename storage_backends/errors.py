"""What a storage backend may raise; nothing else leaves a driver."""

from __future__ import annotations


class StorageError(Exception):
    """A storage backend could not do what was asked. The message names backend and key."""

    transient: bool = False


class ObjectNotFound(StorageError):
    """No complete object under this key."""


class ObjectExists(StorageError):
    """The key is taken; objects are immutable and keys write-once."""


class InvalidKey(StorageError):
    """The key breaks the key grammar."""


class InvalidRange(StorageError):
    """The range starts behind the end of the object or is negative."""


class IntegrityError(StorageError):
    """The bytes are not those that the digest or the size announced."""


class BackendUnavailable(StorageError):
    """The store does not answer now; the same call may succeed later."""

    transient = True


class BackendFull(BackendUnavailable):
    """The store has no room left."""


class BackendReadOnly(BackendFull):
    """The store takes no new objects at all: it is read-only, or the archive may not write there."""


class InvalidOptions(StorageError):
    """No driver of that name, or options that it does not understand."""
