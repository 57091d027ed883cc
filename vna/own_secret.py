"""A secret of the archive's own: in a file that is made when it is first needed, and stays."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from vna.errors import ConfigError

_BYTES = 32


def own_secret(path: Path) -> bytes:
    """What the file `path` holds; of several processes that make it at once one wins. Raises ConfigError."""
    try:
        if not path.exists():
            _make(path)
        secret = bytes.fromhex(path.read_text(encoding="ascii"))
    except OSError as exc:
        raise ConfigError(f"cannot make or read the secret {path}: {exc.strerror}") from exc
    except ValueError:
        secret = b""
    if len(secret) < _BYTES:
        raise ConfigError(f"the secret {path} is damaged: restore it, or remove it for a new one")
    return secret


def _make(path: Path) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # for its owner alone
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
