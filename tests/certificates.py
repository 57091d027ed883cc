"""Certificates for tests: a CA, what it signs, and keys that belong to nothing."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vna.dimse.tls import Credentials

_YEAR = dt.timedelta(days=365)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, both in PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True)
class Authority:
    """A CA that signs certificates."""

    name: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def pem(self) -> bytes:
        """What peers put into their `ca` file."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str, *, password: bytes = b"", is_expired: bool = False) -> Issued:
        """A certificate for `name`, localhost and the loopback addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        hosts: list[x509.GeneralName] = [x509.DNSName("localhost")]
        hosts += [x509.IPAddress(ipaddress.ip_address(f"127.0.0.{n}")) for n in (1, 2)]
        begin = _now() - 2 * _YEAR
        builder = (
            _builder(name, self.certificate.subject, key)
            .not_valid_before(begin)
            .not_valid_after(begin + _YEAR if is_expired else _now() + _YEAR)
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        )
        return Issued(_signed(builder, self.key), private_pem(key, password))

    def write(self, directory: Path, name: str) -> Credentials:
        """Files of a certificate for `name` and of this CA."""
        directory.mkdir(exist_ok=True)
        issued = self.issue(name)
        paths = [directory / f"{name}.{suffix}" for suffix in ("pem", "key", "ca")]
        for path, data in zip(paths, (issued.certificate, issued.key, self.pem()), strict=True):
            path.write_bytes(data)
        return Credentials(paths[0], paths[1], None, paths[2])


@lru_cache(maxsize=4)
def authority(name: str = "Hospital CA") -> Authority:
    """A CA of this name, made once in each test process."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = (
        _builder(name, subject, key)
        .not_valid_before(_now() - 3 * _YEAR)
        .not_valid_after(_now() + _YEAR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    certificate = x509.load_pem_x509_certificate(_signed(builder, key))
    return Authority(name, certificate, key)


def private_pem(key: ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    """The key in PEM, encrypted where there is a password."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
    )


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    certificate = builder.sign(key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
