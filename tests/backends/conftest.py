"""The S3 server that the tests of storage backends share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage_backends.s3 import S3Backend
from tests.backends.s3_proxy import Proxy, driver_through, running_proxy
from tests.s3_server import S3Server, running_s3


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One per test process; each test takes a prefix of its own."""
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def proxies(s3_server: S3Server) -> Iterator[Proxy]:
    """One before the server, for all tests of a process."""
    with running_proxy(s3_server) as proxy:
        yield proxy


@pytest.fixture
def proxy(proxies: Proxy) -> Iterator[Proxy]:
    """The same, whose faults a test must have met."""
    yield proxies
    assert not proxies.faults, "a fault that no request met"
    proxies.seen.clear()
    proxies.knows_conditions = False
    proxies.crc32 = "ignored"


@pytest.fixture
def driver(proxy: Proxy) -> Iterator[S3Backend]:
    """A driver behind the proxy that looks before it writes."""
    backend = driver_through(proxy)
    yield backend
    backend.close()
