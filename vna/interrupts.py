"""Lets work be called off from outside: nobody waits for its result any more."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from vna.errors import Abandoned


class Interrupt:
    """What one piece of work can be stopped by; `set` is for another thread."""

    __slots__ = ("_actions", "_is_set", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._actions: list[Callable[[], object]] = []
        self._is_set = False

    @property
    def is_set(self) -> bool:
        """Whether the work was called off."""
        return self._is_set

    def set(self) -> None:
        """Call the work off: what is under way is ended by the actions that it left."""
        with self._lock:  # held meanwhile: an action must not reach work that came after its own
            self._is_set = True
            actions, self._actions = self._actions, []
            for action in actions:
                action()

    def check(self) -> None:
        """Raises Abandoned once the work was called off."""
        if self._is_set:
            raise Abandoned("nobody waits for the answer any more")

    @contextlib.contextmanager
    def during(self, action: Callable[[], object]) -> Iterator[None]:
        """Within this, `set` calls `action` (in its own thread). Raises Abandoned when it was called before."""
        with self._lock:
            self.check()
            self._actions.append(action)
        try:
            yield
        finally:
            with self._lock:
                if action in self._actions:
                    self._actions.remove(action)


_current: ContextVar[Interrupt | None] = ContextVar("interrupt", default=None)


def current_interrupt() -> Interrupt | None:
    """What stops the work of this thread; None: nothing does."""
    return _current.get()


def check_interrupt() -> None:
    """Raises Abandoned when nobody waits for the work of this thread any more."""
    interrupt = _current.get()
    if interrupt is not None:
        interrupt.check()


@contextlib.contextmanager
def interruptible(interrupt: Interrupt | None) -> Iterator[None]:
    """Within this, `interrupt` stops the work of this thread; None: nothing does, as for what has to be noted down."""
    token = _current.set(interrupt)
    try:
        yield
    finally:
        _current.reset(token)
