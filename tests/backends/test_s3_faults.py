"""An S3 store that fails in every way it can: nothing acknowledged is lost, nothing wrong is taken for right."""

from __future__ import annotations

import io

import pytest

from storage_backends.base import StorageBackend
from storage_backends.digests import digest_of
from storage_backends.errors import (
    BackendFull,
    BackendReadOnly,
    BackendUnavailable,
    IntegrityError,
    ObjectExists,
    ObjectNotFound,
)
from storage_backends.retrying import RetryingBackend
from storage_backends.s3 import S3Backend
from storage_backends.testing import put, read, sample
from tests.backends.s3_proxy import Fault, Proxy, driver_through
from tests.s3_server import S3Server

_LARGE = sample(11 * 2**20 + 3)
_SOON = 1.0
"""Seconds after which a store that hangs is given up here."""


def _patient(driver: StorageBackend) -> RetryingBackend:
    return RetryingBackend(driver, base_delay=0.001)


_PASSING = (
    Fault(status=500, code="InternalError"),
    Fault(status=503, code="SlowDown"),
    Fault(status=503, code=""),
    Fault(status=429, code="TooManyRequests"),
    Fault(status=502, code="<html>"),
    Fault(status=400, code="RequestTimeout"),
    Fault(status=400, code="BadDigest"),
    Fault(status=403, code="ExpiredToken"),
    Fault("reset"),
    Fault("cut"),
    Fault("reset body"),
)


@pytest.mark.parametrize("fault", _PASSING, ids=lambda f: f"{f.kind} {f.status} {f.code}")
def test_what_passes_is_borne_by_every_call(proxy: Proxy, driver: S3Backend, fault: Fault) -> None:
    backend = _patient(driver)
    data = sample(200_000)
    is_of_body = fault.kind in {"cut", "reset body"}
    proxy.faults += [] if is_of_body else [fault]
    put(backend, "borne", data)
    proxy.faults += [fault]
    assert read(backend, "borne") == data
    proxy.faults += [fault]
    assert read(backend, "borne", 50_000, 100_000) == data[50_000:150_000]
    proxy.faults += [] if is_of_body else [fault]
    assert backend.stat("borne").size == len(data)
    proxy.faults += [] if is_of_body else [fault]
    backend.delete("borne")
    with pytest.raises(ObjectNotFound):
        backend.stat("borne")


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("fault", ["answer", "reset", "lost"])
def test_a_large_object_bears_it_too(
    proxy: Proxy, driver: S3Backend, method: str, fault: str
) -> None:
    proxy.faults.append(Fault(fault, method=method))
    put(_patient(driver), "large", _LARGE)
    assert read(driver, "large") == _LARGE


def test_an_answer_that_was_lost_is_no_conflict(proxy: Proxy) -> None:
    proxy.knows_conditions = True
    driver = driver_through(proxy, conditional_put="yes")
    proxy.faults.append(Fault("lost", method="PUT"))
    info = put(_patient(driver), "lost", b"data")
    assert info.size == 4
    assert read(driver, "lost") == b"data"
    with pytest.raises(ObjectExists):
        put(_patient(driver), "lost", b"other")
    driver.close()


def test_a_store_that_hangs_is_given_up(proxy: Proxy) -> None:
    driver = driver_through(proxy, read_timeout=_SOON)
    for call in (
        lambda: put(driver, "hangs", b"data"),
        lambda: driver.stat("hangs"),
        lambda: driver.open("hangs"),
        lambda: list(driver.scan()),
        lambda: driver.delete("hangs"),
    ):
        proxy.faults.append(Fault("hang"))
        with pytest.raises(BackendUnavailable, match=r"timed? ?out"):
            call()
    driver.close()


def test_a_store_that_is_not_there_is_named(s3_server: S3Server) -> None:
    driver = S3Backend(s3_server.options(endpoint="http://127.0.0.1:9"))
    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1.*refused"):
        put(driver, "nowhere", b"data")
    driver.close()


