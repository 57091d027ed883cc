"""What the archive keeps for itself alone: in a file that is made when it is first needed, and stays."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from vna.errors import ConfigError

_BYTES = 32


def own_secret(path: Path) -> bytes:
    """What the file `path` holds; of several processes that make it at once one wins. Raises ConfigError."""
    try:
        secret = bytes.fromhex(own_file(path, _new).decode("ascii"))
    except ValueError:
        secret = b""
    if len(secret) < _BYTES:
        raise ConfigError(f"the secret {path} is damaged: restore it, or remove it for a new one")
    return secret


def own_file(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of the file `path`, which nobody else may read: what `make` returned when it was not there yet.

    Of several processes that make it at once one wins. Raises ConfigError.
    """
    try:
        if not path.exists():
            _make(path, make())
        return path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"cannot make or read the secret {path}: {exc.strerror}") from exc


def _new() -> bytes:
    return secrets.token_hex(_BYTES).encode()


def _make(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # for its owner alone
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
