"""Instances sent over an open association, and what becomes of each (PS3.4 C.4.2.3)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from vna.dimse.association import Association
from vna.dimse.errors import AssociationEnded, ConnectionLost, DimseError
from vna.dimse.fragments import Data
from vna.dimse.negotiation import PresentationContext
from vna.dimse.scu import Instance, store
from vna.errors import VnaError
from vna.model.instances import StoredInstance
from vna.scp.exchange import Exchange
from vna.scp.plan import Routes
from vna.scp.status import PENDING, PROCESSING_FAILURE, Status, remedy
from vna.scp.suboperations import Originator, Tally, WatchedReader

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retrieval:
    """One C-MOVE or C-GET under way."""

    exchange: Exchange
    tally: Tally

    def pending(self) -> None:
        """Tell the peer how far it is (PS3.4 C.4.2.1.7)."""
        self.exchange.respond(Status(PENDING), None, self.tally.counters(with_remaining=True))

    def fail(self, instance: StoredInstance, reason: str, what_to_do: str) -> None:
        """Count `instance` as failed, and say why in the log."""
        self.tally.fail(instance)
        log.warning(
            "instance not sent: %s; %s",
            reason,
            what_to_do,
            extra={
                "association": self.exchange.association.id,
                "sop_instance_uid": instance.uids.sop_instance_uid,
            },
        )


class Sender:
    """Sends instances over one association on which this side is SCU of storage classes."""

    def __init__(
        self,
        retrieval: Retrieval,
        association: Association,
        heartbeat: Callable[[], None],
        originator: Originator | None = None,
    ) -> None:
        self._retrieval = retrieval
        self._association = association
        self._routes = Routes(association)
        self._heartbeat = heartbeat
        self._originator = originator

    def deliver(self, instance: StoredInstance) -> None:
        """Send and count `instance`. Raises AssociationEnded and counts nothing when that ends."""
        context = self._routes.find(instance)
        if context is None:
            syntax = instance.transfer_syntax_uid
            reason = f"{instance.sop_class_uid} in {syntax} was not accepted, nor a plain syntax"
            self._retrieval.fail(instance, reason, "have the receiver accept it")
            return
        try:
            status = self._send(instance, context)
        except AssociationEnded:
            raise
        except VnaError as exc:
            self._retrieval.fail(instance, str(exc), remedy(exc))
            return
        except Exception as exc:
            log.exception("unexpected error", extra={"association": self._association.id})
            self._check_open()
            self._retrieval.fail(instance, "internal error, see above", remedy(exc))
            return
        self._retrieval.tally.add(instance, status)

    def _check_open(self) -> None:
        if self._association.is_over:
            raise ConnectionLost("aborted in the middle of an instance")

    def _send(self, instance: StoredInstance, context: PresentationContext) -> int:
        door, syntax = self._retrieval.exchange.door, context.transfer_syntax
        if syntax != instance.transfer_syntax_uid:
            return self._transmit(instance, context, door.pixels.dataset_as(instance, syntax))
        reader, length = door.retrieve.open_dataset(instance)
        with reader:
            name = instance.uids.sop_instance_uid
            watched = WatchedReader(reader, length, name, self._heartbeat)
            return self._transmit(instance, context, watched)

    def _transmit(self, instance: StoredInstance, context: PresentationContext, data: Data) -> int:
        """The status of one C-STORE sub-operation (PS3.7 9.1.1).

        Where the dataset can't be read to its end, the association has been aborted (PS3.7 6.3).
        """
        originator = self._originator
        announced = Instance(
            instance.sop_class_uid,
            instance.uids.sop_instance_uid,
            originator.ae_title if originator else "",
            originator.message_id if originator else None,
        )
        try:
            status = store(self._association, context, announced, data).status
        except DimseError:
            raise
        except VnaError as exc:
            raise ConnectionLost(f"aborted in the middle of an instance: {exc}") from exc
        return PROCESSING_FAILURE if status is None else status
