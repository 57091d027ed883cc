"""gunicorn's thread worker, where a client that stalls costs a socket and no thread that others need."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers.gthread import ThreadWorker

from dicomweb.admission import CONTINUES, check_head
from dicomweb.connection import Connection, TimedSocket
from dicomweb.file_span import SENDS_SPANS
from dicomweb.hangups import Hangups
from dicomweb.lanes import Lanes
from dicomweb.refusals import head_fault, overloaded, refusal, refuse_error
from dicomweb.request_head import Lane
from dicomweb.sending import GatewayResponse
from dicomweb.siblings import Siblings
from dicomweb.wsgi import configured
from vna.errors import VnaError
from vna.interrupts import Interrupt, interruptible

PROBE_THREADS = 2
LINGER = 0.002
"""Seconds in which a thread waits for the next request of the client that it has just answered."""
STOP_LINGER = 2.0
"""Seconds that a stopping worker waits for a request a client may be sending already."""
PART_LINGER = 2.0
"""Seconds that a client may take to read its last answer once it sends no more (RFC 9112 9.6)."""
LONGEST_PART = 20.0
"""Seconds for which one that sends on is listened to: who is reset while it sends never sees the answer."""
_CROWD = 10
_BREATH = 0.02
_PASSING = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED})
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})


class GatewayWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A request gets a thread when its head has arrived, and a place in the lane of its kind.

    Uploads, answers and probes have places of their own (`threads`, `threads`, PROBE_THREADS), so
    that stalled uploads or slow readers stop neither the others nor a health check. Every wait for
    a client ends: that for a head, for the next bytes of a body, for room to send, and for a place.
    What is answered is called off when the client closes its connection; what is uploaded is not.
    """

    _siblings = Siblings()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.place = self._siblings.join()
        threads = self.cfg.threads
        self._lanes: Lanes[Lane, Connection] = Lanes(
            {Lane.PROBE: PROBE_THREADS, Lane.ANSWER: threads, Lane.UPLOAD: threads}
        )
        self._deadlines: dict[Connection, float] = {}
        self._patience = 60.0
        self._hangups: Hangups | None = None
        self._next_notice = 0.0

    def init_process(self) -> None:
        """Called by gunicorn in the new process."""
        self._patience = configured(os.environ).web.read_timeout
        super().init_process()

    def run(self) -> None:
        """Called by gunicorn: serve until told to stop."""
        self._hangups = hangups = Hangups()
        self.poller.register(hangups.fileno(), selectors.EVENT_READ, lambda _: hangups.notice())
        self.place.report(0)
        super().run()
        hangups.close()

    def notify(self) -> None:
        """Called by gunicorn twice for a request: once a second is enough to be known to be alive."""
        now = time.monotonic()
        if now >= self._next_notice:
            self._next_notice = now + 1.0
            super().notify()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """A thread for every place of every lane."""
        return ThreadPoolExecutor(2 * self.cfg.threads + PROBE_THREADS, "request")

    # --- waiting for a request ---

    def accept(self, listener: socket.socket) -> None:
        """A client has come; its first request is awaited."""
        self.place.let_others_first()
        try:
            accepted, address = listener.accept()
        except OSError as exc:
            if exc.errno in _NO_DESCRIPTORS:
                self._close_idle(_CROWD)
                time.sleep(_BREATH)
            elif exc.errno not in _PASSING:
                raise
            return
        sock = TimedSocket.adopt(accepted, self._patience)
        self.nr_conns += 1
        self.place.report(self.nr_conns)
        # Where the client has come to: a listener on every address could not tell.
        self._await_head(Connection(self.cfg, sock, address, sock.getsockname()))

    def _await_head(self, conn: Connection) -> None:
        conn.read_ahead()
        conn.sock.settimeout(0)
        if self._is_taken(conn):
            return
        patience = self._patience if conn.head.is_begun else float(self.cfg.keepalive)
        self._watch(conn, patience if self.alive else STOP_LINGER, self._receive_head)

    def _watch(self, conn: Connection, seconds: float, react: Any) -> None:
        self._deadlines[conn] = time.monotonic() + seconds
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(react, conn))

    def _receive_head(self, conn: Connection, _sock: socket.socket) -> None:
        data = conn.sock.receive()
        if data is None:
            return
        if not data:
            self._close(conn)
            return
        if not conn.head.is_begun and self.alive:
            self._deadlines[conn] = time.monotonic() + self._patience
        conn.head.receive(data)
        self._is_taken(conn)

    def _is_taken(self, conn: Connection) -> bool:
        """Whether no more of the head has to come: it is served, or refused."""
        status, detail = head_fault(conn.head)
        if not status and not conn.head.is_complete:
            return False
        if conn in self._deadlines:
            self._unwatch(conn)
        if status:
            self._refuse(conn, refusal(status, detail))
        else:
            self._begin(conn)
        return True

    # --- serving it ---

    def _begin(self, conn: Connection) -> None:
        conn.lane = conn.head.lane()
        if self._lanes.enter(conn.lane, conn, time.monotonic() + self._patience):
            self._serve(conn)

    def _serve(self, conn: Connection) -> None:
        conn.interrupt = None
        if conn.lane is Lane.ANSWER and self._hangups is not None:
            conn.interrupt = Interrupt()
            self._hangups.watch(conn.sock, conn.interrupt)
        self.enqueue_req(conn)

    def handle(self, conn: Connection) -> bool:
        """Called by gunicorn in a thread: answers the requests of a client as long as one follows the other
        at once; whether more may come. To wait in the thread for a moment costs less than to wake two.
        """
        while super().handle(conn):
            if not self.alive or self._lanes.is_crowded(conn.lane) or not conn.await_next(LINGER):
                return True
        return False

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """Called by gunicorn behind an answer, to read what is left of the request's body."""
        if conn.lane is not Lane.UPLOAD:  # it has none
            return keepalive
        return bool(super()._keepalive_after(conn, keepalive))

    def handle_request(self, req: Any, conn: Connection) -> bool:
        """Called by gunicorn in a thread: answers one request; whether another may follow."""
        try:
            with interruptible(conn.interrupt):
                return self._answer(req, conn)
        except TimeoutError:
            self.log.info("a client stopped reading or sending; its connection is closed")
            return False

    def _answer(self, req: Any, conn: Connection) -> bool:
        check_head(req)
        response, environ = wsgi.create(
            req, conn.sock, conn.client, conn.server, self.cfg, response_class=GatewayResponse
        )
        environ["wsgi.multithread"] = True
        environ[SENDS_SPANS] = True
        environ[CONTINUES] = response.proceed
        if not self.alive or not self.cfg.keepalive:
            response.force_close()
        body = self.wsgi(environ, response.start_response)
        try:
            for piece in body:
                response.write(piece)
            response.close()
        except TimeoutError:
            raise
        except Exception as exc:
            if not response.headers_sent:
                raise
            if not isinstance(exc, (OSError, VnaError)):  # of these the log tells already
                self.log.exception("an answer was broken off")
            return False
        finally:
            body.close()
        return not response.should_close()

    def finish_request(self, conn: Connection, future: Future[bool]) -> None:
        """Called by gunicorn in the main thread when a request has been served."""
        if self._hangups is not None:
            self._hangups.forget(conn.sock)
        following = self._lanes.leave(conn.lane)
        if following is not None:
            self._serve(following)
        failed = future.cancelled() or future.exception() is not None
        if failed or not future.result():
            self._part(conn)
        else:
            self._await_head(conn)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Called by gunicorn for a request that can't be parsed or served: nothing of it is told."""
        refuse_error(client, str((addr or ("",))[0]), exc)

    # --- the end of a connection ---

    def _refuse(self, conn: Connection, answer: bytes) -> None:
        try:
            conn.sock.send(answer)
        except OSError:
            self._drop(conn)
            return
        self._part(conn)

    def _part(self, conn: Connection) -> None:
        """Let the client read its last answer: closing at once would reset what is under way."""
        try:
            conn.sock.settimeout(0)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
            return
        conn.parts_until = time.monotonic() + LONGEST_PART
        self._watch(conn, PART_LINGER, self._drain)

    def _drain(self, conn: Connection, _sock: socket.socket) -> None:
        if conn.sock.discard():
            until = time.monotonic() + PART_LINGER
            self._deadlines[conn] = min(until, conn.parts_until)
        else:
            self._close(conn)

    def _close(self, conn: Connection) -> None:
        self._unwatch(conn)
        self._drop(conn)

    def _unwatch(self, conn: Connection) -> None:
        del self._deadlines[conn]
        self.poller.unregister(conn.sock)

    def _drop(self, conn: Connection) -> None:
        self.nr_conns -= 1
        self.place.report(self.nr_conns)
        util.close(conn.sock)

    # --- the clock ---

    def murder_pending(self) -> None:
        """Called by gunicorn about every second: nobody waits beyond the deadline."""
        now = time.monotonic()
        for conn in [conn for conn, deadline in self._deadlines.items() if deadline <= now]:
            if conn.head.is_begun and not conn.parts_until:
                self._unwatch(conn)
                self._refuse(conn, refusal(408, "the head of the request did not arrive in time"))
            else:
                self._close(conn)
        for conn in self._lanes.expired(now):
            self._refuse(conn, overloaded())

    def murder_keepalived(self, force: bool = False) -> None:
        """Called by gunicorn too: a full house loses those that have waited longest."""
        if force:
            self._close_idle(len(self._deadlines))
        elif self.nr_conns >= self.worker_connections:
            self._close_idle(_CROWD)

    def _close_idle(self, count: int) -> None:
        for conn in list(self._deadlines)[:count]:
            self._close(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        for conn in self._deadlines:
            self._deadlines[conn] = min(self._deadlines[conn], deadline)
