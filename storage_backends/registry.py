"""Backends by name: those of this package and those of entry points in `vna.storage_backends`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from storage_backends.base import StorageBackend
from storage_backends.errors import InvalidOptions
from storage_backends.filesystem import FilesystemBackend
from storage_backends.memory import MemoryBackend

ENTRY_POINT_GROUP = "vna.storage_backends"

BackendFactory = Callable[[Mapping[str, str], Path], StorageBackend]
"""Called with the options and the archive's data directory; raises StorageError."""


def open_backend(kind: str, options: Mapping[str, str], *, data_dir: Path) -> StorageBackend:
    """A backend of the driver `kind`; relative paths in `options` are below `data_dir`.

    Option names count in any case, since environment variables bring them in capitals.

    Raises InvalidOptions for an unknown driver or option, and what the driver itself raises.
    """
    factory = _BUILT_IN.get(kind) or _third_party(kind)
    return factory({name.lower(): value for name, value in options.items()}, data_dir)


def known_backends() -> tuple[str, ...]:
    """Names that `open_backend` understands."""
    return tuple(sorted({*_BUILT_IN, *entry_points(group=ENTRY_POINT_GROUP).names}))


def check_options(kind: str, options: Mapping[str, str], known: frozenset[str]) -> None:
    """Raise InvalidOptions for an option that the driver does not know."""
    for name in options:
        if name not in known:
            accepted = ", ".join(sorted(known)) or "none"
            raise InvalidOptions(
                f"storage backend {kind!r} has no option {name!r}; it accepts: {accepted}"
            )


def _third_party(kind: str) -> BackendFactory:
    for entry in entry_points(group=ENTRY_POINT_GROUP, name=kind):
        try:
            return cast("BackendFactory", entry.load())
        except Exception as exc:
            raise InvalidOptions(f"storage backend {kind!r} ({entry.value}) fails: {exc}") from exc
    raise InvalidOptions(
        f"no storage backend is named {kind!r}; known are: {', '.join(known_backends())}"
    )


def _open_memory(options: Mapping[str, str], data_dir: Path) -> StorageBackend:
    del data_dir
    check_options("memory", options, frozenset())
    return MemoryBackend()


def _open_filesystem(options: Mapping[str, str], data_dir: Path) -> StorageBackend:
    """Option `root`: the directory of the objects; default `objects` below the data directory."""
    check_options("filesystem", options, frozenset({"root"}))
    return FilesystemBackend(data_dir / options.get("root", "objects"))


def _open_s3(options: Mapping[str, str], data_dir: Path) -> StorageBackend:
    """Options as S3Options names them."""
    # The SDK takes a fifth of a process's start: who keeps files only goes without it.
    from storage_backends.s3 import S3Backend
    from storage_backends.s3.options import read_options

    return S3Backend(read_options(options, data_dir))


_BUILT_IN: Mapping[str, BackendFactory] = {
    "memory": _open_memory,
    "filesystem": _open_filesystem,
    "s3": _open_s3,
}
