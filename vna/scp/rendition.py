"""In which form stored instances leave by C-MOVE and C-GET."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vna.dimse.fragments import Data
from vna.model.instances import StoredInstance
from vna.scp.exchange import Door
from vna.scp.plan import FALLBACKS, syntaxes_for
from vna.scp.suboperations import ExactReader
from vna.services.extract import Extract, syntaxes_without_bulk_data


@dataclass(frozen=True, slots=True)
class Payload:
    """The dataset of a C-STORE; `close` releases what it is read from as it is sent."""

    data: Data
    close: Callable[[], None] = lambda: None


class Rendition(Protocol):
    """What a retrieve service makes of a stored instance."""

    def syntaxes(self, instance: StoredInstance) -> Sequence[str]:
        """The transfer syntaxes in which it can be sent, the best first."""
        ...

    def sop_instance_uid(self, instance: StoredInstance) -> str:
        """The SOP Instance UID under which it is sent."""
        ...

    def is_light(self, instance: StoredInstance, transfer_syntax_uid: str) -> bool:
        """Whether some of them may be made ahead of their turn without taking much memory."""
        ...

    def payload(self, instance: StoredInstance, transfer_syntax_uid: str) -> Payload:
        """What is sent. Raises Corrupt, DecoderFailed, Unavailable, Unsupported; so may reading it."""
        ...


class AsStored:
    """The stored bytes, converted only for who does not take their syntax (PS3.4 C.4.2, C.4.3)."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def syntaxes(self, instance: StoredInstance) -> Sequence[str]:
        """The stored one, then those that it can be converted to."""
        return syntaxes_for(instance.transfer_syntax_uid)

    def sop_instance_uid(self, instance: StoredInstance) -> str:
        """Its own."""
        return instance.uids.sop_instance_uid

    def is_light(self, instance: StoredInstance, transfer_syntax_uid: str) -> bool:
        """What needs no conversion and is verified in memory anyway."""
        is_stored = transfer_syntax_uid == instance.transfer_syntax_uid
        return is_stored and self._door.retrieve.is_small(instance)

    def payload(self, instance: StoredInstance, transfer_syntax_uid: str) -> Payload:
        """The stored dataset, or the converted one."""
        retrieve = self._door.retrieve
        if transfer_syntax_uid != instance.transfer_syntax_uid:
            return Payload(self._door.pixels.dataset_as(instance, transfer_syntax_uid))
        if retrieve.is_small(instance):
            return Payload(retrieve.load_dataset(instance))
        reader, length = retrieve.open_dataset(instance)
        return Payload(ExactReader(reader, length, instance.uids.sop_instance_uid), reader.close)


class WithoutBulkData:
    """What Composite Instance Retrieve Without Bulk Data sends (PS3.4 Z.1.3)."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def syntaxes(self, instance: StoredInstance) -> Sequence[str]:
        """The uncompressed ones, and that in which it is stored."""
        return syntaxes_without_bulk_data(instance.transfer_syntax_uid, FALLBACKS)

    def sop_instance_uid(self, instance: StoredInstance) -> str:
        """Its own."""
        return instance.uids.sop_instance_uid

    def is_light(self, instance: StoredInstance, transfer_syntax_uid: str) -> bool:
        """Headers may be of any size."""
        return False

    def payload(self, instance: StoredInstance, transfer_syntax_uid: str) -> Payload:
        """The elements that are left."""
        extracts = self._door.pixels.extracts
        return Payload(extracts.without_bulk_data(instance, transfer_syntax_uid))


class Extracted:
    """A new instance of some frames of the only one that is sent (PS3.4 Y.3.3)."""

    def __init__(self, door: Door, extract: Extract) -> None:
        self._door, self._extract = door, extract

    def syntaxes(self, instance: StoredInstance) -> Sequence[str]:
        """The one in which the frames are, then those that they can be converted to."""
        return syntaxes_for(self._extract.instance.transfer_syntax_uid)

    def sop_instance_uid(self, instance: StoredInstance) -> str:
        """The new one."""
        return self._extract.instance.uids.sop_instance_uid

    def is_light(self, instance: StoredInstance, transfer_syntax_uid: str) -> bool:
        """There is but one."""
        return False

    def payload(self, instance: StoredInstance, transfer_syntax_uid: str) -> Payload:
        """The new dataset, converted where need be."""
        return Payload(self._door.pixels.extract_as(self._extract, transfer_syntax_uid))
