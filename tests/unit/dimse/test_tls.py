"""TLS contexts and the transport on them: who is let in, what is refused, and what survives."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.certificates import authority
from vna.dimse.errors import ConnectionLost, PeerTimeout
from vna.dimse.tls import (
    BadCredentials,
    Credentials,
    Watched,
    client_context,
    server_context,
    watched_server,
)
from vna.dimse.tls_transport import TlsFailed, TlsTransport, secure
from vna.dimse.transport import Deadline, Patience, TimedOut, Transport

LONG = 60.0
HOST = "127.0.0.1"


@pytest.fixture
def files(tmp_path: Path) -> Credentials:
    return authority().write(tmp_path / "server", "archive")


def linked(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[TlsTransport, TlsTransport]:
    """Two ends of one TLS connection. Raises what either handshake raises."""
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor(1) as pool:
        accepting = pool.submit(secure, ours, server, Deadline(LONG))
        try:
            connected = secure(theirs, client, Deadline(LONG), server_hostname=HOST)
        except BaseException:
            with contextlib.suppress(ConnectionLost):
                accepting.result().close()
            raise
        try:
            return accepting.result(), connected
        except BaseException:
            connected.close()
            raise


@contextlib.contextmanager
def connection(credentials: Credentials) -> Iterator[tuple[TlsTransport, TlsTransport]]:
    """A mutual connection: server, client."""
    server, client = linked(server_context(credentials), client_context(credentials))
    yield server, client
    server.close()
    client.close()


def read(transport: Transport, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = transport.receive(Patience(LONG))
        assert piece
        data += piece
    return bytes(data)


def test_bytes_come_through_as_they_are(files: Credentials) -> None:
    with connection(files) as (server, client):
        assert server.version == "TLSv1.3"
        assert server.receive_now() is None
        client.send([(b"abc", memoryview(b"def"))], Patience(LONG))
        assert read(server, 6) == b"abcdef"


def test_megabytes_go_both_ways_at_once_from_several_threads(files: Credentials) -> None:
    block = bytes(range(256)) * 4096
    count = 8

    def talk(transport: Transport) -> bytes:
        def send() -> None:
            transport.send([(block[:12], block[12:])] * count, Patience(LONG))

        sending = threading.Thread(target=send)
        sending.start()
        received = read(transport, count * len(block))
        sending.join(LONG)
        return received

    with connection(files) as (server, client), ThreadPoolExecutor(2) as pool:
        assert set(pool.map(talk, (server, client))) == {block * count}


def test_the_end_of_the_peer_is_an_end_with_and_without_farewell(files: Credentials) -> None:
    for say_goodbye in (True, False):
        with connection(files) as (server, client):
            client.send([(b"last",)], Patience(LONG))
            if say_goodbye:
                client.farewell()
            client.close()
            assert read(server, 4) == b"last"
            end = server.receive(Patience(LONG))
            assert end is not None
            assert not end


def test_a_wake_ends_a_wait(files: Credentials) -> None:
    with connection(files) as (server, _):
        server.wake()
        assert server.receive(Patience(LONG)) is None


def test_garbage_inside_the_connection_ends_it(files: Credentials) -> None:
    with connection(files) as (server, client):
        client._sock.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(TlsFailed):
            server.receive(Patience(LONG))


def test_a_peer_that_does_not_read_is_given_up(files: Credentials) -> None:
    with connection(files) as (server, _), pytest.raises(TimedOut):
        server.send(((bytes(65536),) for _ in range(1000)), Patience(0.01))


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_a_handshake_that_stalls_ends_with_its_time(files: Credentials, said: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(said)
        with pytest.raises(PeerTimeout):
            secure(ours, server_context(files), Deadline(0.01))
        assert ours.fileno() == -1


def test_a_handshake_can_be_cut_from_another_thread(files: Credentials) -> None:
    ours, theirs = socket.socketpair()
    transport = TlsTransport(ours, server_context(files))
    with theirs, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(transport.handshake, Deadline(LONG))
        transport.shutdown()
        with pytest.raises(TlsFailed):
            waiting.result(LONG)
    transport.close()


@pytest.mark.parametrize(
    "hello", [b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00\x00\x00\x00\x44" + bytes(68)]
)
def test_what_is_no_tls_is_refused(files: Credentials, hello: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(hello)
        with pytest.raises(TlsFailed, match="no TLS"):
            secure(ours, server_context(files), Deadline(LONG))


def test_mutual_tls_wants_a_certificate_of_the_ca(files: Credentials, tmp_path: Path) -> None:
    server = server_context(files)
    stranger = authority("Another CA").write(tmp_path / "stranger", "modality")
    for credentials in (Credentials(ca=files.ca), replace(stranger, ca=files.ca)):
        client = client_context(credentials)
        with pytest.raises(TlsFailed):
            linked(server, client)


def test_without_a_ca_every_peer_may_come(files: Credentials) -> None:
    server, client = linked(
        server_context(replace(files, ca=None)), client_context(Credentials(ca=files.ca))
    )
    client.send([(b"hello",)], Patience(LONG))
    assert read(server, 5) == b"hello"
    server.close()
    client.close()


def test_a_client_believes_only_its_ca(files: Credentials) -> None:
    server = server_context(replace(files, ca=None))
    with pytest.raises(TlsFailed, match="certificate not accepted"):
        linked(server, client_context(Credentials()))


def test_the_name_of_the_server_counts_unless_told_otherwise(files: Credentials) -> None:
    server = server_context(replace(files, ca=None))
    strict, lenient = (
        client_context(Credentials(ca=files.ca), check_hostname=flag) for flag in (True, False)
    )
    for context, is_accepted in ((strict, False), (lenient, True)):
        ours, theirs = socket.socketpair()
        with ThreadPoolExecutor(1) as pool:
            accepting = pool.submit(secure, ours, server, Deadline(LONG))
            if is_accepted:
                secure(theirs, context, Deadline(LONG), server_hostname="other.example").close()
            else:
                with pytest.raises(TlsFailed, match="certificate not accepted"):
                    secure(theirs, context, Deadline(LONG), server_hostname="other.example")
            with contextlib.suppress(ConnectionLost):
                accepting.result(LONG).close()


def test_an_expired_certificate_is_refused(files: Credentials) -> None:
    assert files.certificate is not None
    assert files.key is not None
    expired = authority().issue("archive", is_expired=True)
    files.certificate.write_bytes(expired.certificate)
    files.key.write_bytes(expired.key)
    with pytest.raises(TlsFailed, match="expired"):
        linked(server_context(replace(files, ca=None)), client_context(Credentials(ca=files.ca)))


@pytest.mark.parametrize(
    ("limit", "ciphers"),
    [
        pytest.param(ssl.TLSVersion.TLSv1_1, "DEFAULT:@SECLEVEL=0", id="TLS 1.1"),
        pytest.param(
            ssl.TLSVersion.TLSv1_2, "AES128-SHA:AES256-SHA:@SECLEVEL=0", id="RSA key exchange"
        ),
        pytest.param(
            ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA", id="CBC"
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_and_weak_ciphers_are_refused(
    files: Credentials, limit: ssl.TLSVersion, ciphers: str
) -> None:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.minimum_version = client.maximum_version = limit
    client.set_ciphers(ciphers)
    client.load_verify_locations(str(files.ca))
    with pytest.raises(TlsFailed):
        linked(server_context(replace(files, ca=None)), client)


def test_tls_1_2_has_forward_secrecy(files: Credentials) -> None:
    client = client_context(files)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    server, connected = linked(server_context(files), client)
    cipher = server._tls.cipher()
    assert cipher is not None
    assert cipher[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    server.close()
    connected.close()


def broken(files: Credentials, what: str) -> Credentials:
    """The credentials with one thing wrong."""
    assert files.key is not None
    directory = files.key.parent
    other = authority().issue("other", password=b"secret")
    contents = {
        "other.key": authority().issue("x").key,
        "no.pem": b"no certificate",
        "enc.pem": other.certificate,
        "enc.key": other.key,
        "password": b"guess",
        "empty.ca": b"",
    }
    for name, data in contents.items():
        (directory / name).write_bytes(data)
    encrypted = Credentials(directory / "enc.pem", directory / "enc.key")
    return {
        "no certificate": Credentials(),
        "missing file": replace(files, certificate=directory / "none.pem"),
        "missing key": replace(files, key=directory / "none.key"),
        "other key": replace(files, key=directory / "other.key"),
        "no PEM": replace(files, certificate=directory / "no.pem"),
        "encrypted key": encrypted,
        "wrong password": replace(encrypted, key_password_file=directory / "password"),
        "missing ca": replace(files, ca=directory / "none.ca"),
        "empty ca": replace(files, ca=directory / "empty.ca"),
    }[what]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no certificate", "needs a certificate"),
        ("missing file", "none.pem cannot be read: No such file"),
        ("missing key", "none.key cannot be read: No such file"),
        ("other key", "other.key does not belong to the certificate in .*archive.pem"),
        ("no PEM", "no.pem"),
        ("encrypted key", "enc.key is encrypted"),
        ("wrong password", "enc.key is encrypted and key_password_file does not open it"),
        ("missing ca", "none.ca cannot be read"),
        ("empty ca", "empty.ca holds no CA"),
    ],
)
def test_what_cannot_work_is_named(files: Credentials, what: str, message: str) -> None:
    with pytest.raises(BadCredentials, match=message):
        server_context(broken(files, what))


def test_a_key_may_have_a_password(tmp_path: Path) -> None:
    issued = authority().issue("archive", password=b"secret")
    paths = [tmp_path / name for name in ("certificate", "key", "password")]
    for path, data in zip(paths, (issued.certificate, issued.key, b"secret\n"), strict=True):
        path.write_bytes(data)
    server_context(Credentials(*paths))


def test_changed_files_are_used_and_broken_ones_are_not(
    files: Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    assert files.certificate is not None
    assert files.key is not None
    caplog.set_level("INFO")
    watched = watched_server(files)
    first = watched.current()
    assert watched.current() is first
    renewed = authority().issue("archive")
    files.certificate.write_bytes(renewed.certificate)  # the key comes later
    assert watched.current() is first
    assert watched.current() is first
    assert caplog.text.count("the former ones stay in force") == 1
    files.key.write_bytes(renewed.key)
    second = watched.current()
    assert second is not first
    server, client = linked(second, client_context(files))
    server.close()
    client.close()
    files.certificate.unlink()
    assert watched.current() is second
    assert "none.pem" not in caplog.text
    assert str(files.certificate) in caplog.text


def test_what_is_watched_is_made_again_once_per_change(tmp_path: Path) -> None:
    path, made = tmp_path / "file", []
    path.write_text("1")

    def make() -> int:
        made.append(path.read_text())
        return len(made)

    watched = Watched((path,), make)
    assert [watched.current(), watched.current()] == [1, 1]
    path.write_text("twenty")
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: watched.current(), range(50))) <= {1, 2}  # nobody waits
    assert watched.current() == 2
    assert made == ["1", "twenty"]
