"""The whole archive on an unfriendly network: TLS beside the plain port, and a crowd that says nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import samples
from tests.certificates import authority
from tests.e2e.process import ArchiveProcess, free_port, running_archive
from tests.scp.site import PATIENCE
from vna.dimse import scu
from vna.dimse.associate import encode_request
from vna.dimse.association import Association
from vna.dimse.handshake import make_request
from vna.dimse.settings import RequestorSettings
from vna.dimse.tls import Credentials, client_context
from vna.scp.policy import VERIFICATION

SILENT = 300
ACCEPTED = b"\x02"
SETTINGS = RequestorSettings(
    "TESTS", "VNA", ((VERIFICATION, (samples.IMPLICIT,)),), timeouts=PATIENCE
)


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return authority().write(tmp_path_factory.mktemp("tls"), "archive")


@pytest.fixture(scope="module")
def tls_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory, credentials: Credentials, tls_port: int
) -> Iterator[ArchiveProcess]:
    """Two workers that would wait an hour for a request."""
    environment = {
        "VNA__DIMSE__TLS__PORT": str(tls_port),
        "VNA__DIMSE__TLS__CERTIFICATE": str(credentials.certificate),
        "VNA__DIMSE__TLS__KEY": str(credentials.key),
        "VNA__DIMSE__TLS__CA": str(credentials.ca),
        "VNA__DIMSE__ARTIM_TIMEOUT": "3600",
        "VNA__DIMSE__WORKERS": "2",
    }
    directory: Path = tmp_path_factory.mktemp("network") / "data"
    with running_archive(directory, environment) as process:
        yield process


def test_both_ports_are_served_and_announced(
    archive: ArchiveProcess, credentials: Credentials, tls_port: int
) -> None:
    for port, context in ((archive.dicom_port, None), (tls_port, client_context(credentials))):
        settings = RequestorSettings(
            SETTINGS.calling_ae_title, "VNA", SETTINGS.contexts, timeouts=PATIENCE, tls=context
        )
        with Association.request(("127.0.0.1", port), settings) as association:
            assert scu.echo(association).status == 0
            association.release()
    archive.await_line(f":{tls_port} (TLS)")


@pytest.mark.parametrize("is_tls", [False, True])
def test_silent_connections_keep_nobody_out(
    archive: ArchiveProcess, tls_port: int, is_tls: bool
) -> None:
    port = tls_port if is_tls else archive.dicom_port
    with ExitStack() as open_ones:
        for _ in range(SILENT):
            open_ones.enter_context(socket.create_connection(("127.0.0.1", port), 60))
        for address in ("127.0.0.2", "127.0.0.1") * 3:
            to = ("127.0.0.1", archive.dicom_port)
            with socket.create_connection(to, 60, (address, 0)) as sock:
                sock.sendall(encode_request(make_request(SETTINGS)))
                assert sock.recv(1) == ACCEPTED
