"""C-STORE: keep the instance that streams in (PS3.4 annex B)."""

from __future__ import annotations

from dataclasses import dataclass

from vna.dicom.part10 import file_meta
from vna.errors import InvalidInstance
from vna.model.identifiers import is_keepable_uid
from vna.model.instances import Outcome
from vna.scp.exchange import Exchange
from vna.scp.status import (
    COERCION,
    INVALID_OBJECT_INSTANCE,
    SOP_CLASS_MISMATCH,
    SUCCESS,
    Status,
)
from vna.services.store import Expected, StoreOutcome
from vna.spool import Spooled, SpoolWriter


@dataclass(frozen=True, slots=True)
class Received:
    """A dataset that has come whole, and what the command says of it."""

    spooled: Spooled
    expected: Expected


def answer(exchange: Exchange) -> Status:
    """Receive the dataset, store it and answer; raises as `receive` and `keep` do."""
    return keep(exchange, receive(exchange))


def receive(exchange: Exchange) -> Received | None:
    """The whole dataset, for `keep`; None when the command names an instance that can't be kept.

    Raises InvalidInstance, OutOfSpace, Unavailable; the caller lets the rest of the dataset pass
    and answers.
    """
    expected = _expected(exchange)
    if not is_keepable_uid(expected.sop_instance_uid):
        discard(exchange)
        return None
    with exchange.door.store.spool.open() as writer:
        if not _receive(exchange, writer, expected):
            raise InvalidInstance(f"instance {expected.sop_instance_uid} came without a dataset")
        return Received(writer.finish(), expected)


def keep(exchange: Exchange, received: Received | None) -> Status:
    """Store what was received and answer; Success is sent only after it is durable and indexed.

    Raises what StoreService.store raises. Needs nothing more of what the peer sends.
    """
    if received is None:
        status = Status(
            INVALID_OBJECT_INSTANCE, "Affected SOP Instance UID is not a UID that can be kept"
        )
    else:
        with received.spooled:
            outcome = exchange.door.store.store(
                received.spooled, exchange.origin, received.expected
            )
        status = _status(outcome, received.expected)
    exchange.respond(status)
    return status


def discard(exchange: Exchange) -> None:
    """Let the rest of the dataset pass, so that the response does not overtake it."""
    for _ in exchange.message.fragments():
        pass


def _expected(exchange: Exchange) -> Expected:
    command, context = exchange.command, exchange.message.context
    announced = command.affected_sop_class_uid
    return Expected(
        sop_class_uid=announced if is_keepable_uid(announced) else context.abstract_syntax,
        sop_instance_uid=command.affected_sop_instance_uid,
    )


def _receive(exchange: Exchange, writer: SpoolWriter, expected: Expected) -> bool:
    """Stream the dataset behind a file meta of ours into `writer`; False when there was none."""
    meta = file_meta(
        expected.sop_class_uid,
        expected.sop_instance_uid,
        exchange.transfer_syntax_uid,
        exchange.association.calling_ae_title,
    )
    writer.write(meta)
    for fragment in exchange.message.fragments():
        writer.write(fragment)
    return writer.size > len(meta)


def _status(outcome: StoreOutcome, expected: Expected) -> Status:
    if outcome.outcome is Outcome.CONFLICT:
        return Status(COERCION, "kept as a conflict: this UID stands for other content")
    if outcome.sop_class_uid != expected.sop_class_uid:
        return Status(SOP_CLASS_MISMATCH, "stored; SOP Class UID of command and dataset differ")
    return Status(SUCCESS)
