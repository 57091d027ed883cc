"""Instances sent over an open association, and what becomes of each (PS3.4 C.4.2.3)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from vna.dimse.association import Association
from vna.dimse.command import Command
from vna.dimse.errors import AssociationEnded, ConnectionLost, DimseError
from vna.dimse.scu import Instance, StorePipeline
from vna.errors import VnaError
from vna.model.instances import StoredInstance
from vna.scp.exchange import Exchange
from vna.scp.feed import Attempt
from vna.scp.padding import for_another_try
from vna.scp.read_ahead import INTERNAL_ERROR, Prepared
from vna.scp.rendition import Payload, Rendition
from vna.scp.status import PENDING, PROCESSING_FAILURE, Status, is_failure, remedy
from vna.scp.suboperations import Originator, Tally

log = logging.getLogger(__name__)

OnResult = Callable[[Attempt, int | None], None]
"""What became of an instance that was sent: the status of the response, None when none came."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """One C-MOVE or C-GET under way."""

    exchange: Exchange
    tally: Tally
    rendition: Rendition

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

    def count(self, attempt: Attempt, status: int) -> None:
        """Count the response `status` to the sub-operation; a failure is named in the log."""
        if is_failure(status):
            reason = f"the receiver answered 0x{status:04X}"
            self.fail(attempt.instance, reason, "its log tells why")
        else:
            self.tally.add(attempt.instance, status)


class Sender:
    """Sends over one association on which this side is SCU of storage classes; for one thread.

    `on_result` is told of each instance that was sent, by the thread that receives. `width`: how
    many may be outstanding.
    """

    def __init__(
        self,
        retrieval: Retrieval,
        association: Association,
        on_result: OnResult,
        originator: Originator | None = None,
    ) -> None:
        self._retrieval = retrieval
        self._association = association
        self._pipeline = StorePipeline(association)
        self._on_result = on_result
        self._originator = originator
        self.width = max(1, association.max_invoked)
        self._has_ended = False

    @property
    def outstanding(self) -> int:
        """How many have been sent and not been answered."""
        return self._pipeline.outstanding

    @property
    def has_room(self) -> bool:
        """Whether the window lets one more be sent now."""
        return self.outstanding < self.width

    def await_room(self) -> None:
        """Until `has_room`. Raises AssociationEnded, also when one more could not be sent any more."""
        self._association.await_responses(lambda: self.has_room)
        if self._has_ended or self._association.is_over:
            raise AssociationEnded("the association is over")

    def finish(self) -> None:
        """Until all that was sent is answered. Raises AssociationEnded."""
        self._pipeline.finish()

    def send(self, prepared: Prepared) -> None:
        """Send one where there is room; one that can't be sent is counted as failed.

        Raises AssociationEnded when that ends, with `on_result` told of this instance, too.
        """
        instance = prepared.attempt.instance
        try:
            payload = self._payload(prepared)
        except VnaError as exc:
            self._retrieval.fail(instance, str(exc), remedy(exc))
            return
        except Exception:
            log.exception("unexpected error", extra={"association": self._association.id})
            self._retrieval.fail(instance, INTERNAL_ERROR, "report it, please")
            return
        try:
            self._transmit(prepared, payload)
        finally:
            payload.close()

    def _payload(self, prepared: Prepared) -> Payload:
        if prepared.error is not None:
            raise prepared.error
        if prepared.context is None:
            raise AssertionError("what can't be sent has an error")
        attempt, syntax = prepared.attempt, prepared.context.transfer_syntax
        payload = prepared.payload
        if payload is None:
            payload = self._retrieval.rendition.payload(attempt.instance, syntax)
        return for_another_try(payload, syntax, attempt.tries)

    def _transmit(self, prepared: Prepared, payload: Payload) -> None:
        """Where the dataset can't be read to its end, the association has been aborted (PS3.7 6.3)."""
        attempt, context = prepared.attempt, prepared.context
        if context is None:
            raise AssertionError("what can't be sent has an error")
        tally = self._retrieval.tally
        tally.begin(attempt.instance)
        announced = self._announced(attempt.instance)
        on_status = partial(self._answered, attempt)
        try:
            self._pipeline.store(context, announced, payload.data, on_status)
        except DimseError:
            self._on_result(attempt, None)
            raise
        except Exception as exc:
            self._retrieval.fail(attempt.instance, str(exc), remedy(exc))
            raise ConnectionLost(f"aborted in the middle of an instance: {exc}") from exc

    def _announced(self, instance: StoredInstance) -> Instance:
        originator = self._originator
        return Instance(
            instance.sop_class_uid,
            self._retrieval.rendition.sop_instance_uid(instance),
            originator.ae_title if originator else "",
            originator.message_id if originator else None,
        )

    def _answered(self, attempt: Attempt, response: Command | None) -> None:
        if response is None:
            self._has_ended = True
            self._on_result(attempt, None)
        else:
            status = response.status
            self._on_result(attempt, PROCESSING_FAILURE if status is None else status)
