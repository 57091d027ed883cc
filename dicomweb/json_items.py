"""The objects of a JSON array, each as soon as it is there: many of them in the memory of one."""

from __future__ import annotations

import re
from collections.abc import Iterator

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TO_QUOTE = rb'[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PLAIN = rb'[^"{}\[\]]++|"' + _TO_QUOTE
_NESTED = rb"[\[{](?:%b)*+[\]}]" % _PLAIN
_ELEMENT = rb"[\[{](?:%b|%b)*+[\]}]" % (_PLAIN, _NESTED)  # most of what a dataset holds
_REST_OF_STRING = re.compile(_TO_QUOTE, re.DOTALL)
_INSIDE = re.compile(rb"(?:%b|%b)*+" % (_PLAIN, _ELEMENT), re.DOTALL)
_BETWEEN = re.compile(rb'[^"{}\[\]]*+')
_SPACE = b" \t\r\n"
_QUOTE = ord('"')


class JsonItemsError(ValueError):
    """The text is no object and no array of objects; of what an object holds nothing is looked at."""


class JsonItems:
    """Splits an array of objects that arrives in pieces of any size; one object alone counts as an array of it."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._position = self._string = (
            0  # what was looked at; where an unfinished string begins, behind its quote
        )
        self._look_at = 0
        self._depth, self._start = 0, -1
        self._is_begun = self._is_array = self._is_over = self._needs_comma = False

    @property
    def held(self) -> int:
        """Bytes that wait for the rest of their object."""
        return len(self._held)

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        """The objects that are complete with `data`. Raises JsonItemsError."""
        self._held += data
        if len(self._held) < self._look_at:
            return  # a long string: to look for its end with every piece would take for ever
        yield from self._items()

    def finish(self) -> Iterator[bytes]:
        """The last objects; nothing follows. Raises JsonItemsError where something lacks."""
        yield from self._items()
        if not self._is_over or self._held:
            raise JsonItemsError("it ends too early")

    def _items(self) -> Iterator[bytes]:
        if not self._is_begun and not self._begin():
            return
        while (mark := self._next_mark()) is not None:
            item = self._take(mark)
            if item is not None:
                yield item
        if self._start < 0 and not self._string:
            self._pass(len(self._held))
        self._forget()

    def _begin(self) -> bool:
        if _BYTE_ORDER_MARK.startswith(bytes(self._held[:3])) and len(self._held) < 3:
            return False
        text = self._held.removeprefix(_BYTE_ORDER_MARK).lstrip(_SPACE)
        self._held = bytearray(text)
        if not text:
            return False
        self._is_begun, self._is_array = True, text[:1] == b"["
        if self._is_array:
            self._position = 1
        elif text[:1] != b"{":
            raise JsonItemsError("it is neither an object nor an array")
        return True

    def _next_mark(self) -> int | None:
        """Where the next bracket outside of strings is, None when it has not come."""
        while True:
            if self._string:
                found = _REST_OF_STRING.match(self._held, self._string)
                if found is None:
                    self._look_at = 2 * len(self._held) - self._string
                    return None
                self._position, self._string, self._look_at = found.end(), 0, 0
            mark = self._skip()
            if mark == len(self._held):
                return None
            if self._held[mark] != _QUOTE:
                return mark
            if self._start < 0:
                raise JsonItemsError("it holds something that is no object")
            self._string = mark + 1

    def _skip(self) -> int:
        """Up to the next bracket, or the quote of a string without an end."""
        skipped = (_BETWEEN if self._start < 0 else _INSIDE).match(self._held, self._position)
        end = skipped.end() if skipped is not None else self._position
        if self._start >= 0:
            self._position = end
        return end

    def _take(self, mark: int) -> bytes | None:
        """Pass a bracket; the object that it closes."""
        kind = self._held[mark : mark + 1]
        if self._start < 0:
            self._pass(mark)
            self._open(kind, mark)
            return None
        self._position = mark + 1
        self._depth += 1 if kind in b"{[" else -1
        if self._depth:
            return None
        item = bytes(self._held[self._start : self._position])
        self._start, self._needs_comma, self._is_over = -1, True, not self._is_array
        return item

    def _open(self, kind: bytearray, mark: int) -> None:
        """Between two objects: the next one begins, or the array ends."""
        if kind == b"]" and self._is_array:
            self._is_over, self._position = True, mark + 1
        elif kind == b"{" and not self._needs_comma:
            self._start, self._depth, self._position = mark, 1, mark + 1
        else:
            raise JsonItemsError("it is no array of objects")

    def _pass(self, end: int) -> None:
        """What stands between objects: one comma, and none behind the array."""
        between = bytes(self._held[self._position : end]).translate(None, _SPACE)
        if between and (between != b"," or not self._needs_comma or self._is_over):
            raise JsonItemsError("it holds something that is no object")
        if self._is_over and end < len(self._held):
            raise JsonItemsError("something follows behind its end")
        self._needs_comma = self._needs_comma and not between
        self._position = end

    def _forget(self) -> None:
        """Let go of what was handed out."""
        done = self._start if self._start >= 0 else self._position
        if not done:
            return
        del self._held[:done]
        self._position -= done
        self._start = 0 if self._start >= 0 else -1
        if self._string:
            self._string -= done
            self._look_at -= done
