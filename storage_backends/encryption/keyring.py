"""Key-encryption keys by name: the first one seals what is new, all of them open what is there."""

from __future__ import annotations

import base64
import binascii
import os
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from storage_backends.errors import BackendUnavailable, InvalidOptions

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_KEY_BYTES = 32
_COMMAND_TIMEOUT = 30.0
_PAUSE = 10.0
"""Seconds between two readings of the source because of a name that it does not hold."""


class Keyring:
    """Keys from a source of lines `NAME:BASE64`, 32 bytes each; '#' begins a comment.

    The source is read again when an object names a key that was not there: a key that is added on top is used for new
    objects from the next reading on, and those below still open the old ones.
    """

    def __init__(self, read: Callable[[], str], source: str) -> None:
        """Raises InvalidOptions when `source`, as `read` tells it, holds no keys."""
        self._read, self._source = read, source
        self._lock = threading.Lock()
        self._keys = self._load()
        self._read_at = time.monotonic()

    @classmethod
    def from_file(cls, path: Path) -> Keyring:
        """Keys of a file, which only its owner should be able to read."""
        return cls(lambda: path.read_text(encoding="utf-8"), f"key file {path}")

    @classmethod
    def from_environment(cls, variable: str) -> Keyring:
        """Keys of an environment variable; commas may stand for line ends."""
        return cls(lambda: os.environ[variable].replace(",", "\n"), f"variable {variable}")

    @classmethod
    def from_command(cls, command: str) -> Keyring:
        """Keys that a program prints, started without a shell."""
        return cls(lambda: _output_of(command), f"command {command!r}")

    def current(self) -> tuple[str, bytes]:
        """Name and key for new objects."""
        return next(iter(self._keys.items()))

    def named(self, name: str) -> bytes:
        """The key `name`. Raises BackendUnavailable where the source does not hold it."""
        if name not in self._keys:
            self._read_again()
        try:
            return self._keys[name]
        except KeyError:
            raise BackendUnavailable(
                f"the object is encrypted under key {name!r}, which {self._source} does not hold; add it there"
            ) from None

    def reload(self) -> None:
        """Read the source now; what it held before stays when it can't be read. Raises BackendUnavailable."""
        try:
            self._keys = self._load()
        except InvalidOptions as exc:
            raise BackendUnavailable(str(exc)) from exc

    def _read_again(self) -> None:
        with self._lock:
            if time.monotonic() - self._read_at >= _PAUSE:
                self._read_at = time.monotonic()
                self.reload()

    def _load(self) -> Mapping[str, bytes]:
        try:
            text = self._read()
        except KeyError as exc:
            raise InvalidOptions(f"encryption: {self._source} is not set") from exc
        except (OSError, ValueError, subprocess.SubprocessError) as exc:
            raise InvalidOptions(f"encryption: {self._source} can't be read: {exc}") from exc
        keys: dict[str, bytes] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                name, key = self._key_of(line.strip(), number)
                if name in keys:
                    raise InvalidOptions(f"encryption: {self._source} names {name!r} twice")
                keys[name] = key
        if not keys:
            raise InvalidOptions(f"encryption: {self._source} holds no key; put NAME:BASE64 there")
        return keys

    def _key_of(self, line: str, number: int) -> tuple[str, bytes]:
        name, _, encoded = line.partition(":")
        try:
            key = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            key = b""
        if not _NAME.fullmatch(name.strip()) or len(key) != _KEY_BYTES:
            raise InvalidOptions(  # the line itself is a secret
                f"encryption: line {number} of {self._source} is not NAME:BASE64 with 32 bytes; "
                'make one with: echo "$(date +%Y-%m):$(openssl rand -base64 32)"'
            )
        return name.strip(), key


def _output_of(command: str) -> str:
    done = subprocess.run(  # noqa: S603 - the administrator's own command
        shlex.split(command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_COMMAND_TIMEOUT,
        check=True,
    )
    return done.stdout.decode("utf-8")