def test_bytes_that_stop_coming_are_an_error_not_an_end(proxy: Proxy, driver: S3Backend) -> None:
    put(driver, "stops", sample(300_000))
    for kind in ("cut", "reset body"):
        proxy.faults.append(Fault(kind))
        with driver.open("stops") as reader, pytest.raises(BackendUnavailable):
            while reader.read(2**16):
                pass


def test_a_full_store_is_full(proxy: Proxy, driver: S3Backend) -> None:
    for fault in (
        Fault(status=507, code="XMinioStorageFull"),
        Fault(status=507, code=""),
        Fault(status=403, code="QuotaExceeded"),
    ):
        proxy.faults.append(Fault(method="PUT", status=fault.status, code=fault.code))
        with pytest.raises(BackendFull):
            put(driver, "full", b"data")
    put(driver, "full", b"data")


@pytest.mark.parametrize("data", [b"data", _LARGE], ids=["in one request", "in parts"])
def test_a_store_that_may_only_be_read_takes_nothing(
    proxy: Proxy, driver: S3Backend, data: bytes
) -> None:
    method = "PUT" if data == b"data" else "POST"
    proxy.faults.append(Fault(method=method, status=403, code="AccessDenied"))
    with pytest.raises(BackendReadOnly, match="PutObject"):
        put(driver, "refused", data)
    proxy.faults.append(Fault(status=403, code="AccessDenied"))
    with pytest.raises(BackendUnavailable) as refused:
        driver.open("refused")
    assert not isinstance(refused.value, BackendReadOnly)


@pytest.mark.parametrize(
    ("code", "status", "remedy"),
    [
        ("NoSuchBucket", 404, "make the bucket"),
        ("AccessDenied", 403, "PutObject"),
        ("InvalidAccessKeyId", 403, "access_key"),
        ("SignatureDoesNotMatch", 403, "secret_key"),
        ("ExpiredToken", 400, "renew the session credentials"),
        ("RequestTimeTooSkewed", 403, "clocks"),
    ],
)
def test_errors_name_cause_and_remedy(
    proxy: Proxy, driver: S3Backend, code: str, status: int, remedy: str
) -> None:
    proxy.faults.append(Fault(method="PUT", status=status, code=code))
    with pytest.raises(BackendUnavailable, match=f"{code}.*{remedy}"):
        put(driver, "refused", b"data")
    with pytest.raises(ObjectNotFound):
        driver.stat("refused")


def test_wrong_credentials_are_told_by_the_real_server(s3_server: S3Server) -> None:
    for options, cause in (
        ({"access_key": "somebody-else"}, "InvalidAccessKeyId.*'access_key'"),
        ({"secret_key": "not-the-secret"}, "SignatureDoesNotMatch.*'secret_key'"),
        ({"bucket": "no-such-bucket"}, "NoSuchBucket"),
    ):
        driver = S3Backend(s3_server.options(conditional_put="no", **options))
        with pytest.raises(BackendUnavailable, match=cause):
            driver.probe()
        driver.close()


def test_a_large_object_that_was_not_made_is_not_acknowledged(
    proxy: Proxy, driver: S3Backend
) -> None:
    proxy.faults.append(Fault(method="POST", part="uploadId", status=200, code="InternalError"))
    with pytest.raises(BackendUnavailable, match="not made of its parts"):
        put(driver, "not-made", _LARGE)
    put(driver, "not-made", _LARGE)
    assert read(driver, "not-made") == _LARGE


def test_an_upload_that_fails_is_given_up(proxy: Proxy, driver: S3Backend) -> None:
    proxy.faults.append(Fault(method="PUT", part="partNumber=2", status=500))
    with pytest.raises(BackendUnavailable):
        put(driver, "aborted", _LARGE)
    assert ("DELETE", "uploadId") in [
        (method, path.partition("?")[2].partition("=")[0]) for method, path, _ in proxy.seen
    ]
    assert list(driver.scan()) == []


def test_a_source_that_lies_about_its_size_leaves_nothing(driver: S3Backend) -> None:
    data = sample(6 * 2**20)
    with pytest.raises(IntegrityError):
        driver.put("lies", io.BytesIO(data), size=len(data) + 5, digest=digest_of(data))
    assert list(driver.scan()) == []
