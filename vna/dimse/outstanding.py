"""Requests that were sent and not answered yet (PS3.7 D.3.3.3): who waits for which response."""

from __future__ import annotations

import threading
from collections.abc import Callable

from vna.dimse.command import Command
from vna.dimse.errors import AssociationEnded

MAX_MESSAGE_ID = 65535

OnResponse = Callable[[Command | None], None]
"""Called once: with the response, or with None when the association ends without one."""


class Outstanding:
    """The requests of one association that wait for a response; safe for threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[int, OnResponse] = {}
        self._last_message_id = 0
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def next_message_id(self) -> int:
        """A Message ID, 1 to 65535, that no outstanding request has."""
        with self._changed:
            while True:
                self._last_message_id = self._last_message_id % MAX_MESSAGE_ID + 1
                if self._last_message_id not in self._waiting:
                    return self._last_message_id

    def add(self, message_id: int, on_response: OnResponse) -> None:
        """Expect one response. Raises AssociationEnded after `close`, ValueError for an id in use."""
        with self._changed:
            if self._is_closed:
                raise AssociationEnded("the association is ending; no more requests can be sent")
            if message_id in self._waiting:
                raise ValueError(f"message id {message_id} has a request outstanding")
            self._waiting[message_id] = on_response

    def withdraw(self, message_id: int) -> bool:
        """Expect nothing any more; False when the caller of `add` has been told already."""
        with self._changed:
            return self._waiting.pop(message_id, None) is not None

    def answered(self, response: Command) -> bool:
        """Hand a response to who waits for it; False when nobody does."""
        message_id = response.message_id_being_responded_to
        with self._changed:
            on_response = self._waiting.pop(message_id, None) if message_id is not None else None
        if on_response is None:
            return False
        on_response(response)
        self._tell()
        return True

    def close(self) -> None:
        """No response will come any more: tell all who wait. Idempotent."""
        with self._changed:
            self._is_closed = True
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for on_response in waiting:
            on_response(None)
        self._tell()

    def wait(self, is_done: Callable[[], bool]) -> None:
        """Until `is_done`, while another thread receives. Raises AssociationEnded after `close`."""
        with self._changed:
            self._changed.wait_for(lambda: is_done() or self._is_closed)
        if not is_done():
            raise AssociationEnded("the association ended before a response came")

    def wait_within(self, is_done: Callable[[], bool], seconds: float) -> bool:
        """As `wait`, but for so many seconds at most; whether `is_done`."""
        with self._changed:
            self._changed.wait_for(lambda: is_done() or self._is_closed, seconds)
        if not is_done() and self._is_closed:
            raise AssociationEnded("the association ended before a response came")
        return is_done()

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()
