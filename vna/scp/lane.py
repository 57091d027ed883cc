"""One of the associations over which a C-MOVE sends, opened again when it is lost (PS3.4 C.4.2.3)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from vna.dimse.association import Association
from vna.dimse.errors import AssociationEnded, AssociationRejected, DimseError
from vna.errors import VnaError
from vna.scp.destinations import open_association
from vna.scp.feed import Attempt, Feed
from vna.scp.plan import Batch, Routes
from vna.scp.read_ahead import ReadAhead
from vna.scp.sender import Retrieval, Sender
from vna.scp.status import PROCESSING_FAILURE
from vna.scp.suboperations import Originator

log = logging.getLogger(__name__)

RETRY_PAUSE = 0.5
"""Seconds before the first repetition, twice as many before the second, and so on."""

MAX_BARREN = 3
"""Associations in a row, beyond `dimse.move_retries`, over which nothing was answered: it is given up."""


class Crew:
    """The lanes of one C-MOVE, as they see each other and as who waits for them sees them."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.last_error = "nothing was tried"
        self._changed = threading.Condition()
        self._working = 0
        self._open: set[Association] = set()
        self._is_cut = False

    def start(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread of its own."""
        with self._changed:
            self._working += 1
        threading.Thread(target=self._run, args=(work,), name="c-move", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether all have ended, within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._working, seconds)

    def stop(self, grace: float) -> None:
        """End all: what is under way has so many seconds to be answered."""
        self.stopped.set()
        self.wait(grace)

    def cut(self) -> None:
        """Cut the connections of all that are still at work."""
        with self._changed:
            self._is_cut = True
            for association in self._open:
                association.interrupt()

    @property
    def has_open(self) -> bool:
        """Whether any lane has an association."""
        return bool(self._open)

    def opened(self, association: Association) -> None:
        """It is to be cut with all others, which may have been already."""
        with self._changed:
            self._open.add(association)
            if self._is_cut:
                association.interrupt()

    def closed(self, association: Association) -> None:
        """It has ended."""
        with self._changed:
            self._open.discard(association)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            log.exception("unexpected error")
            self.last_error = "internal error, see the archive's log"
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()


class Lane:
    """Takes instances from `feed` and sends them to `name` until none is left, or it can't go on."""

    def __init__(
        self, retrieval: Retrieval, name: str, batch: Batch, feed: Feed, crew: Crew
    ) -> None:
        self._retrieval, self._name, self._batch = retrieval, name, batch
        self._feed, self._crew = feed, crew
        self._door = retrieval.exchange.door
        self._retries = self._door.config.move_retries
        self._answers = 0

    def run(self) -> None:
        """Send; what is left then in the feed could not be sent by this lane."""
        barren = 0
        while not self._crew.stopped.is_set() and barren < MAX_BARREN + self._retries:
            tries = self._feed.restart()
            if self._feed.is_drained or (tries and self._pause(tries)):
                return
            association = self._open()
            if association is None:
                return
            self._answers = 0
            self._send_over(association, is_careful=bool(tries))
            barren = 0 if self._answers else barren + 1

    def _open(self) -> Association | None:
        """A fresh association; None: it can't be had, or others have theirs and that must do."""
        for number in range(self._retries + 1):
            if number and (self._pause(number) or self._crew.has_open):
                return None
            try:
                association = open_association(self._door, self._name, self._batch.contexts)
            except DimseError as exc:
                self._crew.last_error = f"no association with {self._name}: {exc}"
                log.warning("%s; check that it is up", self._crew.last_error)
                if isinstance(exc, AssociationRejected) and not exc.transient:
                    return None
            else:
                self._crew.opened(association)
                return association
        return None

    def _pause(self, number: int) -> bool:
        """Before the repetition of this number; True: stopped meanwhile."""
        return self._crew.stopped.wait(RETRY_PAUSE * 2 ** (number - 1))

    def _send_over(self, association: Association, *, is_careful: bool) -> None:
        exchange = self._retrieval.exchange
        originator = Originator(exchange.association.calling_ae_title, exchange.message_id)
        sender = Sender(self._retrieval, association, self._took, originator)
        if is_careful:  # what is outstanding when an association is lost is tried again, all of it
            sender.width = 1
        ahead = ReadAhead(self._feed, self._retrieval.rendition, Routes(association))
        try:
            self._send_all(sender, ahead)
            association.release()
        except AssociationEnded as exc:
            self._crew.last_error = f"{self._name} ended the association: {exc}"
            log.warning("%s", self._crew.last_error, extra={"association": association.id})
            association.interrupt()  # no waiting for the peer to close
        except VnaError as exc:
            self._crew.last_error = str(exc)
            self._crew.stopped.set()
        finally:
            association.close()
            self._crew.closed(association)
            ahead.close(at_once=self._crew.stopped.is_set())

    def _send_all(self, sender: Sender, ahead: ReadAhead) -> None:
        while not self._crew.stopped.is_set():
            if not sender.has_room:
                ahead.prefetch()
            sender.await_room()
            prepared = ahead.next()
            if prepared is None:
                break
            sender.send(prepared)
        sender.finish()

    def _took(self, attempt: Attempt, status: int | None) -> None:
        """Count what became of an instance, or keep it for another try (PS3.4 B.2.3, PS3.7 C.5.9)."""
        if status is not None:
            self._answers += 1
        if (status is None or is_transient(status)) and attempt.tries < self._retries:
            self._retrieval.tally.postpone(attempt.instance)
            self._feed.try_again(attempt)
        elif status is None:
            self._retrieval.fail(attempt.instance, self._crew.last_error, "check the destination")
        else:
            self._retrieval.count(attempt, status)


def is_transient(status: int) -> bool:
    """Whether the same C-STORE may succeed later: out of resources (A7xx), or processing failure."""
    return status >> 8 == 0xA7 or status == PROCESSING_FAILURE
