"""Who a peer says its user is, verified (PS3.7 D.3.3.7)."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import jwt
from werkzeug.security import check_password_hash

from vna.config import IdentityConfig
from vna.dimse.negotiation import UserIdentity
from vna.dimse.tls import Watched
from vna.errors import VnaError
from vna.scp.jwt_keys import TokenKey, load_keys
from vna.scp.places import address_group

log = logging.getLogger(__name__)

PASSWORD = 2
TOKEN = 5
KINDS = {1: "user name", 2: "password", 3: "Kerberos", 4: "SAML", 5: "JSON Web Token"}

LEEWAY = 30.0
"""Seconds by which clocks may differ."""

FAILURES = 5
FORGIVEN_AFTER = 10.0
MOST_ADDRESSES = 4096
LONGEST_NAME = 64
_HASHING = 2


class IdentityRefused(VnaError):
    """The user is not who he says, or nobody can tell; the message is for log and audit only."""


class FailureGate:
    """After FAILURES wrong identities an address is not listened to; one is forgiven every
    FORGIVEN_AFTER seconds.

    Why the address and not the user: else anybody could lock anybody out.
    """

    def __init__(self, failures: int = FAILURES, forgiven_after: float = FORGIVEN_AFTER) -> None:
        self._failures, self._forgiven_after = failures, forgiven_after
        self._lock = threading.Lock()
        self._debts: OrderedDict[str, tuple[float, float]] = OrderedDict()  # how many, when

    def is_shut(self, address: str) -> bool:
        """Whether the address has failed too often of late."""
        with self._lock:
            return self._debt(address_group(address)) > self._failures - 1

    def failed(self, address: str) -> None:
        """Count one more failure."""
        group = address_group(address)
        with self._lock:
            self._debts[group] = self._debt(group) + 1, time.monotonic()
            self._debts.move_to_end(group)
            if len(self._debts) > MOST_ADDRESSES:
                self._debts.popitem(last=False)

    def _debt(self, group: str) -> float:
        count, since = self._debts.get(group, (0.0, 0.0))
        return max(0.0, count - (time.monotonic() - since) / self._forgiven_after)


class IdentityCheck:
    """Verifies user identities; from any thread."""

    def __init__(self, config: IdentityConfig, gate: FailureGate | None = None) -> None:
        """Raises BadCredentials for key files that can't be used; they are read again when changed."""
        self._config = config
        self._gate = gate or FailureGate()
        self._hashing = threading.BoundedSemaphore(_HASHING)
        paths = [Path(path) for path in config.jwt_keys]
        self._keys = Watched(paths, lambda: _load_all(paths))

    def verify(self, identity: UserIdentity | None, address: str, *, is_required: bool) -> str:
        """The name of the verified user; "": none was given, or none that is checked here.

        Raises IdentityRefused: it is wrong, or there is none though `is_required`.
        """
        if identity is None:
            if is_required:
                raise IdentityRefused("no user identity, which is required")
            return ""
        if not self._is_supported(identity.kind):
            return self._pass_over(identity, is_required=is_required)
        if self._gate.is_shut(address):
            raise IdentityRefused("too many wrong identities from this address; not checked")
        try:
            name = self._password(identity) if identity.kind == PASSWORD else self._token(identity)
        except IdentityRefused:
            self._gate.failed(address)
            raise
        return printable(name)

    def _is_supported(self, kind: int) -> bool:
        if kind == PASSWORD:
            return bool(self._config.users)
        return kind == TOKEN and bool(self._config.jwt_keys)

    def _pass_over(self, identity: UserIdentity, *, is_required: bool) -> str:
        """What nobody here can check counts as no identity (PS3.7 D.3.3.7)."""
        kind = KINDS.get(identity.kind, f"kind {identity.kind}")
        if is_required:
            raise IdentityRefused(f"a user identity is required, and {kind} is not checked here")
        log.info("user identity by %s is not checked here and was passed over", kind)
        return ""

    def _password(self, identity: UserIdentity) -> str:
        """A name that nobody has takes as long as one that somebody has."""
        users = self._config.users
        try:
            name, password = str(identity.primary, "utf-8"), str(identity.secondary, "utf-8")
        except UnicodeDecodeError as exc:
            raise IdentityRefused("a user name or password that is not UTF-8") from exc
        password_hash = users.get(name, next(iter(users.values())))
        with self._hashing:
            is_right = check_password_hash(password_hash, password)
        if not is_right or name not in users:
            raise IdentityRefused(f"wrong password or unknown user {printable(name)}")
        return name

    def _token(self, identity: UserIdentity) -> str:
        try:
            header = jwt.get_unverified_header(identity.primary)
            algorithm, key_id = str(header.get("alg", "")), str(header.get("kid", ""))
            if algorithm not in self._config.jwt_algorithms:
                raise IdentityRefused(f"a token signed by {printable(algorithm) or 'nothing'}")
            return self._checked(identity.primary, self._candidates(algorithm, key_id), algorithm)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as exc:
            raise IdentityRefused(f"a token that is not valid: {printable(str(exc))}") from exc

    def _checked(self, token: bytes, keys: Iterable[TokenKey], algorithm: str) -> str:
        """The subject of the token. Raises IdentityRefused and PyJWT's errors."""
        problem: jwt.PyJWTError | None = None
        for candidate in keys:
            try:
                claims = jwt.decode(
                    token,
                    candidate.key,
                    algorithms=[algorithm],
                    audience=self._config.jwt_audience,
                    issuer=self._config.jwt_issuer or None,
                    leeway=LEEWAY,
                    options={"require": ["exp", "sub", "aud"]},
                )
            except jwt.InvalidSignatureError as exc:
                problem = exc
            else:
                return str(claims["sub"])
        raise IdentityRefused("a token that none of our keys has signed") from problem

    def _candidates(self, algorithm: str, key_id: str) -> list[TokenKey]:
        usable = [key for key in self._keys.current() if algorithm in key.algorithms]
        named = [key for key in usable if key_id and key.key_id == key_id]
        return named or [key for key in usable if not (key_id and key.key_id)]


def printable(text: str) -> str:
    """What a peer sent, fit for a line of a log or a row of the audit trail."""
    cut = text if len(text) <= LONGEST_NAME else text[:LONGEST_NAME] + "…"
    return "".join(c if c.isprintable() else "?" for c in cut)


def _load_all(paths: Iterable[Path]) -> list[TokenKey]:
    return [key for path in paths for key in load_keys(path)]
