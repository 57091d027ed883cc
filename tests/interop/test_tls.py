"""DCMTK, pynetdicom, OpenSSL and curl against the door in TLS, and on the wrong port."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import AE

from storage_backends.filesystem import FilesystemBackend
from tests.certificates import authority
from tests.e2e.process import free_port
from tests.interop.test_dcmtk import BIN, DEADLINE, dataset_of, real_files, run, serving
from tests.scp.site import LOOPBACK, Site, open_site
from tests.scp.test_storage import CONTEXTS, sample, send
from tests.scp.test_tls_door import tls_config
from vna.config import DestinationConfig, DimseConfig
from vna.dimse.tls import Credentials, client_context
from vna.index.database import Database
from vna.scp.destinations import open_association
from vna.scp.policy import VERIFICATION

DCMTK = ("echoscu", "storescu", "storescp")
needs_dcmtk = pytest.mark.skipif(
    not all((BIN / name).exists() for name in DCMTK), reason="DCMTK is not installed"
)
needs_openssl = pytest.mark.skipif(
    not (BIN / "openssl").exists(), reason="OpenSSL's command is not installed"
)
needs_curl = pytest.mark.skipif(not (BIN / "curl").exists(), reason="curl is not installed")


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return authority().write(tmp_path / "tls", "archive")


@pytest.fixture(params=[True, False], ids=["mutual", "anonymous"])
def site(
    database: Database, tmp_path: Path, credentials: Credentials, request: pytest.FixtureRequest
) -> Iterator[Site]:
    backend = FilesystemBackend(tmp_path / "store")
    config = DimseConfig(tls=tls_config(credentials, is_mutual=request.param))
    with open_site(database, backend, tmp_path, config) as running:
        yield running
    backend.close()


mutual_only = pytest.mark.parametrize("site", [True], indirect=True, ids=["mutual"])
anonymous_only = pytest.mark.parametrize("site", [False], indirect=True, ids=["anonymous"])


def options(credentials: Credentials) -> list[str]:
    """What DCMTK needs for mutual TLS."""
    key, certificate, ca = credentials.key, credentials.certificate, credentials.ca
    return [str(part) for part in ("+tls", key, certificate, "+cf", ca)]


@needs_dcmtk
@pytest.mark.parametrize("profile", ["+py", "+px", "+pz"])
@mutual_only
def test_dcmtk_echoes_in_each_profile(site: Site, credentials: Credentials, profile: str) -> None:
    run("echoscu", *options(credentials), profile, *site.tls_address)


@needs_dcmtk
@anonymous_only
def test_dcmtk_echoes_without_a_certificate_where_none_is_asked_for(
    site: Site, credentials: Credentials
) -> None:
    run("echoscu", "+tla", "+cf", credentials.ca, *site.tls_address)


@needs_dcmtk
@mutual_only
def test_dcmtk_without_a_certificate_or_without_tls_is_turned_away(
    site: Site, credentials: Credentials
) -> None:
    for arguments in (["+tla", "+cf", str(credentials.ca)], []):
        command = [str(BIN / "echoscu"), *arguments, *map(str, site.tls_address)]
        assert subprocess.run(command, capture_output=True, timeout=DEADLINE).returncode != 0
    assert site.listener.wait_idle(60)
    assert len(site.rejections()) == 2


@needs_dcmtk
@mutual_only
def test_dcmtk_stores_over_tls(site: Site, credentials: Credentials) -> None:
    path = next(path for path in real_files() if path.name == "CT_small.dcm")
    run("storescu", *options(credentials), "-R", *site.tls_address, path)
    ((uid,),) = site.database.attempt(
        lambda connection: connection.execute("SELECT sop_instance_uid FROM instance").fetchall()
    )
    stored = site.dataset(str(uid))
    assert len(stored) > 30000  # storescu leaves Data Set Trailing Padding behind
    assert dataset_of(path).startswith(stored)


@needs_dcmtk
@mutual_only
def test_we_store_to_dcmtk_over_tls(site: Site, credentials: Credentials, tmp_path: Path) -> None:
    port, directory, item = free_port(), tmp_path / "received", sample()
    directory.mkdir()
    command = [str(BIN / "storescp"), *options(credentials), "-od", str(directory), str(port)]
    with serving(port, command):
        site.destinations["STORESCP"] = DestinationConfig(
            LOOPBACK,
            port,
            tls=True,
            ca=str(credentials.ca),
            certificate=str(credentials.certificate),
            key=str(credentials.key),
        )
        with open_association(site.door, "STORESCP", CONTEXTS) as association:
            assert send(association, item).status == 0
            association.release()
    (received,) = directory.iterdir()
    assert item.sop_instance_uid in received.name


@mutual_only
def test_pynetdicom_echoes_over_tls(site: Site, credentials: Credentials) -> None:
    ae = AE(ae_title="PYNETDICOM")
    ae.add_requested_context(VERIFICATION)
    host, port = site.tls_address
    association = ae.associate(host, port, tls_args=(client_context(credentials), host))
    assert association.is_established
    assert association.send_c_echo().Status == 0
    association.release()


@needs_openssl
@mutual_only
@pytest.mark.parametrize(
    ("arguments", "is_accepted"),
    [
        (["-tls1_3"], True),
        (["-tls1_2"], True),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], True),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"], False),
        (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], False),
        (["-tls1", "-cipher", "ALL:@SECLEVEL=0"], False),
    ],
)
def test_openssl_finds_only_what_bcp_195_allows(
    site: Site, credentials: Credentials, arguments: list[str], is_accepted: bool
) -> None:
    host, port = site.tls_address
    files = ["-cert", credentials.certificate, "-key", credentials.key, "-CAfile", credentials.ca]
    command = [BIN / "openssl", "s_client", "-connect", f"{host}:{port}", *files, *arguments]
    done = subprocess.run(
        [*map(str, command), "-verify_return_error"],
        input=b"Q\n",
        capture_output=True,
        timeout=DEADLINE,
    )
    assert (done.returncode == 0) is is_accepted, done.stderr.decode()


@needs_openssl
@mutual_only
def test_openssl_on_the_plain_port_is_closed_at_once(site: Site) -> None:
    host, port = site.address
    command = [str(BIN / "openssl"), "s_client", "-connect", f"{host}:{port}"]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=DEADLINE)
    assert done.returncode != 0
    assert_stranger(site, "TLS on the port without TLS")


@needs_curl
@mutual_only
@pytest.mark.parametrize("is_tls", [False, True])
def test_curl_is_closed_at_once_on_both_ports(site: Site, is_tls: bool) -> None:
    host, port = site.tls_address if is_tls else site.address
    command = [str(BIN / "curl"), "--silent", "--http0.9", f"http://{host}:{port}/"]
    subprocess.run(command, capture_output=True, timeout=DEADLINE)
    assert_stranger(site, "neither DICOM nor TLS")


def assert_stranger(site: Site, guess: str) -> None:
    assert site.listener.wait_idle(60)
    ((_, _, detail),) = site.rejections()
    assert guess in str(detail["reason"])
