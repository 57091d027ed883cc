"""The sending side of a C-MOVE, seen from the association that asked for it (PS3.4 C.4.2)."""

from __future__ import annotations

from vna.errors import VnaError
from vna.model.chosen import Chosen
from vna.scp.feed import Attempt, Feed
from vna.scp.lane import Crew, Lane
from vna.scp.plan import Batch, plan
from vna.scp.sender import Retrieval
from vna.scp.suboperations import Heartbeat

TICK = 0.02
"""Seconds between looks for a C-CANCEL-RQ."""

GRACE = 0.04
"""Seconds that responses under way have to arrive once the operation is cancelled."""


class Mover:
    """Sends what one C-MOVE asked for to the destination `name`.

    The calling thread tells how far it is and watches for a C-CANCEL-RQ; what can block on the
    destination runs in threads of its own.
    """

    def __init__(self, retrieval: Retrieval, name: str, associations: int) -> None:
        self._retrieval, self._name, self._associations = retrieval, name, associations
        door = retrieval.exchange.door
        self._load = door.retrieve.load
        self._heartbeat = Heartbeat(retrieval.pending, door.config.pending_interval)

    def send(self, chosen: Chosen) -> bool:
        """Try every instance; True when the peer cancelled. Raises AssociationEnded: it has gone."""
        tally = self._retrieval.tally
        batches = plan(chosen.kinds)
        carried = frozenset(kind for batch in batches for kind in batch.kinds)
        for batch in batches:
            if self._send_batch(batch, chosen):
                return True
        rest = chosen.of_kinds(frozenset(chosen.kinds) - carried)
        self._fail_rest(
            Feed(rest, self._load, tally.lose),
            "its SOP class or transfer syntax is not a UID, so no context can name it",
        )
        tally.lose(tally.remaining)
        return False

    def _send_batch(self, batch: Batch, chosen: Chosen) -> bool:
        ids = chosen.of_kinds(batch.kinds)
        feed, crew = Feed(ids, self._load, self._retrieval.tally.lose), Crew()
        for _ in range(min(self._associations, len(ids))):
            crew.start(Lane(self._retrieval, self._name, batch, feed, crew).run)
        is_finished = False
        try:
            is_finished = self._watch(crew)
        finally:
            if not is_finished:
                crew.stop(GRACE)
                self._retrieval.tally.seal()
                crew.cut()
        if is_finished:
            self._fail_rest(feed, crew.last_error)
        return not is_finished

    def _watch(self, crew: Crew) -> bool:
        """Until all lanes have ended; False: cancelled before."""
        self._heartbeat()
        while not crew.wait(TICK):
            if self._retrieval.exchange.cancelled():
                return False
            self._heartbeat()
        return True

    def _fail_rest(self, feed: Feed, reason: str) -> None:
        try:
            while (attempt := self._take(feed)) is not None:
                self._retrieval.fail(attempt.instance, reason, "check the destination")
        except VnaError:
            return  # counted by their number at the end

    @staticmethod
    def _take(feed: Feed) -> Attempt | None:
        attempt = feed.take()
        if attempt is None and feed.restart():
            attempt = feed.take()
        return attempt
