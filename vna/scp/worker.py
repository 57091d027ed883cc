"""A gunicorn worker that accepts DICOM associations instead of HTTP requests."""

from __future__ import annotations

import logging
import os
import selectors
import socket
import time
from typing import Any, Protocol

from gunicorn.workers.base import Worker

from vna.scp.listener import Listener

log = logging.getLogger(__name__)

HEARTBEAT = 1.0
"""Seconds between two signs of life to the gunicorn master, at most (cfg.timeout is far above)."""

PAUSE_PER_CONNECTION = 0.004
LONGEST_PAUSE = 0.016
LAST_BREATH = 2.0


class Served(Protocol):
    """What the gunicorn application loads in each worker."""

    listener: Listener
    drain_timeout: float
    tls_port: int

    def close(self) -> None: ...


class DimseWorker(Worker):
    """Accepts connections and hands them to a Listener; drains it when it is told to stop.

    Siblings wait on the same listening sockets. One that serves connections already hesitates
    before it accepts another, so that an idle one comes first: associations are few and long, and
    must not pile up in one process.
    """

    wsgi: Served
    sockets: list[Any]

    def run(self) -> None:
        """Accept until told to stop or the master is gone, then drain."""
        with selectors.DefaultSelector() as selector:
            for listening in self.sockets:
                listening.settimeout(0)
                selector.register(listening, selectors.EVENT_READ)
            selector.register(self.PIPE[0], selectors.EVENT_READ)
            log.info("accepting associations", extra={"worker": os.getpid()})
            while self.alive and self.ppid == os.getppid():
                self.notify()
                for key, _ in selector.select(HEARTBEAT):
                    self._attend(key.fileobj)
        self._drain()

    def _attend(self, source: Any) -> None:
        if source == self.PIPE[0]:
            os.read(self.PIPE[0], 4096)
        else:
            self._accept(source)

    def _accept(self, listening: Any) -> None:
        listener = self.wsgi.listener
        if not listener.is_crowded:  # there is nothing to share out in a flood
            time.sleep(min(listener.load * PAUSE_PER_CONNECTION, LONGEST_PAUSE))
        try:
            sock, address = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # a sibling was faster, or the peer has gone
        except OSError as exc:  # too many open files
            self.log.warning("cannot accept connections: %s; raise the limit on open files", exc)
            time.sleep(LONGEST_PAUSE)
            return
        sock.settimeout(None)
        is_tls = listening.getsockname()[1] == self.wsgi.tls_port
        listener.serve(sock, _host(sock, address), is_tls=is_tls)

    def _drain(self) -> None:
        """No new connections; what is under way may finish until `drain_timeout` is over."""
        for listening in self.sockets:
            listening.close()
        listener, deadline = self.wsgi.listener, time.monotonic() + self.wsgi.drain_timeout
        is_idle = listener.drain(0)
        while not is_idle and time.monotonic() < deadline:
            self.notify()
            is_idle = listener.wait_idle(min(HEARTBEAT, max(0.0, deadline - time.monotonic())))
        if not is_idle:
            self.log.warning("drain timeout: cutting %s connections", listener.open_connections)
            listener.interrupt()
            listener.wait_idle(LAST_BREATH)
        self.wsgi.close()


def _host(sock: socket.socket, address: Any) -> str:
    """The peer's IP address, "" for a Unix socket."""
    return str(address[0]) if sock.family in {socket.AF_INET, socket.AF_INET6} else ""
