"""Files that are there whole, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vna.errors import ConfigError, VnaError


@contextmanager
def whole_file(path: Path, *, replaces: bool = False) -> Iterator[BinaryIO]:
    """What is written becomes the file `path` when all of it is on the disk. `replaces`: one of that name before.

    Raises ConfigError when there is one already, or when none can be made there; VnaError when it can't be finished.
    """
    if path.exists() and not replaces:
        raise ConfigError(f"{path} is there already: choose another name")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        file = part.open("xb")
    except OSError as exc:
        raise ConfigError(f"{path} cannot be written: {exc.strerror}") from exc
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _name(part, path, replaces=replaces)
    except OSError as exc:
        raise VnaError(f"{path} could not be finished: {exc.strerror}") from exc
    finally:
        part.unlink(missing_ok=True)


def _name(part: Path, path: Path, *, replaces: bool) -> None:
    if not replaces:
        try:
            path.hardlink_to(part)
        except FileExistsError:
            raise ConfigError(f"{path} is there already: choose another name") from None
        except OSError:  # no links on this file system: memory sticks, some network shares
            if path.exists():
                raise ConfigError(f"{path} is there already: choose another name") from None
        else:
            return
    part.replace(path)
