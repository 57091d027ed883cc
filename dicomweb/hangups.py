"""Clients that close their connection while they are served: what is done for them is called off."""

from __future__ import annotations

import select
import socket
from concurrent.futures import ThreadPoolExecutor

from vna.interrupts import Interrupt

_GONE = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_THREADS = 2


class Hangups:
    """Watches connections beside the threads that serve them; its methods belong to one thread.

    A client that closes its sending half alone counts as gone, too: TCP does not tell it from one
    that has closed both.
    """

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._watched: dict[int, Interrupt] = {}
        # Calling off may speak with the database; who accepts clients must not wait for that.
        self._setters = ThreadPoolExecutor(_THREADS, "hangup")

    def fileno(self) -> int:
        """Readable when there is something to `notice`."""
        return self._poll.fileno()

    def watch(self, sock: socket.socket, interrupt: Interrupt) -> None:
        """From now on `interrupt` is set when the client of `sock` goes."""
        self._watched[sock.fileno()] = interrupt
        self._poll.register(sock.fileno(), _GONE)

    def forget(self, sock: socket.socket) -> None:
        """The client of `sock` may go; harmless for one that is not watched."""
        number = sock.fileno()
        if self._watched.pop(number, None) is not None:
            self._poll.unregister(number)

    def notice(self) -> None:
        """Call off the work for those who have gone."""
        for number, _ in self._poll.poll(0):
            interrupt = self._watched.pop(number, None)
            self._poll.unregister(number)
            if interrupt is not None:
                self._setters.submit(interrupt.set)

    def close(self) -> None:
        """Watch nobody any more."""
        self._watched.clear()
        self._poll.close()
        self._setters.shutdown(wait=False)
