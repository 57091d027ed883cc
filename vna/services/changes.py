"""The feed of what came to the archive and what left it, for those who keep something in step with it."""

from __future__ import annotations

from vna.index.changes import ChangeIndex
from vna.model.changes import ChangePage

MOST = 10_000
"""Changes in one page, at most."""


class ChangeService:
    """Reads the feed. Shared by all threads; everything raises Unavailable."""

    def __init__(self, index: ChangeIndex) -> None:
        self._index = index

    def after(self, number: int, limit: int) -> ChangePage:
        """Up to `limit` changes (and never more than MOST) whose number is above `number`, in their order.

        All that was acknowledged before the call is among them. Whoever goes on from the last number that it saw
        misses nothing, whichever node it asks. `number` below `oldest - 1`: what came before was forgotten.
        """
        return self._index.after(number, min(limit, MOST))
