"""A connection in TLS: the same transport, its bytes through an SSL object in memory (PS3.15 B.12)."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

from vna.dimse.errors import ConnectionLost, PeerTimeout
from vna.dimse.transport import (
    RECEIVE_BUFFER_LENGTH,
    Buffer,
    Clock,
    TimedOut,
    Transport,
)

_PIECE = 524288  # plain bytes that are encrypted at a time


class TlsFailed(ConnectionLost):
    """No TLS connection came about, or the peer broke it; trying again will hardly help."""

    transient = False


class TlsTransport(Transport):
    """Why an SSL object in memory and no SSLSocket: the socket stays ours, so another thread can cut
    it at any moment, also in the handshake, and half a megabyte goes out in one system call.

    The SSL object may not be used by two threads at once: a lock is held while bytes go through it,
    never while waiting.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        half_open_after: float = 0.0,
    ) -> None:
        """As server, or with `server_hostname` as client. Nothing is sent before `handshake`."""
        super().__init__(sock, half_open_after=half_open_after)
        self._lock = threading.Lock()
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._cipher_view = memoryview(bytearray(RECEIVE_BUFFER_LENGTH))
        self._unsent = memoryview(b"")
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_hostname is None,
            server_hostname=server_hostname,
        )

    @property
    def version(self) -> str:
        """The protocol version that was negotiated, as "TLSv1.3"."""
        return self._tls.version() or ""

    def handshake(self, clock: Clock) -> None:
        """Negotiate until `clock` is over. Raises TlsFailed, PeerTimeout; the socket stays open."""
        try:
            while not self._shake():
                self._flush(clock)
                if not self._fill_within(clock):
                    raise TlsFailed("the connection was cut in the TLS handshake")
            self._flush(clock)
        except TimedOut as exc:
            raise PeerTimeout("the TLS handshake took too long") from exc
        except (ssl.SSLError, ssl.CertificateError) as exc:
            self._flush_alert()
            raise TlsFailed(f"no TLS: {_reason(exc)}") from exc

    def receive_now(self) -> memoryview | None:
        """As of Transport. A connection that ends without TLS's farewell counts as closed."""
        with self._lock:
            try:
                return self._decrypted()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return self._view[:0]
            except ssl.SSLError as exc:
                raise TlsFailed(f"the TLS connection broke: {_reason(exc)}") from exc

    def farewell(self) -> None:
        """Send a close_notify, if that takes no waiting."""
        with contextlib.suppress(ssl.SSLError, OSError, ValueError), self._lock:
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.unwrap()
            self._flush_now()

    def _send_batch(self, batch: list[Buffer], clock: Clock) -> None:
        data = memoryview(b"".join(batch))
        for start in range(0, len(data), _PIECE):
            with self._lock:
                try:
                    self._tls.write(data[start : start + _PIECE])
                except ssl.SSLError as exc:
                    raise TlsFailed(f"the TLS connection broke: {_reason(exc)}") from exc
            self._flush(clock)

    def _shake(self) -> bool:
        """One step of the handshake; False when the peer has to say something first."""
        with self._lock:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                return False
            return True

    def _fill_within(self, clock: Clock) -> bool:
        """Wait for bytes of the peer; False when it has closed. Raises TimedOut, ConnectionLost."""
        while True:
            if clock.remaining <= 0:
                raise TimedOut("nothing more was received")
            with self._lock:
                size = self._read_cipher()
            if size is not None:
                clock.passed(size)
                return size > 0
            self._wait(self._readable, clock)
            self._was_woken()

    def _decrypted(self) -> memoryview | None:
        """All that is there, as far as the buffer goes."""
        size = 0
        while size < len(self._view):
            try:
                taken = self._read_plain(self._view[size:])
            except ssl.SSLWantReadError:
                if size:
                    break
                if self._read_cipher() is None:
                    return None
                continue
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                if size:
                    break
                raise
            if not taken:
                break
            size += taken
        return self._view[:size]

    def _read_plain(self, view: memoryview) -> int:
        taken: int | bytes = self._tls.read(len(view), view)
        return taken if isinstance(taken, int) else len(taken)

    def _read_cipher(self) -> int | None:
        """Give the SSL object what has arrived; None: nothing has, 0: the peer closed."""
        try:
            size = self._sock.recv_into(self._cipher_view)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            size = 0
        except OSError as exc:
            raise ConnectionLost(f"the connection broke: {exc}") from exc
        if size:
            self._incoming.write(self._cipher_view[:size])
        else:
            self._incoming.write_eof()
        return size

    def _flush(self, clock: Clock) -> None:
        """Send all that the SSL object has to say. Raises TimedOut, ConnectionLost."""
        while True:
            with self._lock:
                try:
                    sent, is_done = self._flush_now()
                except OSError as exc:
                    raise ConnectionLost(f"the connection broke: {exc}") from exc
            clock.passed(sent)
            if is_done:
                return
            if clock.remaining <= 0:
                raise TimedOut("the peer does not take what is sent")
            self._wait(self._writable, clock)

    def _flush_now(self) -> tuple[int, bool]:
        """(bytes sent, whether that was all). Cipher bytes stay in order whoever sends them."""
        total = 0
        while self._unsent or self._outgoing.pending:
            if not self._unsent:
                self._unsent = memoryview(self._outgoing.read())
            try:
                sent = self._sock.send(self._unsent)
            except BlockingIOError:
                return total, False
            self._unsent = self._unsent[sent:]
            total += sent
        return total, True

    def _flush_alert(self) -> None:
        """Tell the peer why, if that takes no waiting."""
        with contextlib.suppress(OSError), self._lock:
            self._flush_now()


def secure(
    sock: socket.socket,
    context: ssl.SSLContext,
    clock: Clock,
    *,
    server_hostname: str | None = None,
    half_open_after: float = 0.0,
) -> TlsTransport:
    """A transport over `sock` once the handshake is done; `server_hostname` (name or address) makes
    us the client.

    Raises TlsFailed, PeerTimeout, ConnectionLost; the socket is closed then.
    """
    transport = TlsTransport(
        sock, context, server_hostname=server_hostname, half_open_after=half_open_after
    )
    try:
        transport.handshake(clock)
    except BaseException:
        transport.close()
        raise
    return transport


def _reason(error: Exception) -> str:
    """What OpenSSL says, without its file and line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else str(error)
