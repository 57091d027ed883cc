"""TLS contexts of the profiles of PS3.15 B.12 and B.13, made anew when their files change."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from vna.dimse.errors import DimseError

log = logging.getLogger(__name__)

CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
    )
)
"""For TLS 1.2: those of RFC 9325 4.2, all with forward secrecy and authenticated encryption. TLS 1.3
has no others. DHE is left out: B.13 forbids it where the key length can't be set.
"""

_T = TypeVar("_T")


class BadCredentials(DimseError):
    """A certificate, key or CA that can't be used; the message names the file."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files in PEM. `certificate` may hold intermediate ones behind it; None: no certificate of our
    own. `ca`: who vouches for the peer; None: nobody is asked (as server), the system's (as client).
    """

    certificate: Path | None = None
    key: Path | None = None
    key_password_file: Path | None = None
    ca: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Those that are named."""
        named = (self.certificate, self.key, self.key_password_file, self.ca)
        return tuple(path for path in named if path is not None)


def server_context(credentials: Credentials) -> ssl.SSLContext:
    """For who connects to us; with a CA, only peers whose certificate it signed (mutual TLS).

    Raises BadCredentials.
    """
    if credentials.certificate is None:
        raise BadCredentials("a TLS server needs a certificate")
    context = _context(ssl.PROTOCOL_TLS_SERVER, credentials)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= ssl.OP_NO_TICKET  # a resumed session would outlive a changed CA
    context.num_tickets = 0
    if credentials.ca is not None:
        _trust(context, credentials.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(credentials: Credentials, *, check_hostname: bool = True) -> ssl.SSLContext:
    """For our own connections; the peer's certificate is always verified. Raises BadCredentials.

    `check_hostname`: it also has to be for the host that we connect to.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, credentials)
    context.check_hostname = check_hostname
    if credentials.ca is not None:
        _trust(context, credentials.ca)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def _context(protocol: int, credentials: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a pinned certificate may stand for a CA
    if credentials.certificate is not None:
        _identify(context, credentials)
    return context


def _identify(context: ssl.SSLContext, credentials: Credentials) -> None:
    certificate, key = credentials.certificate, credentials.key
    for path in credentials.files:
        _check_readable(path)
    password = _password(credentials.key_password_file)
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(str(certificate), key and str(key), lambda: password)
    except ssl.SSLError as exc:
        raise BadCredentials(_explained(exc, credentials)) from exc
    except (OSError, ValueError) as exc:
        raise BadCredentials(f"certificate {certificate} cannot be used: {exc}") from exc


def _explained(error: ssl.SSLError, credentials: Credentials) -> str:
    certificate, key = credentials.certificate, credentials.key or credentials.certificate
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the key in {key} does not belong to the certificate in {certificate}"
    if key is not None and b"ENCRYPTED" in key.read_bytes():
        return f"the key in {key} is encrypted and key_password_file does not open it"
    reason = (error.reason or "no PEM").lower().replace("_", " ")
    return f"certificate {certificate} and key {key} cannot be used: {reason}"


def _password(path: Path | None) -> bytes:
    return path.read_bytes().strip() if path is not None else b""


def _trust(context: ssl.SSLContext, ca: Path) -> None:
    _check_readable(ca)
    try:
        context.load_verify_locations(cafile=str(ca))
    except (ssl.SSLError, OSError) as exc:
        raise BadCredentials(f"{ca} holds no CA certificates in PEM") from exc
    if not context.cert_store_stats()["x509"]:
        raise BadCredentials(f"{ca} holds no CA certificates in PEM")


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as exc:
        raise BadCredentials(f"{path} cannot be read: {exc.strerror}") from exc


class Watched(Generic[_T]):
    """What is made of files, made again when one of them changes; from any thread.

    When the new files can't be used, that is logged once and the old value stays: a broken file
    takes nothing down. Whoever replaces certificate and key one after the other may take his time.
    """

    def __init__(self, files: Sequence[Path], make: Callable[[], _T]) -> None:
        """Make the first value. Raises what `make` raises."""
        self._files = tuple(files)
        self._make = make
        self._lock = threading.Lock()
        self._seen = self._signature()
        self._value = make()

    def current(self) -> _T:
        """The value for the files as they are now, or for the last that could be used."""
        signature = self._signature()
        if signature == self._seen:
            return self._value
        with self._lock:
            if signature != self._seen:
                self._reload(signature)
            return self._value

    def _reload(self, signature: tuple[object, ...]) -> None:
        names = ", ".join(str(path) for path in self._files)
        self._seen = signature
        try:
            self._value = self._make()
        except (DimseError, OSError, ValueError) as exc:
            log.error("changed files are not used, the former ones stay in force: %s", exc)  # noqa: TRY400
        else:
            log.info("loaded again after a change: %s", names)

    def _signature(self) -> tuple[object, ...]:
        return tuple(_stamp(path) for path in self._files)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def watched_server(credentials: Credentials) -> Watched[ssl.SSLContext]:
    """The server's context, kept fresh. Raises BadCredentials."""
    return Watched(credentials.files, lambda: server_context(credentials))
