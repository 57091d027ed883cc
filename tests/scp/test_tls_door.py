"""The door in TLS, and users at the door: who comes in, who does not, and what is written of it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from werkzeug.security import generate_password_hash

from storage_backends.memory import MemoryBackend
from tests.certificates import authority
from tests.scp.site import LOOPBACK, PATIENCE, Destination, Site, associate, open_site
from tests.scp.test_listener import ABORT, ECHO, read_to_end
from tests.scp.test_storage import CONTEXTS, large_sample, send
from vna.config import DestinationConfig, DimseConfig, IdentityConfig, TlsConfig
from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.errors import AssociationRejected, ConnectionLost
from vna.dimse.negotiation import UserIdentity
from vna.dimse.settings import RequestorSettings
from vna.dimse.tls import Credentials, client_context
from vna.dimse.tls_transport import TlsFailed
from vna.errors import ConfigError
from vna.index.database import Database
from vna.scp.credentials import ClientContexts, check_credentials
from vna.scp.destinations import open_association

ANNA = UserIdentity(2, b"anna", b"secret", response_requested=True)
IDENTITY = IdentityConfig(users={"anna": generate_password_hash("secret", "pbkdf2:sha256:1")})


def tls_config(credentials: Credentials, *, is_mutual: bool = True) -> TlsConfig:
    ca = str(credentials.ca) if is_mutual else ""
    return TlsConfig(2762, str(credentials.certificate), str(credentials.key), ca=ca)


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return authority().write(tmp_path / "tls", "archive")


@pytest.fixture
def site(database: Database, tmp_path: Path, credentials: Credentials) -> Iterator[Site]:
    config = DimseConfig(tls=tls_config(credentials), identity=IDENTITY)
    with open_site(database, MemoryBackend(), tmp_path, config) as running:
        yield running


@contextmanager
def secured(site: Site, context: ssl.SSLContext, **more: object) -> Iterator[Association]:
    settings = RequestorSettings("TESTS", "VNA", CONTEXTS, timeouts=PATIENCE, tls=context)
    settings = replace(settings, **more)  # type: ignore[arg-type]
    with Association.request(site.tls_address, settings) as association:
        yield association
        association.release()


def test_an_instance_is_stored_over_mutual_tls(site: Site, credentials: Credentials) -> None:
    item = large_sample()
    with secured(site, client_context(credentials)) as association:
        assert scu.echo(association).status == 0
        assert send(association, item).status == 0
    assert site.dataset(item.sop_instance_uid) == item.dataset
    with associate(site, ECHO) as association:
        assert scu.echo(association).status == 0
    assert site.listener.wait_idle(60)


def test_a_peer_without_a_certificate_is_turned_away_and_audited(
    site: Site, credentials: Credentials
) -> None:
    with (
        pytest.raises(ConnectionLost),
        secured(site, client_context(Credentials(ca=credentials.ca))),
    ):
        pytest.fail("it came in")
    assert site.listener.wait_idle(60)
    ((_, address, detail),) = site.rejections()
    assert address == LOOPBACK
    assert "peer did not return a certificate" in str(detail["reason"])


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="http"),
        pytest.param(b"\x01\x00\x00\x00\x00\xd0\x00\x01" + bytes(206), id="plain DICOM"),
        pytest.param(b"\x99" * 500, id="anything"),
    ],
)
def test_what_is_no_tls_is_closed_at_once_on_its_port(site: Site, said: bytes) -> None:
    with socket.create_connection(site.tls_address) as stranger:
        stranger.sendall(said)
        assert read_to_end(stranger)[:1] == bytes((ABORT,))
    assert site.listener.wait_idle(60)
    ((_, _, detail),) = site.rejections()
    assert str(detail["reason"]).startswith("not DICOM")


def test_a_broken_hello_is_answered_by_an_alert_and_closed(site: Site) -> None:
    with socket.create_connection(site.tls_address) as stranger:
        stranger.sendall(b"\x16\x03\x01\x00\x05hello")
        assert read_to_end(stranger)[:1] == b"\x15"
    assert site.listener.wait_idle(60)
    ((_, _, detail),) = site.rejections()
    assert "no TLS" in str(detail["reason"])


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_a_stalled_handshake_ends_with_artim(
    database: Database, tmp_path: Path, credentials: Credentials, said: bytes
) -> None:
    config = DimseConfig(tls=tls_config(credentials), artim_timeout=0.2)
    with open_site(database, MemoryBackend(), tmp_path, config) as site:
        with socket.create_connection(site.tls_address) as silent:
            silent.sendall(said)
            assert read_to_end(silent) == b""
        assert site.listener.wait_idle(60)


def test_a_drain_does_not_wait_for_handshakes(site: Site) -> None:
    with socket.create_connection(site.tls_address) as silent:
        silent.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert site.listener.drain(60)


def test_new_certificates_are_used_without_a_restart(
    site: Site, credentials: Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    context = client_context(credentials)
    assert credentials.certificate is not None
    credentials.certificate.write_bytes(b"broken")
    with secured(site, context) as association:  # the listener has kept the old one
        assert scu.echo(association).status == 0
    assert "the former ones stay in force" in caplog.text
    renewed = authority("New CA").write(credentials.certificate.parent, "archive")
    with pytest.raises(TlsFailed), secured(site, context):
        pytest.fail("the old CA was still believed")
    with secured(site, client_context(renewed)) as association:
        assert scu.echo(association).status == 0


def test_many_secured_associations_work_at_once(site: Site, credentials: Credentials) -> None:
    context = client_context(credentials)
    item = large_sample()
    with secured(site, context) as first, secured(site, context) as second:

        def slowly() -> Iterator[bytes]:
            yield item.dataset[:70000]
            assert scu.echo(second).status == 0
            yield item.dataset[70000:]

        assert send(first, item, slowly()).status == 0
    assert site.dataset(item.sop_instance_uid) == item.dataset


def test_destinations_are_reached_over_tls(site: Site, credentials: Credentials) -> None:
    host, port = site.tls_address
    good = DestinationConfig(
        host,
        port,
        tls=True,
        ca=str(credentials.ca),
        certificate=str(credentials.certificate),
        key=str(credentials.key),
    )
    site.destinations["SELF"] = good
    with open_association(site.door, "SELF", [ECHO]) as association:
        assert scu.echo(association).status == 0
        association.release()
    assert site.door.tls_contexts.of(good) is site.door.tls_contexts.of(replace(good))
    site.destinations["SELF"] = replace(good, ca="")
    with pytest.raises(TlsFailed, match="certificate not accepted"):
        open_association(site.door, "SELF", [ECHO])
    site.destinations["SELF"] = replace(good, key="/nonexistent.key")
    with pytest.raises(TlsFailed, match="cannot be read"):
        open_association(site.door, "SELF", [ECHO])
    with Destination().listen(site, "PLAIN"):
        site.destinations["PLAIN"] = replace(site.destinations["PLAIN"], tls=True)
        with pytest.raises(ConnectionLost):
            open_association(site.door, "PLAIN", [ECHO])
    assert ClientContexts().of(DestinationConfig("h", 1)) is None


@pytest.mark.parametrize("what", ["tls", "destination", "tokens"])
def test_unusable_files_are_configuration_errors(
    credentials: Credentials, tmp_path: Path, what: str
) -> None:
    missing = str(tmp_path / "none.pem")
    good = DimseConfig(tls=tls_config(credentials))
    check_credentials(good)
    broken = {
        "tls": replace(good, tls=replace(good.tls, key=missing)),
        "destination": replace(
            good, destinations={"D": DestinationConfig("h", 1, tls=True, ca=missing)}
        ),
        "tokens": replace(good, identity=IdentityConfig(jwt_keys=(missing,), jwt_audience="x")),
    }
    where = {"tls": "dimse.tls", "destination": "destinations.D", "tokens": "identity.jwt_keys"}
    with pytest.raises(ConfigError, match=rf"{where[what]}: .*none\.pem cannot be read"):
        check_credentials(broken[what])


def identified(site: Site) -> list[tuple[str, str]]:
    rows = site.database.attempt(
        lambda connection: connection.execute(
            "SELECT correlation_id, detail->>'user' FROM audit "
            "WHERE action = 'association.identified'"
        ).fetchall()
    )
    return [(str(association), str(user)) for association, user in rows]


def test_a_verified_user_is_confirmed_and_audited(site: Site) -> None:
    settings = RequestorSettings("TESTS", "VNA", CONTEXTS, timeouts=PATIENCE, user_identity=ANNA)
    with Association.request(site.address, settings) as association:
        assert association.identity_response == b""
        assert scu.echo(association).status == 0
        association.release()
    assert site.listener.wait_idle(60)
    ((association_id, user),) = identified(site)
    assert association_id
    assert user == "anna"


def test_a_wrong_password_is_rejected_and_audited_without_it(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = replace(ANNA, secondary=b"Pa55phrase")
    settings = RequestorSettings("TESTS", "VNA", CONTEXTS, timeouts=PATIENCE, user_identity=wrong)
    with pytest.raises(AssociationRejected) as rejected:
        Association.request(site.address, settings)
    error = rejected.value
    assert (error.result, error.source, error.reason) == (1, 1, 1)
    assert site.listener.wait_idle(60)
    ((peer, _, detail),) = site.rejections()
    assert peer == "TESTS"
    assert "anna" in str(detail["reason"])
    assert "Pa55phrase" not in str(detail) + caplog.text
    assert not identified(site)
