"""What the S3 driver sends, with which credentials and options, and how it finds out what a store can do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import urllib3

from storage_backends.base import FreshKey, StorageBackend
from storage_backends.errors import (
    BackendUnavailable,
    InvalidOptions,
    ObjectExists,
    ObjectNotFound,
)
from storage_backends.s3 import S3Backend, checksums
from storage_backends.testing import BackendContract, put, read, sample
from tests.backends.s3_proxy import Proxy, driver_through
from tests.certificates import authority
from tests.s3_server import S3Server, running_s3

_LARGE = sample(11 * 2**20 + 3)


@pytest.fixture(scope="class", autouse=True)
def _proxy_of_class(request: pytest.FixtureRequest, proxies: Proxy) -> None:
    if request.cls is not None:
        request.cls.proxy = proxies


def test_bodies_carry_their_md5_and_conditions(proxy: Proxy) -> None:
    proxy.knows_conditions = True
    driver = driver_through(proxy, conditional_put="auto", sse="s3", storage_class="STANDARD_IA")
    put(driver, "small", b"data")
    put(driver, "large", _LARGE)
    puts = [(path, headers) for method, path, headers in proxy.seen if method == "PUT"]
    assert all("Content-MD5" in headers for _, headers in puts)
    assert all("x-amz-content-sha256" in {name.lower() for name in headers} for _, headers in puts)
    small = next(headers for path, headers in puts if path.endswith("small%21"))
    assert small["If-None-Match"] == "*"
    begin = next(headers for method, path, headers in proxy.seen if path.endswith("?uploads="))
    for headers in (small, begin):
        lower = {name.lower(): value for name, value in headers.items()}
        assert lower["x-amz-server-side-encryption"] == "AES256"
        assert lower["x-amz-storage-class"] == "STANDARD_IA"
        assert "x-amz-server-side-encryption" in lower["authorization"]
    finish = [h for method, path, h in proxy.seen if method == "POST" and "uploadId" in path]
    assert finish[0]["If-None-Match"] == "*"
    driver.close()


def test_bytes_that_change_on_the_way_are_refused_by_the_store(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = S3Backend(s3_server.options("md5"))
    with monkeypatch.context() as patch:
        patch.setattr(driver, "_known_checksum", lambda _: checksums.md5(b"other"))
        with pytest.raises(BackendUnavailable, match="BadDigest"):
            put(driver, "changed", b"data")
    with pytest.raises(ObjectNotFound):
        driver.stat("changed")
    driver.close()


def test_connections_are_used_again(proxy: Proxy, driver: S3Backend) -> None:
    for number in range(20):
        put(driver, f"reuse/{number}", sample(1000))
        read(driver, f"reuse/{number}")
    pool = driver._client._pool.connection_from_url(proxy.endpoint)
    assert pool.num_connections == 1
    assert [len(some) for some in driver._client._sending._waiting.values()] == [1]


def test_a_presigned_url_needs_no_credentials(s3_server: S3Server) -> None:
    driver = S3Backend(s3_server.options("presigned"))
    put(driver, "shared/object", sample(5000))
    url = driver.presign("shared/object", seconds=60)
    assert urllib3.request("GET", url).data == sample(5000)
    assert urllib3.request("GET", url.replace("shared", "other")).status == 403
    driver.close()


def test_credentials_in_files_are_read_again(s3_server: S3Server, tmp_path: Path) -> None:
    access, secret = tmp_path / "access", tmp_path / "secret"
    access.write_text("vna-access\n")
    secret.write_text("old")
    driver = S3Backend(
        s3_server.options(
            "files", access_key="", secret_key="",
            access_key_file=str(access), secret_key_file=str(secret),
        )
    )  # fmt: skip
    with pytest.raises(BackendUnavailable, match="secret_key"):
        put(driver, "object", b"data")
    secret.write_text("vna-secret-key")
    put(driver, "object", b"data")
    secret.unlink()
    with pytest.raises(BackendUnavailable, match="credentials can't be read"):
        read(driver, "object")
    driver.close()


def test_credentials_of_other_tools_are_understood(s3_server: S3Server, tmp_path: Path) -> None:
    shared = tmp_path / "credentials"
    shared.write_text(
        "[archive]\naws_access_key_id = vna-access\naws_secret_access_key = vna-secret-key\n"
    )
    driver = S3Backend(
        s3_server.options(
            "shared", access_key="", secret_key="",
            credentials_file=str(shared), profile="archive",
        )
    )  # fmt: skip
    put(driver, "object", b"data")
    driver.close()


def test_what_is_not_the_archives_is_not_told(s3_server: S3Server) -> None:
    driver = S3Backend(s3_server.options("mixed"))
    put(driver, "ours.dcm", b"data")
    driver._client.put("mixed/README.TXT", b"theirs", only_new=False)
    assert [info.key for info in driver.scan()] == ["ours.dcm"]
    driver.close()


class TestConditionalS3(BackendContract):
    """The contract where the store itself refuses names that are taken."""

    proxy: ClassVar[Proxy]

    @pytest.fixture(autouse=True)
    def _conditional(self) -> Iterator[None]:
        yield
        self.proxy.knows_conditions = False

    def make_backend(self, directory: Path) -> StorageBackend:
        self.proxy.knows_conditions = True
        return driver_through(self.proxy, conditional_put="auto")

    def test_it_found_out(self) -> None:
        put(self.backend, "first", b"")
        assert isinstance(self.backend, S3Backend)
        assert self.backend._is_conditional is True


def test_a_store_that_ignores_conditions_is_looked_at_first(proxy: Proxy) -> None:
    driver = driver_through(proxy, conditional_put="auto")
    put(driver, "first", b"one")
    assert driver._is_conditional is False
    with pytest.raises(ObjectExists):
        put(driver, "first", b"two")
    assert read(driver, "first") == b"one"
    assert [info.key for info in driver.scan()] == ["first"]
    driver.close()


@pytest.mark.parametrize("size", [1000, 11 * 2**20])
def test_nobody_asks_whether_a_key_made_at_random_is_taken(proxy: Proxy, size: int) -> None:
    driver = driver_through(proxy, conditional_put="no")
    put(driver, FreshKey("fresh"), sample(size))
    looked = [path for method, path, _ in proxy.seen[:1] if method == "HEAD"]
    assert not looked
    assert len(proxy.seen) == 1 or size > 2**20
    assert read(driver, "fresh") == sample(size)
    driver.close()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"endpoint": "s3.example.org"}, "endpoint"),
        ({"bucket": "UPPER"}, "bucket"),
        ({"prefix": "/x/"}, "prefix"),
        ({"addressing": "host"}, "addressing"),
        ({"secret_key": ""}, "secret_key"),
        ({"sse": "kms"}, "sse_key_id"),
        ({"sse": "customer"}, "sse_key_file"),
        ({"part_bytes": 2**20}, "part_size"),
        ({"ca_file": "/no/such/file"}, "ca_file"),
        ({"ca_file": __file__, "endpoint": "https://s3.example.org"}, "in PEM"),
        ({"checksum": "sha256"}, "checksum"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(
    s3_server: S3Server, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidOptions, match=named):
        S3Backend(s3_server.options(**options))


def test_tls_with_a_ca_of_ones_own(tmp_path: Path) -> None:
    hospital = authority()
    tls = hospital.write(tmp_path, "s3")
    (tmp_path / "other.pem").write_bytes(authority("stranger").pem())
    with running_s3(tmp_path / "server", tls=tls) as server:
        driver = S3Backend(server.options(ca_file=str(tls.ca)))
        put(driver, "object", _LARGE)
        assert read(driver, "object") == _LARGE
        driver.close()
        for stranger in (str(tmp_path / "other.pem"), ""):
            driver = S3Backend(server.options(ca_file=stranger, conditional_put="yes"))
            with pytest.raises(BackendUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                read(driver, "object")
            with pytest.raises(BackendUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                put(driver, "another", b"data")
            driver.close()


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({"endpoint": "https://s3.example.org"}, "https://s3.example.org/archive/object"),
        (
            {"endpoint": "https://s3.example.org", "addressing": "virtual"},
            "https://archive.s3.example.org/object",
        ),
        (
            {"endpoint": "https://s3.eu-central-1.amazonaws.com"},
            "https://archive.s3.eu-central-1.amazonaws.com/object",
        ),
        (
            {"endpoint": "https://s3.eu-central-1.amazonaws.com", "addressing": "path"},
            "https://s3.eu-central-1.amazonaws.com/archive/object",
        ),
    ],
)
def test_the_bucket_stands_where_the_store_wants_it(
    s3_server: S3Server, options: dict[str, str], start: str
) -> None:
    driver = S3Backend(s3_server.options(region="eu-central-1", object_suffix="", **options))
    assert driver.presign("object", seconds=5).startswith(start + "?")
    driver.close()
