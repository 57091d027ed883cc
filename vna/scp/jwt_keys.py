"""Public keys that sign JSON Web Tokens, from PEM and JWKS files (RFC 7517)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from vna.dimse.tls import BadCredentials

_RSA = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_LEAST_RSA_BITS = 2048
_LONGEST_FILE = 2**20
_UNUSABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A public key, its id in tokens ("" where it has none), and the algorithms it may be used for."""

    key_id: str
    key: Any
    algorithms: frozenset[str]


def load_keys(path: Path) -> list[TokenKey]:
    """All keys of a file, at least one. Raises BadCredentials, which names the file."""
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST_FILE)
    except OSError as exc:
        raise BadCredentials(f"{path} cannot be read: {exc.strerror}") from exc
    try:
        return _from_pem(data) if data.lstrip().startswith(b"-----") else _from_jwks(data)
    except (*_UNUSABLE, UnsupportedAlgorithm, jwt.PyJWTError) as exc:
        raise BadCredentials(
            f"{path} holds no public key that can check a token's signature: {exc}"
        ) from exc


def _from_pem(data: bytes) -> list[TokenKey]:
    if b"-----BEGIN CERTIFICATE" in data:
        key: Any = load_pem_x509_certificate(data).public_key()
    else:
        key = load_pem_public_key(data)
    return [TokenKey("", key, algorithms_of(key))]


def _from_jwks(data: bytes) -> list[TokenKey]:
    document = json.loads(data)
    entries = document.get("keys", [document])
    keys = [_from_jwk(entry) for entry in entries if entry.get("use", "sig") == "sig"]
    if not keys:
        raise ValueError("it lists none")
    return keys


def _from_jwk(entry: dict[str, Any]) -> TokenKey:
    if entry.get("kty") == "oct" or "d" in entry:
        raise ValueError("shared secrets and private keys are not taken")
    key = jwt.PyJWK.from_dict(entry).key
    algorithms = algorithms_of(key)
    if "alg" in entry:
        algorithms &= {entry["alg"]}
    return TokenKey(str(entry.get("kid", "")), key, algorithms)


def algorithms_of(key: object) -> frozenset[str]:
    """The signature algorithms (RFC 7518 3.1) that a public key can check. Raises ValueError."""
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise ValueError(f"an RSA key of {key.key_size} bits is too short")
        return _RSA
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return frozenset((_CURVES[key.curve.name],))
    if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        return frozenset(("EdDSA",))
    raise ValueError(f"{type(key).__name__} is no key for signatures")
