"""What the configuration of the DIMSE door may be: peers, limits, TLS, identities."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.certificates import authority
from vna.cli import main
from vna.config import Config, check_exposure, load_config
from vna.errors import ConfigError


def load(directory: Path, toml: str) -> Config:
    path = directory / "vna.toml"
    path.write_text(toml)
    return load_config(path, {})


def test_peers_destinations_and_identities_are_read(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        [dimse.peers.CT1]
        hosts = ["ct1.example", "10.1.0.0/16", "2001:db8::1"]
        services = ["store", "commitment"]
        max_associations = 4
        [dimse.tls]
        port = 2762
        only = true
        certificate = "a.pem"
        key = "a.key"
        [dimse.destinations.PACS]
        host = "pacs"
        port = 2762
        tls = true
        ca = "ca.pem"
        [dimse.identity]
        required = true
        [dimse.identity.users]
        Anna = "scrypt:1:1:1$a$b"
        """,
    )
    assert config.dimse.peers["CT1"].services == ("store", "commitment")
    assert config.dimse.destinations["PACS"].tls
    assert config.dimse.identity.users == {"Anna": "scrypt:1:1:1$a$b"}
    assert config.dimse.ports == (2762,)


def test_both_ports_are_served_unless_told_otherwise(tmp_path: Path) -> None:
    assert Config().dimse.ports == (11112,)
    toml = "[dimse.tls]\nport = 2762\ncertificate = 'a.pem'\nkey = 'a.key'"
    assert load(tmp_path, toml).dimse.ports == (11112, 2762)


def test_peers_are_enough_to_open_the_door_to_the_network(tmp_path: Path) -> None:
    check_exposure(load(tmp_path, "[dimse]\nhost = '0.0.0.0'\n[dimse.peers.CT1]"), "dimse")


PEER = "[dimse.peers.CT1]\n"
TLS = "[dimse.tls]\n"
IDENTITY = "[dimse.identity]\n"
TO = "[dimse.destinations.PACS]\nhost = 'h'\nport = 1\n"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (PEER + "services = ['print']", r"services: 'print' is not one of verification, store"),
        (PEER + "hosts = ['10.0.0.0/33']", r"hosts: '10\.0\.0\.0/33' is no host name"),
        (PEER + "hosts = ['10.0.0']", r"hosts: '10\.0\.0' is no host name"),
        (PEER + "hosts = ['']", r"hosts: '' is no host name"),
        (PEER + "hosts = ['a b']", r"hosts: 'a b' is no host name"),
        (PEER + "transfer_syntaxes = ['JPEG']", r"transfer_syntaxes: 'JPEG' is not a UID"),
        (PEER + "max_associations = -1", r"max_associations must be at least 0"),
        (PEER + "user_identity_required = true", "a user identity is required but nobody has one"),
        ("[dimse.peers.'A\\B']", r"dimse\.peers: AE title"),
        ("[dimse.peers.A]\n[dimse.peers.'A ']", "an AE title twice"),
        ("[dimse]\nmax_associations_per_ae = 0", r"max_associations_per_ae must be at least 1"),
        ("[dimse]\nmax_associations_per_address = 0", r"per_address must be at least 1"),
        ("[dimse]\nslowest_rate = 0", r"slowest_rate must be at least 1"),
        (TLS + "port = 2762", r"dimse\.tls\.port needs dimse\.tls\.certificate"),
        (TLS + "port = 70000\ncertificate = 'a'", r"dimse\.tls\.port: port 70000"),
        (TLS + "port = 11112\ncertificate = 'a'", r"dimse\.port and dimse\.tls\.port are both"),
        (TLS + "port = 8080\ncertificate = 'a'", r"web\.port and dimse\.tls\.port are both"),
        (TLS + "only = true", r"leaves no port to listen on"),
        (TO + "ca = 'ca.pem'", r"PACS names certificates but not tls = true"),
        (TO + "tls = true\nkey = 'k'", r"PACS\.key needs"),
        (IDENTITY + "required = true", "a user identity is required but nobody has one"),
        (IDENTITY + "jwt_keys = ['k.pem']", r"jwt_keys needs dimse\.identity\.jwt_audience"),
        (IDENTITY + "jwt_algorithms = ['none']", r"jwt_algorithms: 'none' is not one of"),
        (IDENTITY + "jwt_algorithms = ['HS256']", r"jwt_algorithms: 'HS256' is not one of"),
        ("[dimse.identity.users]\nanna = 'secret'", r"users\.anna is not a password hash"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, toml: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, toml)


@pytest.mark.parametrize("role", ["all", "dimse"])
@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        ("none.pem", "archive.key", "none.pem cannot be read"),
        ("archive.pem", "stranger.key", "stranger.key does not belong to the certificate"),
    ],
)
def test_unusable_certificates_stop_the_start_with_exit_code_2(
    tmp_path: Path, role: str, certificate: str, key: str, message: str
) -> None:
    for name in ("archive", "stranger"):
        authority().write(tmp_path, name)
    path = tmp_path / "vna.toml"
    path.write_text(
        f"[archive]\ndata_dir = '{tmp_path / 'data'}'\n[dimse.tls]\nport = 2762\n"
        f"certificate = '{tmp_path / certificate}'\nkey = '{tmp_path / key}'\n"
    )
    result = CliRunner().invoke(main, ["serve", "--role", role, "--config", str(path)])
    assert result.exit_code == 2
    assert f"dimse.tls: {'the key in ' if 'belong' in message else ''}" in result.output
    assert message in result.output
    assert not (tmp_path / "data").exists()


def test_no_secret_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "vna.toml"
    path.write_text(
        "[archive]\npseudonym_secret = 'a secret of 16 letters'\n"
        "[dimse.identity.users]\nanna = 'scrypt:1:1:1$salt$hash'"
    )
    result = CliRunner().invoke(main, ["config", "show", "--config", str(path)])
    assert result.exit_code == 0
    assert "anna" in result.output
    assert "salt" not in result.output
    assert "16 letters" not in result.output


def test_no_secret_of_a_store_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "vna.toml"
    path.write_text(
        "[storage.options]\naccess_key = 'known'\nsecret_key = 'hush'\nsession_token = 'hush'\n"
        "secret_key_file = '/run/secrets/s3'"
    )
    result = CliRunner().invoke(main, ["config", "show", "--config", str(path)])
    assert result.exit_code == 0
    assert "hush" not in result.output
    assert "known" in result.output
    assert "/run/secrets/s3" in result.output
