"""The body of a request, read into memory of the caller's, with an end to every wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from gunicorn.http.body import Body, LengthReader
from gunicorn.http.errors import ParseException
from gunicorn.http.unreader import SocketUnreader
from werkzeug.exceptions import ClientDisconnected

from dicomweb.admission import CONTINUES
from dicomweb.multipart import Event, MultipartDecoder, MultipartError, TruncatedBody

GRACE = 30.0
"""Seconds of waiting for a client before the rate of its upload counts."""


class SlowBody(TruncatedBody):
    """A client that only trickles: it would hold its place for ever."""


class RequestBody:
    """Reads what a client sends.

    From gunicorn's socket the bytes go straight into the caller's memory, where its own reader copies them
    four times. `least_rate`: bytes a second that a client has to send on average once GRACE is over, of
    the time spent on waiting for it.
    """

    def __init__(
        self,
        environ: dict[str, Any],
        least_rate: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = environ["wsgi.input"]
        self._least_rate, self._clock = least_rate, clock
        self._waited = 0.0
        self.received = 0
        self._reader = _socket_reader(self._stream)
        self._proceed: Callable[[], None] | None = environ.get(CONTINUES)

    def readinto(self, target: memoryview) -> int:
        """How many bytes came, 0 at the end of the body.

        Raises TruncatedBody when the connection breaks or stalls, MultipartError when the chunks of the transfer
        coding are malformed, SlowBody for a client that trickles.
        """
        started = self._clock()
        try:
            if self._proceed is not None:
                self._proceed()
                self._proceed = None
            count = self._from_socket(target) if self._reader else self._from_stream(target)
        except (OSError, ClientDisconnected) as exc:
            self._fail()
            raise TruncatedBody("the connection broke off or stalled inside the body") from exc
        except ParseException as exc:
            raise MultipartError("the body's chunked transfer coding is malformed") from exc
        self._waited += self._clock() - started
        self.received += count
        if self._waited > GRACE and self.received < self._waited * self._least_rate:
            self._fail()
            raise SlowBody(
                f"{self.received} bytes came in {self._waited:.0f} seconds: that is too slow"
            )
        return count

    def _from_stream(self, target: memoryview) -> int:
        data = self._stream.read(len(target))
        target[: len(data)] = data
        return len(data)

    def _from_socket(self, target: memoryview) -> int:
        reader = self._reader
        wanted: int = min(len(target), reader.length)
        if not wanted:
            return 0
        buffered = reader.unreader.take_buffered()
        if buffered:
            reader.unreader.unread(buffered[wanted:])
            count = min(len(buffered), wanted)
            target[:count] = buffered[:count]
        else:
            count = int(reader.unreader.sock.recv_into(target[:wanted]))
        if not count:
            raise ConnectionResetError("the client is gone")
        reader.length -= count
        return count

    def _fail(self) -> None:
        """Where the next request begins is unknown now: the connection must not serve one."""
        if self._reader:
            self._stream.failed = True


def _socket_reader(stream: Any) -> Any:
    """gunicorn's reader of a body of known length that comes from a socket, None for any other."""
    if type(stream) is not Body or stream.buf.tell() or type(stream.reader) is not LengthReader:
        return None
    return stream.reader if type(stream.reader.unreader) is SocketUnreader else None


def body_events(body: RequestBody, decoder: MultipartDecoder, piece: int) -> Iterator[Event]:
    """The events of a multipart body read in pieces of up to `piece` bytes or more.

    Raises MultipartError, TruncatedBody where it breaks, and as `RequestBody.readinto` does.
    """
    while not decoder.is_finished:
        count = body.readinto(decoder.room(piece))
        if not count:
            break
        decoder.received(count)
        while (event := decoder.next_event()) is not None:
            yield event
    decoder.finish()
