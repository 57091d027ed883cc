"""One C-STORE that a source sends us, from its first fragment to its status."""

from __future__ import annotations

from vna.dicom.part10 import file_meta
from vna.dimse.errors import DimseError
from vna.dimse.message import Message
from vna.errors import InvalidInstance, VnaError
from vna.migration.reception import Reception
from vna.spool import Spool, Spooled

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000


def receive(message: Message, spool: Spool, reception: Reception, calling_ae_title: str) -> int:
    """Spool the dataset behind a file meta of ours and hand it over; the status of the answer.

    The status is Success only when it was taken. Raises DimseError when the association ends meanwhile.
    """
    uid = message.command.affected_sop_instance_uid
    try:
        with spooled(message, spool, reception, calling_ae_title) as received:
            reception.take(received, reception.found(uid, received), uid)
    except DimseError as exc:
        reception.failed(uid, f"the source broke off while it sent it: {exc}")
        raise
    except InvalidInstance as exc:
        reception.failed(uid, str(exc))
        return CANNOT_UNDERSTAND
    except VnaError as exc:
        reception.failed(uid, str(exc), exc)
        return OUT_OF_RESOURCES
    return SUCCESS


def spooled(message: Message, spool: Spool, reception: Reception, calling_ae_title: str) -> Spooled:
    """The whole dataset as a Part 10 file, the caller's to close. Raises InvalidInstance without one."""
    command = message.command
    meta = file_meta(
        command.affected_sop_class_uid or message.context.abstract_syntax,
        command.affected_sop_instance_uid,
        message.context.transfer_syntax,
        calling_ae_title,
    )
    with spool.open() as writer:
        writer.write(meta)
        for fragment in message.fragments():
            writer.write(fragment)
            reception.sign()
        if writer.size == len(meta):
            raise InvalidInstance(
                f"instance {command.affected_sop_instance_uid} came without a dataset"
            )
        return writer.finish()
