"""The open sequences and items during a walk through undefined lengths (PS3.5 7.5.1)."""

from __future__ import annotations

from vna.dicom.encoding import ITEM, ITEM_END, SEQUENCE_END, UNDEFINED_LENGTH

MAX_REMEMBERED_DEPTH = 256
MAX_REMEMBERED = 100_000
IS_ITEM = 1


class Levels:
    """The open sequences and items of undefined length during a walk.

    `stack` has a byte a level: the encoding's code and whether it is an item. `last` is the span of
    the level closed last. Spans of the outer MAX_REMEMBERED_DEPTH levels go into `ends`.
    """

    __slots__ = ("_ends", "_opened", "last", "stack")

    def __init__(self, ends: dict[int, tuple[int, int]]) -> None:
        self._ends = ends
        self._opened: list[int] = []
        self.stack = bytearray()
        self.last = (0, 0)

    def push(self, kind: int, start: int) -> None:
        """Open a level whose content starts at `start`."""
        self.stack.append(kind)
        if len(self.stack) <= MAX_REMEMBERED_DEPTH:
            self._opened.append(start)

    def pop(self, content_end: int, following: int) -> None:
        """Close the innermost level: where its content ends, and what follows its delimiter."""
        self.last = content_end, following
        if len(self._opened) == len(self.stack):
            start = self._opened.pop()
            if len(self._ends) < MAX_REMEMBERED:
                self._ends[start] = self.last
        self.stack.pop()

    def delimit(self, tag: int, position: int, length: int) -> int:
        """Apply the item or delimiter tag at `position`; returns where the walk goes on."""
        start = position + 8
        if self.stack[-1] & IS_ITEM:  # ended by its delimiter, or by what can't stand inside of it
            self.pop(position, start if tag == ITEM_END else position)
            if tag == ITEM_END or not self.stack:
                return start
        if tag == SEQUENCE_END:
            self.pop(position, start)
        elif tag == ITEM and length != UNDEFINED_LENGTH:
            return start + length
        elif tag == ITEM:
            self.push(self.stack[-1] | IS_ITEM, start)
        return start
