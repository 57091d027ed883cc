"""multipart/related bodies without I/O (RFC 2046 5.1, RFC 2387): bytes in, events out."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

MAX_HEADER_BYTES = 16 * 1024
MAX_PADDING = 256
MAX_PREAMBLE = 64 * 1024
"""What stands in front of the first boundary is for people to read (RFC 2046 5.1.1): a few lines."""

_BOUNDARY = re.compile(r"[ -~]{0,199}[!-~]")
_CLOSE = b"--"


class MultipartError(ValueError):
    """The body breaks the multipart syntax; the message says where."""


class TruncatedBody(MultipartError):
    """The body ended before its closing delimiter."""


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part starts; header names are lower case, of repeated ones the last counts."""

    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartData:
    """Some bytes of the current part, never empty."""

    data: memoryview


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The current part is complete."""


Event = PartBegin | PartData | PartEnd


class _State(Enum):
    PREAMBLE = "before its first boundary"
    HEADERS = "in the headers of a part"
    BODY_START = "right behind the headers of a part"
    BODY = "inside a part, without its closing boundary"
    EPILOGUE = "behind its closing boundary"


@dataclass(frozen=True, slots=True)
class _Delimiter:
    """A delimiter line: where it ends, and the newline it ends in (empty for the closing one)."""

    stop: int
    newline: bytes

    @property
    def is_close(self) -> bool:
        return not self.newline


_UNDECIDED = _Delimiter(-1, b"")
"""The buffer ends before it can be told whether this is a delimiter."""


class MultipartDecoder:
    """Splits a multipart body that arrives in pieces of any size.

    Call `receive_data` with each piece, or fill `room` and say so with `received`, then `next_event`
    until it returns None; call `finish` at the end of the body. The bytes of an event are good until
    the next piece comes. At most one piece, a delimiter and MAX_HEADER_BYTES are held. Lines may end in CRLF or,
    where the first delimiter line does, in LF alone. Parts may have no headers.
    """

    def __init__(self, boundary: str, buffer: bytearray | None = None) -> None:
        """`buffer`: memory to use, nobody else's meanwhile.

        Raises MultipartError for an empty, over-long or non-ASCII boundary.
        """
        if _BOUNDARY.fullmatch(boundary) is None:
            raise MultipartError("the multipart boundary is empty, too long or not printable ASCII")
        self._dashed = b"--" + boundary.encode("ascii")
        self._newline = b"\n"
        self._buffer = bytearray() if buffer is None else buffer
        self._position = self._end = self._skipped = 0
        self._state = _State.PREAMBLE
        # A newline in front of the first byte lets a delimiter stand at the very start.
        self.receive_data(b"\n")

    @property
    def held(self) -> int:
        """How many bytes wait for what comes next."""
        return self._end - self._position

    @property
    def is_finished(self) -> bool:
        """Whether the closing delimiter was seen: what follows means nothing."""
        return self._state is _State.EPILOGUE

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Add the next piece of the body; the events before it should have been taken."""
        size = len(data)
        self.room(size)[:size] = data
        self.received(size)

    def room(self, size: int) -> memoryview:
        """Memory for the next piece, of `size` bytes at least."""
        held = 0 if self.is_finished else self.held
        buffer = self._buffer
        if held + size > len(buffer):
            self._buffer = bytearray(held + size)
        self._buffer[:held] = buffer[self._position : self._position + held]
        self._position, self._end = 0, held
        return memoryview(self._buffer)[held:]

    def received(self, count: int) -> None:
        """`count` bytes of what `room` gave are the next piece."""
        self._end += count

    def next_event(self) -> Event | None:
        """The next event, or None when more data is needed. Raises MultipartError."""
        if self._state is _State.PREAMBLE:
            self._skip_preamble()
        if self._state is _State.HEADERS:
            return self._read_headers()
        if self._state is _State.BODY_START and (event := self._start_body()):
            return event
        if self._state is _State.BODY:
            return self._read_body()
        return None

    def finish(self) -> None:
        """The body has ended. Raises TruncatedBody unless the closing delimiter was seen."""
        if not self.is_finished:
            raise TruncatedBody(f"the multipart body ends {self._state.value}")

    def _skip_preamble(self) -> None:
        start = self._position
        self._position, delimiter = self._scan()
        self._skipped += self._position - start
        if self._skipped > MAX_PREAMBLE:
            raise MultipartError(f"no boundary in the first {MAX_PREAMBLE} bytes of the body")
        if delimiter is not None:
            self._pass(delimiter)

    def _pass(self, delimiter: _Delimiter) -> None:
        if delimiter.is_close:
            self._state, self._position = _State.EPILOGUE, self._end
            return
        self._state, self._position = _State.HEADERS, delimiter.stop
        self._newline = delimiter.newline

    def _read_headers(self) -> PartBegin | None:
        newline, start = self._newline, self._position
        if self._starts_with(newline, start):
            self._state = _State.BODY_START
            return PartBegin()
        end = self._buffer.find(newline + newline, start, self._end)
        if (end if end >= 0 else self._end) - start > MAX_HEADER_BYTES:
            raise MultipartError(f"the headers of a part exceed {MAX_HEADER_BYTES} bytes")
        if end < 0:
            return None
        headers = _parse_headers(bytes(self._buffer[start:end]))
        self._state, self._position = _State.BODY_START, end + len(newline)
        return PartBegin(headers)

    def _start_body(self) -> PartEnd | None:
        """The empty line behind the headers belongs to the delimiter when the part has no bytes."""
        delimiter = self._delimiter_at(self._position)
        if delimiter is _UNDECIDED:
            return None
        if delimiter is not None:
            self._pass(delimiter)
            return PartEnd()
        self._state = _State.BODY
        self._position += len(self._newline)
        return None

    def _read_body(self) -> PartData | PartEnd | None:
        start = self._position
        stop, delimiter = self._scan()
        if stop > start:
            self._position = stop
            return PartData(memoryview(self._buffer)[start:stop])
        if delimiter is None:
            return None
        self._pass(delimiter)
        return PartEnd()

    def _scan(self) -> tuple[int, _Delimiter | None]:
        """Up to where the buffer surely holds no delimiter, and the delimiter that begins there."""
        needle, end = self._newline + self._dashed, self._end
        at = self._buffer.find(needle, self._position, end)
        while at >= 0:
            delimiter = self._delimiter_at(at)
            if delimiter is not None:
                return at, None if delimiter is _UNDECIDED else delimiter
            at = self._buffer.find(needle, at + 1, end)
        tail = self._buffer.rfind(needle[:1], max(self._position, end - len(needle) + 1), end)
        if tail >= 0 and needle.startswith(bytes(self._buffer[tail:end])):
            return tail, None
        return end, None

    def _delimiter_at(self, at: int) -> _Delimiter | None:
        """The delimiter line whose leading newline is at `at`, None if it is none."""
        needle = self._newline + self._dashed
        behind = at + len(needle)
        if not self._starts_with(needle, at):
            rest = bytes(self._buffer[at : min(behind, self._end)])
            return _UNDECIDED if needle.startswith(rest) else None
        line = bytes(self._buffer[behind : min(behind + MAX_PADDING + 2, self._end)])
        if line.startswith(_CLOSE):
            return _Delimiter(behind + len(_CLOSE), b"")
        rest = line.lstrip(b" \t")
        padding = len(line) - len(rest)
        for newline in (b"\r\n", b"\n") if self._state is _State.PREAMBLE else (self._newline,):
            if rest.startswith(newline):
                return _Delimiter(behind + padding + len(newline), newline)
        if padding <= MAX_PADDING and (rest in {b"", b"\r"} or line == b"-"):
            return _UNDECIDED
        return None

    def _starts_with(self, prefix: bytes, at: int) -> bool:
        return self._buffer.startswith(prefix, at, self._end)


