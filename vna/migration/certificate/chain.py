"""Lines of JSON that hang together: each carries the hash of the one before it, and its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from vna.errors import VnaError

NOTHING = "0" * 64
"""What the first line carries as the hash of the one before it."""

_LINE = re.compile(
    rb'(?P<body>\{"previous":"(?P<previous>[0-9a-f]{64})",[^\n]*),"hash":"(?P<hash>[0-9a-f]{64})"'
    rb'(?:,"signature":"(?P<signature>[0-9a-f]{128})")?\}\n'
)
_OPTIONS = orjson.OPT_UTC_Z


class NotProven(VnaError):
    """The file is not, or not any more, what was signed; the message names the first line that does not fit."""


@dataclass(frozen=True, slots=True)
class Link:
    """A line that fits: its values without the hashes. `signature` is empty but for the last line's."""

    values: Mapping[str, Any]
    own_hash: str
    signature: bytes


class ChainWriter:
    """Makes the lines, in their order. `count`: how many there are; `last`: the hash of the newest."""

    def __init__(self) -> None:
        self.count = 0
        self.last = NOTHING

    def line(self, values: Mapping[str, object]) -> bytes:
        """The next line. Its hash is that of all its bytes before `,"hash":`."""
        return self._add(values) + b"}\n"

    def seal(self, values: Mapping[str, object], sign: Callable[[str], bytes]) -> bytes:
        """The last line: `sign` gets its hash."""
        body = self._add(values)
        return b'%b,"signature":"%b"}\n' % (body, sign(self.last).hex().encode())

    def _add(self, values: Mapping[str, object]) -> bytes:
        text = orjson.dumps(values, option=_OPTIONS)
        body = b'{"previous":"%b",%b' % (self.last.encode(), text[1:-1])
        self.last = hashlib.sha256(body).hexdigest()
        self.count += 1
        return b'%b,"hash":"%b"' % (body, self.last.encode())


class ChainReader:
    """Takes the lines, in the same order. `count`: how many have fitted."""

    def __init__(self) -> None:
        self.count = 0
        self._last = NOTHING

    def follow(self, line: bytes) -> Link:
        """Raises NotProven for a line that does not fit behind those before it."""
        number = self.count + 1
        found = _LINE.fullmatch(line)
        if found is None:
            raise NotProven(_misshapen(number, line))
        own = found["hash"].decode()
        if hashlib.sha256(found["body"]).hexdigest() != own:
            raise NotProven(f"line {number} was changed: its hash is of another text")
        if found["previous"].decode() != self._last:
            raise NotProven(
                f"line {number} does not follow what is before it: lines were taken out, added or moved here"
            )
        try:
            values = orjson.loads(line)
        except orjson.JSONDecodeError as exc:
            raise NotProven(f"line {number} is not JSON: {exc}") from exc
        for name in ("previous", "hash", "signature"):
            values.pop(name, None)
        self._last, self.count = own, number
        return Link(values, own, bytes.fromhex((found["signature"] or b"").decode()))


def _misshapen(number: int, line: bytes) -> str:
    if not line.endswith(b"\n"):
        return f"line {number} is cut off"
    return f"line {number} is no line of a certificate"
