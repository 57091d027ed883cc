"""The keys that certificates are signed with, and checked against (Ed25519, RFC 8032)."""

from __future__ import annotations

import base64
import hashlib
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from vna.errors import ConfigError
from vna.own_secret import own_file

_LONGEST = 2**16
_PURPOSE = "vna migration certificate 1\n"
_OF_OTHERS = stat.S_IROTH | stat.S_IWOTH
_UNUSABLE = (ValueError, TypeError, UnsupportedAlgorithm)


def own_key(path: Path) -> Ed25519PrivateKey:
    """The archive's own key in the file `path`, made when it is first needed. Raises ConfigError."""
    data = own_file(path, _new_key)
    _check_mode(path)
    return _private(path, data)


def given_key(path: Path) -> Ed25519PrivateKey:
    """The key in a PEM file that an administrator names. Raises ConfigError."""
    data = _read(path)
    _check_mode(path)
    return _private(path, data)


def public_key_of(path: Path) -> Ed25519PublicKey:
    """The public key in a PEM file. Raises ConfigError."""
    try:
        key = load_pem_public_key(_read(path))
    except _UNUSABLE as exc:
        raise ConfigError(f"{path} holds no public key in PEM form") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"the public key {path} is not of Ed25519: certificates are signed so")
    return key


def keep_public_key(key: Ed25519PublicKey, path: Path) -> None:
    """Write it to `path` as PEM; another key that is there already stays. Raises ConfigError."""
    data = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        if fingerprint(public_key_of(path)) != fingerprint(key):
            raise ConfigError(f"{path} holds another public key: choose another name") from None
    except OSError as exc:
        raise ConfigError(f"{path} cannot be written: {exc.strerror}") from exc


def text_of(key: Ed25519PublicKey) -> str:
    """A key as certificates carry it: base64 of its SubjectPublicKeyInfo, the middle line of its PEM file."""
    return base64.b64encode(_der(key)).decode()


def key_of(text: str) -> Ed25519PublicKey:
    """The inverse. Raises ValueError."""
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except _UNUSABLE as exc:
        raise ValueError(f"not a public key: {text[:80]!r}") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("a public key of another kind than Ed25519")  # noqa: TRY004 - of the text
    return key


def fingerprint(key: Ed25519PublicKey) -> str:
    """What people compare: SHA-256 of the SubjectPublicKeyInfo in hexadecimal."""
    return hashlib.sha256(_der(key)).hexdigest()


def sign(key: Ed25519PrivateKey, last_hash: str) -> bytes:
    """The signature over a chain that ends with this hash."""
    return key.sign((_PURPOSE + last_hash).encode())


def has_signed(key: Ed25519PublicKey, last_hash: str, signature: bytes) -> bool:
    """Whether it is of this key and this chain."""
    try:
        key.verify(signature, (_PURPOSE + last_hash).encode())
    except InvalidSignature:
        return False
    return True


def _new_key() -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _check_mode(path: Path) -> None:
    if path.stat().st_mode & _OF_OTHERS:
        raise ConfigError(f"everybody may read or write the key {path}: chmod 600 {path}")


def _private(path: Path, data: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(data, password=None)
    except _UNUSABLE as exc:
        raise ConfigError(
            f"{path} holds no private key in PEM form without a passphrase: "
            "`openssl genpkey -algorithm ed25519` makes one"
        ) from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"the key {path} is not of Ed25519: certificates are signed so")
    return key


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST)
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}") from exc


def _der(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
