"""Who may come in: basic authentication against the configured users (RFC 7617)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping

from werkzeug.datastructures import Authorization
from werkzeug.security import check_password_hash, generate_password_hash

from dicomweb.errors import Unauthorized
from vna.config import LOOPBACK, WebConfig
from vna.errors import ConfigError

REMEMBERED_SECONDS = 60.0
_MAX_HASHES = 2
_METHODS = ("scrypt", "pbkdf2")


class Authenticator:
    """Knows the users; without any, everyone may come as long as that is safe or was allowed."""

    def __init__(self, settings: WebConfig, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ConfigError for a password hash that none can ever match."""
        self._users = dict(settings.users)
        self._anonymous = not self._users and (
            settings.host in LOOPBACK or settings.allow_anonymous
        )
        _check_hashes(self._users)
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        # Password hashes are slow and large on purpose (scrypt: 32 MiB): few are made at a time, and
        # what was proven is remembered for a while under a keyed digest.
        self._hashing = threading.BoundedSemaphore(_MAX_HASHES)
        self._proven: dict[str, tuple[bytes, float]] = {}
        self._nobody = generate_password_hash(secrets.token_hex(8)) if self._users else ""

    def user(self, authorization: Authorization | None) -> str:
        """The name of who comes, "" for an anonymous client. Raises Unauthorized."""
        if self._anonymous:
            return ""
        if authorization is None or authorization.type != "basic":
            raise Unauthorized("this archive asks for a user name and a password (HTTP Basic)")
        name, password = authorization.username or "", authorization.password or ""
        if not self._is_proven(name, password):
            raise Unauthorized("user name or password is wrong")
        return name

    def _is_proven(self, name: str, password: str) -> bool:
        message = f"{len(name)}:{name}{password}".encode("utf-8", "surrogatepass")
        digest = hmac.new(self._secret, message, hashlib.sha256).digest()
        if self._is_remembered(name, digest):
            return True
        with self._hashing:
            # Who waited may have been proven meanwhile: a viewer sends many requests at once.
            if self._is_remembered(name, digest):
                return True
            # An unknown name costs as much time as a wrong password: neither tells which users exist.
            is_right = check_password_hash(self._users.get(name, self._nobody), password)
        if is_right and name in self._users:
            self._proven[name] = digest, self._clock() + REMEMBERED_SECONDS
            return True
        return False

    def _is_remembered(self, name: str, digest: bytes) -> bool:
        proven, until = self._proven.get(name, (b"", 0.0))
        return hmac.compare_digest(proven, digest) and self._clock() < until


def _check_hashes(users: Mapping[str, str]) -> None:
    for name, password_hash in users.items():
        method = password_hash.split(":", 1)[0].split("$", 1)[0]
        if method not in _METHODS or password_hash.count("$") != 2:
            raise ConfigError(
                f"web.users.{name} is not a password hash; make one with `vna hash-password`"
            )
