"""The sending side of a C-MOVE: one or more associations with its destination (PS3.4 C.4.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from vna.config import DestinationConfig
from vna.dimse.association import Association
from vna.dimse.errors import AssociationEnded
from vna.dimse.settings import RequestorSettings
from vna.model.instances import StoredInstance
from vna.scp.exchange import Exchange, timeouts_of
from vna.scp.plan import Batch, plan
from vna.scp.sender import Retrieval, Sender
from vna.scp.suboperations import PENDING_INTERVAL, Heartbeat, Originator

MAX_LOST = 3


class Mover:
    """Sends what one C-MOVE asked for to `name`, which listens at `destination`."""

    def __init__(self, retrieval: Retrieval, name: str, destination: DestinationConfig) -> None:
        self._retrieval = retrieval
        self._name = name
        self._destination = destination
        self._heartbeat = Heartbeat(self._beat, PENDING_INTERVAL)
        self._peer_is_gone = False
        self._lost = 0

    @property
    def _exchange(self) -> Exchange:
        return self._retrieval.exchange

    def send(self, instances: Sequence[StoredInstance]) -> bool:
        """Try every instance; True when the peer stopped it, by a C-CANCEL-RQ or by going away."""
        batches = plan(instances)
        planned = {instance.instance_id for batch in batches for instance in batch.instances}
        for instance in instances:
            if instance.instance_id not in planned:
                reason = "its SOP class or transfer syntax is not a UID, so no context can name it"
                self._retrieval.fail(instance, reason, "retrieve it by WADO-RS")
        return any(self._send_batch(batch) for batch in batches)

    def _send_batch(self, batch: Batch) -> bool:
        waiting = deque(batch.instances)
        while waiting:
            try:
                association = self._open(batch)
            except AssociationEnded as exc:
                self._give_up(waiting, f"no association with {self._name}: {exc}")
                return False
            with association:
                if self._send_over(association, waiting):
                    return True
        return False

    def _open(self, batch: Batch) -> Association:
        door = self._exchange.door
        settings = RequestorSettings(
            calling_ae_title=door.ae_title,
            called_ae_title=self._name,
            contexts=batch.contexts,
            max_pdu_length=door.config.max_pdu_length,
            timeouts=timeouts_of(door.config),
        )
        return Association.request((self._destination.host, self._destination.port), settings)

    def _send_over(self, association: Association, waiting: deque[StoredInstance]) -> bool:
        """Send until nothing is `waiting` or the association ends; True when the peer stops it."""
        originator = Originator(
            self._exchange.association.calling_ae_title, self._exchange.message_id
        )
        sender = Sender(self._retrieval, association, self._heartbeat, originator)
        while waiting and not self._is_stopped():
            self._heartbeat()
            try:
                sender.deliver(waiting[0])
            except AssociationEnded as exc:
                self._lose(waiting, str(exc))
                return False
            waiting.popleft()
        _release(association)
        return bool(waiting)

    def _is_stopped(self) -> bool:
        try:
            return self._peer_is_gone or self._exchange.cancelled()
        except AssociationEnded:
            self._peer_is_gone = True
            return True

    def _beat(self) -> None:
        """A pending response; a peer that is gone stops the next instance."""
        try:
            self._retrieval.pending()
        except AssociationEnded:
            self._peer_is_gone = True

    def _lose(self, waiting: deque[StoredInstance], reason: str) -> None:
        """The instance under way has failed; after MAX_LOST associations the others have, too."""
        self._lost += 1
        self._retrieval.fail(waiting.popleft(), reason, "check the destination")
        if self._lost >= MAX_LOST:
            self._give_up(waiting, f"{self._name} ended {self._lost} associations")

    def _give_up(self, waiting: deque[StoredInstance], reason: str) -> None:
        while waiting:
            what_to_do = "check that the destination is up and its address configured"
            self._retrieval.fail(waiting.popleft(), reason, what_to_do)


def _release(association: Association) -> None:
    """Everything has been answered: how the association ends no longer matters."""
    try:
        association.release()
    except AssociationEnded:
        association.close()
