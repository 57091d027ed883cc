"""The sending side of a C-GET: over the association that asked (PS3.4 C.4.3)."""

from __future__ import annotations

import logging
import queue
import time

from vna.dimse.errors import PeerTimeout
from vna.errors import VnaError
from vna.scp.feed import Attempt, Feed
from vna.scp.plan import Routes
from vna.scp.read_ahead import ReadAhead
from vna.scp.sender import Retrieval, Sender
from vna.scp.status import remedy
from vna.scp.suboperations import Heartbeat

log = logging.getLogger(__name__)

TICK = 0.02
"""Seconds between looks for a C-CANCEL-RQ while nothing else happens."""

GRACE = 0.04
"""Seconds that responses under way have to arrive once the operation is cancelled."""


class Getter:
    """Sends what one C-GET asked for.

    The thread of the association sends and waits; it never waits longer than a TICK without looking
    for a C-CANCEL-RQ, nor past a pending response that is due.
    """

    def __init__(self, retrieval: Retrieval, feed: Feed) -> None:
        self._retrieval, self._feed = retrieval, feed
        exchange = retrieval.exchange
        self._association = exchange.association
        self._sender = Sender(retrieval, self._association, self._count)
        self._heartbeat = Heartbeat(retrieval.pending, exchange.door.config.pending_interval)
        self._patience = exchange.door.config.idle_timeout
        self._progress = time.monotonic()

    def send(self) -> bool:
        """Try every instance; True when the peer cancelled. Raises AssociationEnded."""
        tally = self._retrieval.tally
        ahead = ReadAhead(self._feed, self._retrieval.rendition, Routes(self._association))
        is_cancelled = True
        try:
            is_cancelled = self._send_all(ahead)
        finally:
            ahead.close(at_once=True)
            if is_cancelled:
                tally.seal()
        tally.lose(0 if is_cancelled else tally.remaining)
        return is_cancelled

    def _send_all(self, ahead: ReadAhead) -> bool:
        is_last = False
        while not (is_last and not self._sender.outstanding):
            if self._retrieval.exchange.cancelled(look=False):
                self._association.await_progress(lambda: not self._sender.outstanding, GRACE)
                return True
            self._heartbeat()
            if is_last or not self._sender.has_room:
                self._await_answer(ahead)
                continue
            before = self._sender.outstanding
            is_last = self._send_next(ahead)
            if self._sender.outstanding == before:  # nothing was sent, so nobody has looked
                self._association.take_responses()
        return False

    def _send_next(self, ahead: ReadAhead) -> bool:
        """Whether there is nothing more to send; what is not ready within a TICK is not waited for."""
        try:
            prepared = ahead.next(TICK)
        except queue.Empty:
            return False
        except VnaError as exc:
            log.warning("the rest cannot be sent: %s; %s", exc, remedy(exc))
            return True
        if prepared is not None:
            self._progress = time.monotonic()
            self._sender.send(prepared)
        return prepared is None

    def _await_answer(self, ahead: ReadAhead) -> None:
        """A TICK, or until one has come. Raises PeerTimeout."""
        ahead.prefetch()
        before = self._sender.outstanding
        self._association.await_progress(lambda: self._sender.outstanding < before, TICK)
        if time.monotonic() - self._progress > self._patience:
            self._association.abort()
            raise PeerTimeout("the peer took too long: no response to a C-STORE sub-operation")

    def _count(self, attempt: Attempt, status: int | None) -> None:
        self._progress = time.monotonic()
        if status is None:
            self._retrieval.fail(attempt.instance, "the association ended", "ask for it again")
        else:
            self._retrieval.count(attempt, status)