def _parse_headers(block: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    name = ""
    for line in block.decode("latin-1").splitlines():
        if line[:1] in {" ", "\t"} and name:
            headers[name] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or not name:
            raise MultipartError("a header line of a part has no name and colon")
        headers[name] = value.strip()
    return headers


class MultipartEncoder:
    """Frames parts of one multipart/related body; the caller sends what it returns, in order."""

    def __init__(self, part_type: str, boundary: str | None = None) -> None:
        """`part_type` is the media type announced for the parts, without parameters."""
        self.boundary = boundary if boundary is not None else secrets.token_hex(16)
        self.content_type = f'multipart/related; type="{part_type}"; boundary={self.boundary}'
        # The first delimiter has no newline in front of it: some clients expect the body to begin so.
        self._newline = ""

    def begin(self, content_type: str, **headers: str) -> bytes:
        """The delimiter and headers of the next part; `content_location="…"` is Content-Location."""
        lines = [f"{self._newline}--{self.boundary}", f"Content-Type: {content_type}"]
        self._newline = "\r\n"
        lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def end(self) -> bytes:
        """The closing delimiter."""
        return f"{self._newline}--{self.boundary}--\r\n".encode("ascii")


def events(decoder: MultipartDecoder, pieces: Iterable[bytes]) -> Iterator[Event]:
    """The events of a whole body. Raises MultipartError, TruncatedBody where it breaks."""
    for piece in pieces:
        decoder.receive_data(piece)
        while (event := decoder.next_event()) is not None:
            yield event
    decoder.finish()
