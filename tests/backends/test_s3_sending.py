"""How the S3 driver's bodies get to the store: checksums, connections, answers that come too early or make no sense."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from storage_backends.errors import (
    BackendReadOnly,
    BackendUnavailable,
    InvalidOptions,
    ObjectNotFound,
    StorageError,
)
from storage_backends.s3 import S3Backend, checksums
from storage_backends.s3.options import S3Options
from storage_backends.testing import put, read, sample
from tests.backends.s3_proxy import Fault, Proxy, driver_through
from tests.peers.peer import LOOPBACK

_LARGE = sample(11 * 2**20 + 3)
_CRC32, _MD5 = "x-amz-checksum-crc32", "content-md5"


def _covers(proxy: Proxy, key: str) -> list[str]:
    """By which checksum each body of an object was covered."""
    found: list[str] = []
    for method, path, headers in proxy.seen:
        names = {name.lower() for name in headers}
        if method == "PUT" and f"/{key}%21" in path:
            found.append(*(names & {_CRC32, _MD5}))
    return found


@pytest.mark.parametrize(
    ("store", "cover"), [("proven", _CRC32), ("ignored", _MD5), ("refused", _MD5)]
)
def test_the_cheapest_checksum_is_taken_that_the_store_proves(
    proxy: Proxy, store: str, cover: str
) -> None:
    proxy.crc32 = store
    driver = driver_through(proxy, checksum="auto")
    data = sample(100_000)
    put(driver, "one", data)
    put(driver, "two", data)
    put(driver, "large", _LARGE)
    assert read(driver, "one") == read(driver, "two") == data
    assert _covers(proxy, "one") == _covers(proxy, "two") == [cover]
    assert _covers(proxy, "large") == [_MD5] * 3
    assert {info.key for info in driver.scan()} == {"one", "two", "large"}
    driver.close()


def test_a_store_that_proves_refuses_other_bytes(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.crc32 = "proven"
    driver = driver_through(proxy, checksum="crc32")
    with monkeypatch.context() as patch:
        patch.setattr(driver, "_known_checksum", lambda _: checksums.crc32(b"other"))
        with pytest.raises(BackendUnavailable, match="ChecksumMismatch"):
            put(driver, "changed", b"data")
    with pytest.raises(ObjectNotFound):
        driver.stat("changed")
    driver.close()


def test_a_trial_that_failed_is_made_again(proxy: Proxy) -> None:
    proxy.crc32 = "proven"
    driver = driver_through(proxy, checksum="auto")
    proxy.faults.append(Fault(method="PUT"))
    with pytest.raises(BackendUnavailable, match="SlowDown"):
        put(driver, "object", b"data")
    put(driver, "object", b"data")
    assert _covers(proxy, "object") == [_CRC32]
    driver.close()


def test_a_body_has_one_of_the_known_checksums() -> None:
    with pytest.raises(InvalidOptions, match="auto or md5 or crc32"):
        S3Options(endpoint="http://s3.example.org", bucket="archive", checksum="none")


Turn = Callable[[socket.socket], Any]


@contextmanager
def _store(*turns: Turn) -> Iterator[S3Backend]:
    """A driver before a store that treats its connections as told, one after the other."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.settimeout(5.0)

        def serve() -> None:
            for turn in turns:
                connection, _ = listener.accept()
                with connection:
                    turn(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        driver = S3Backend(
            S3Options(
                endpoint=f"http://{LOOPBACK}:{listener.getsockname()[1]}",
                bucket="archive",
                access_key="key",
                secret_key="secret",
                checksum="md5",
                conditional_put="yes",
                read_timeout=5.0,
            )
        )
        try:
            yield driver
        finally:
            driver.close()
            thread.join()


def _says(answer: bytes, taking: int = 0) -> Turn:
    """Answers as soon as the head of the request has come, and `taking` bytes of the body."""

    def turn(connection: socket.socket) -> None:
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0 or len(data) - end - 4 < taking:
            piece = connection.recv(2**16)
            if not piece:
                return
            data += piece
        connection.sendall(answer)

    return turn


def _with(status: str, body: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_STORED = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 0\r\n\r\n'
_DENIED = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
_BIG = sample(8 * 2**20)


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (_with("403 Forbidden", _DENIED), BackendReadOnly, "AccessDenied"),
        (_with("403 Forbidden"), BackendReadOnly, "AccessDenied"),
        (_with("413 Too Large", b"<html>too large"), BackendUnavailable, "413 <html>too large"),
        (_with("503 Slow", b"later"), BackendUnavailable, "later"),
        (b"220 mail.example.org\r\n", BackendUnavailable, "no answer in HTTP"),
        (_with("200 OK", b"<html>who are you?"), BackendUnavailable, "200 <html>who"),
        (_STORED[:12], BackendUnavailable, "200"),
        (b"", BackendUnavailable, "failed"),
    ],
    ids=["words", "no words", "page", "text", "no HTTP", "portal", "cut", "nothing"],
)
def test_what_is_said_of_a_body_is_told(
    answer: bytes, error: type[StorageError], told: str
) -> None:
    with _store(_says(answer, taking=4)) as driver, pytest.raises(error, match=told):
        put(driver, "object", b"data")


def test_nothing_is_stored_that_the_store_did_not_read() -> None:
    """It says so, but it ended the connection in the middle of the body."""
    with _store(_says(_STORED)) as driver, pytest.raises(BackendUnavailable):
        put(driver, "object", _BIG)


def test_a_connection_that_the_store_has_ended_is_not_used_again() -> None:
    stored = _says(_STORED, taking=4)
    with _store(stored, stored) as driver:
        put(driver, "one", b"data")
        (connection,) = driver._client._sending._waiting[driver._options.host]
        # Its end has come: a byte of it can be read.
        assert connection.sock.recv(1, socket.MSG_PEEK) == b""
        put(driver, "two", b"data")


def test_connections_that_were_closed_are_not_kept() -> None:
    with _store(_says(_STORED, taking=4)) as driver:
        driver._client.close()
        driver._client.put("object", b"data", only_new=False)
        assert not driver._client._sending._waiting.get(driver._options.host)
