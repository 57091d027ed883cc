"""User identities: passwords and tokens, and everything about them that must not work."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from werkzeug.security import generate_password_hash

from tests.certificates import authority
from vna.config import IdentityConfig
from vna.dimse.negotiation import UserIdentity
from vna.dimse.tls import BadCredentials
from vna.scp import identity as module
from vna.scp.identity import FailureGate, IdentityCheck, IdentityRefused
from vna.scp.jwt_keys import load_keys

ADDRESS = "10.0.0.1"
USERS = {name: generate_password_hash(name[::-1], "pbkdf2:sha256:1") for name in ("anna", "zoë")}
PASSWORDS = IdentityConfig(users=USERS)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
EDWARDS_KEY = ed25519.Ed25519PrivateKey.generate()
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def password(name: str, secret: str) -> UserIdentity:
    return UserIdentity(2, name.encode(), secret.encode())


def check(identity: UserIdentity | None, config: IdentityConfig, *, required: bool = False) -> str:
    return IdentityCheck(config).verify(identity, ADDRESS, is_required=required)


def test_the_right_password_names_the_user() -> None:
    assert check(password("anna", "anna"[::-1]), PASSWORDS, required=True) == "anna"
    assert check(password("zoë", "ëoz"), PASSWORDS) == "zoë"


@pytest.mark.parametrize(
    "identity",
    [
        pytest.param(password("anna", "wrong"), id="wrong password"),
        pytest.param(password("anna", ""), id="no password"),
        pytest.param(password("ANNA", "anna"[::-1]), id="other case"),
        pytest.param(password("nobody", "ybodon"), id="unknown user"),
        pytest.param(password("", ""), id="no name"),
        pytest.param(password("eve", "anna"[::-1]), id="the password of the first user"),
        pytest.param(UserIdentity(2, b"\xff", b"x"), id="no UTF-8"),
    ],
)
@pytest.mark.parametrize("required", [True, False])
def test_a_wrong_password_is_refused_even_where_none_is_needed(
    identity: UserIdentity, required: bool
) -> None:
    with pytest.raises(IdentityRefused):
        check(identity, PASSWORDS, required=required)


def test_an_unknown_user_takes_a_hash_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes: list[str] = []

    def record(password_hash: str, _password: str) -> bool:
        hashes.append(password_hash)
        return True

    monkeypatch.setattr(module, "check_password_hash", record)
    with pytest.raises(IdentityRefused):
        check(password("nobody", "x"), PASSWORDS)
    assert hashes == [USERS["anna"]]


@pytest.mark.parametrize("kind", [1, 3, 4, 5, 77])
def test_what_nobody_checks_counts_as_nothing(kind: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    identity = UserIdentity(kind, b"anna")
    assert check(identity, PASSWORDS) == ""
    assert "passed over" in caplog.text
    with pytest.raises(IdentityRefused, match="required"):
        check(identity, PASSWORDS, required=True)


def test_a_missing_identity_matters_only_where_required() -> None:
    assert check(None, PASSWORDS) == ""
    with pytest.raises(IdentityRefused, match="no user identity"):
        check(None, PASSWORDS, required=True)


def test_guessing_shuts_the_gate_for_the_address_alone() -> None:
    checking = IdentityCheck(PASSWORDS, FailureGate(failures=3, forgiven_after=3600))
    for _ in range(3):
        with pytest.raises(IdentityRefused, match="wrong password"):
            checking.verify(password("anna", "guess"), ADDRESS, is_required=False)
    right = password("anna", "anna"[::-1])
    with pytest.raises(IdentityRefused, match="too many"):
        checking.verify(right, ADDRESS, is_required=False)
    assert checking.verify(right, "10.0.0.2", is_required=False) == "anna"
    assert checking.verify(None, ADDRESS, is_required=False) == ""


def test_failures_are_forgiven_in_time() -> None:
    gate = FailureGate(failures=1, forgiven_after=0.001)
    gate.failed(ADDRESS)
    while gate.is_shut(ADDRESS):
        pass
    assert not gate.is_shut(ADDRESS)


def test_the_gate_remembers_a_bounded_number_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ADDRESSES", 10)
    gate = FailureGate()
    for number in range(100):
        gate.failed(f"10.0.0.{number}")
    assert len(gate._debts) == 10


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def jwk(key: PrivateKey, key_id: str = "", **more: str) -> dict[str, Any]:
    algorithm = {ec.EllipticCurvePrivateKey: "ES256", rsa.RSAPrivateKey: "RS256"}
    name = next((alg for kind, alg in algorithm.items() if isinstance(key, kind)), "EdDSA")
    converter = jwt.get_algorithm_by_name(name)
    entry = json.loads(converter.to_jwk(key.public_key()))
    return {**entry, **({"kid": key_id} if key_id else {}), **more}


def claims(**changes: object) -> dict[str, object]:
    good = {
        "sub": "anna",
        "aud": "archive",
        "iss": "https://login.example",
        "exp": dt.datetime.now(dt.UTC) + dt.timedelta(hours=1),
    }
    merged: dict[str, object] = {**good, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def token(
    content: dict[str, object] | None = None,
    key: Any = EC_KEY,
    algorithm: str = "ES256",
    headers: dict[str, str] | None = None,
) -> UserIdentity:
    text = jwt.encode(content or claims(), key, algorithm, headers=headers)
    return UserIdentity(5, text.encode())


@pytest.fixture
def tokens(tmp_path: Path) -> IdentityConfig:
    path = tmp_path / "issuer.pem"
    path.write_bytes(public_pem(EC_KEY))
    return IdentityConfig(
        jwt_keys=(str(path),), jwt_audience="archive", jwt_issuer="https://login.example"
    )


def test_a_token_names_its_subject(tokens: IdentityConfig) -> None:
    assert check(token(), tokens, required=True) == "anna"
    assert check(token(claims(aud=["other", "archive"])), tokens) == "anna"


def forged(header: Mapping[str, str], signature: bytes = b"") -> UserIdentity:
    def part(value: object) -> bytes:
        text = json.dumps(value, default=lambda moment: int(moment.timestamp()))
        return jwt.utils.base64url_encode(text.encode())

    return UserIdentity(5, b".".join((part(header), part(claims()), signature)))


BAD_TOKENS = {
    "expired": lambda: token(claims(exp=1)),
    "not yet valid": lambda: token(claims(nbf=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))),
    "no expiry": lambda: token(claims(exp=None)),
    "no subject": lambda: token(claims(sub=None)),
    "subject no text": lambda: token(claims(sub=7)),
    "other audience": lambda: token(claims(aud="elsewhere")),
    "no audience": lambda: token(claims(aud=None)),
    "other issuer": lambda: token(claims(iss="https://evil.example")),
    "no issuer": lambda: token(claims(iss=None)),
    "other key": lambda: token(key=ec.generate_private_key(ec.SECP256R1())),
    "algorithm of another key": lambda: token(key=RSA_KEY, algorithm="RS256"),
    "algorithm not listed": lambda: token(key=RSA_KEY, algorithm="RS512"),
    "none": lambda: forged({"alg": "none"}),
    "no algorithm": lambda: forged({}),
    "HS256": lambda: token(key="secret" * 8, algorithm="HS256"),
    "embedded key": lambda: token(
        key=ec.generate_private_key(ec.SECP256R1()), headers={"jku": "https://evil.example/k"}
    ),
    "empty": lambda: UserIdentity(5, b""),
    "no token": lambda: UserIdentity(5, b"a.b.c"),
    "bytes": lambda: UserIdentity(5, bytes(range(256))),
    "deep": lambda: UserIdentity(5, jwt.utils.base64url_encode(b"[" * 40000) + b".e30." + b"AAAA"),
}


@pytest.mark.parametrize("what", list(BAD_TOKENS))
def test_a_bad_token_is_refused(tokens: IdentityConfig, what: str) -> None:
    with pytest.raises(IdentityRefused):
        check(BAD_TOKENS[what](), tokens)


def test_a_public_key_is_no_secret_of_a_signature(tokens: IdentityConfig) -> None:
    """The confusion of HS256 with the public key as its secret: signed by hand, as attackers do."""
    signer = jwt.get_algorithm_by_name("HS256")
    signed = forged({"alg": "HS256"}).primary.rpartition(b".")[0]
    digest = jwt.utils.base64url_encode(signer.sign(signed, public_pem(EC_KEY)))
    with pytest.raises(IdentityRefused, match="signed by HS256"):
        check(UserIdentity(5, signed + b"." + digest), tokens)


def test_keys_come_from_certificates_and_key_sets_too(tmp_path: Path) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(authority().pem())
    assert load_keys(certificate)[0].algorithms == {"ES256"}
    key_set = tmp_path / "keys.json"
    entries = [
        jwk(RSA_KEY, "one", alg="PS256"),
        jwk(EC_KEY, "two"),
        jwk(EDWARDS_KEY, "three", use="sig"),
        jwk(EC_KEY, "four", use="enc"),
    ]
    key_set.write_text(json.dumps({"keys": entries}))
    assert [key.key_id for key in load_keys(key_set)] == ["one", "two", "three"]
    config = IdentityConfig(jwt_keys=(str(key_set),), jwt_audience="archive")
    assert check(token(headers={"kid": "two"}), config) == "anna"
    assert check(token(key=EDWARDS_KEY, algorithm="EdDSA"), config) == "anna"
    assert check(token(key=RSA_KEY, algorithm="PS256"), config) == "anna"
    with pytest.raises(IdentityRefused):
        check(token(key=RSA_KEY, algorithm="RS256"), config)  # its entry is for PS256 alone
    with pytest.raises(IdentityRefused):
        check(token(headers={"kid": "unknown"}), config)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"keys": []}',
        b'{"keys": [7]}',
        b'{"kty": "oct", "k": "c2VjcmV0"}',
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"[" * 50000,
        json.dumps({**jwk(EC_KEY), "d": "AAAA"}).encode(),
        public_pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505 (that is the point)
        EC_KEY.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    ],
    ids=range(11),
)
def test_files_without_usable_keys_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(BadCredentials, match=str(path)):
        IdentityCheck(IdentityConfig(jwt_keys=(str(path),), jwt_audience="archive"))


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCredentials, match=r"none\.pem cannot be read"):
        load_keys(tmp_path / "none.pem")


def test_new_keys_are_used_without_a_restart(tokens: IdentityConfig) -> None:
    checking = IdentityCheck(replace(tokens, jwt_issuer=""))
    renewed = ec.generate_private_key(ec.SECP256R1())
    Path(tokens.jwt_keys[0]).write_bytes(public_pem(renewed) + b"\n")
    assert checking.verify(token(key=renewed), ADDRESS, is_required=True) == "anna"
    with pytest.raises(IdentityRefused):
        checking.verify(token(), ADDRESS, is_required=True)
