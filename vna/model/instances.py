"""An instance as the index keeps it: what is written at a store, and what a retrieve gets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from storage_backends.base import Digest
from vna.model.frames import FrameTable
from vna.model.identifiers import InstanceUids
from vna.model.query import JsonElement


class Outcome(StrEnum):
    """What became of a received instance."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Location:
    """Where bytes lie: `length` bytes from `offset` of the object `key` in the backend of that name."""

    backend: str
    key: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class LevelAttributes:
    """Attributes that the index keeps, per level, in the DICOM JSON model keyed by eight hex digits."""

    patient: dict[str, JsonElement]
    study: dict[str, JsonElement]
    series: dict[str, JsonElement]
    instance: dict[str, JsonElement]


@dataclass(frozen=True, slots=True)
class InstanceLayout:
    """How the bytes of an object divide; all in bytes from the object's start.

    `dataset_offset`: end of preamble and file meta (0 when there are none). `header_length`: up to the first
    byte that the header parse did not need (the pixel data element, or the end). `pixel_offset` and
    `pixel_length`: the value of the pixel data element with its items, -1 and 0 when there is none.
    `tail_offset`: the first byte behind the pixel data. For a deflated dataset only `dataset_offset` is of
    the stored bytes; the others are positions in the inflated dataset plus `dataset_offset`.
    """

    dataset_offset: int
    header_length: int
    pixel_offset: int
    pixel_length: int
    tail_offset: int


@dataclass(frozen=True, slots=True)
class NewInstance:
    """Everything the index writes for one received instance.

    `object_digest` is of all bytes, `pixel_digest` of the value of the pixel data; `dataset_digest` is a
    function of the bytes behind the file meta alone and may be composed of digests of its parts. The
    attributes may be shared with other instances: nobody changes them. `copies` are durable as `location` is; those
    in the backends `later` are still to be written. `correction`: the id of what is changed on the way out, and in the
    attributes already.
    """

    uids: InstanceUids
    sop_class_uid: str
    transfer_syntax_uid: str
    attributes: LevelAttributes
    layout: InstanceLayout
    frames: FrameTable | None
    number_of_frames: int
    location: Location
    object_digest: Digest
    dataset_digest: Digest
    pixel_digest: Digest | None
    warnings: tuple[str, ...]
    copies: tuple[Location, ...] = ()
    later: tuple[str, ...] = ()
    correction: int | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """What the index did with a NewInstance.

    `location_is_kept` is False for a duplicate: its bytes are already there under another key, the new
    object may be removed. `conflict_id` is set when the same UID already stands for other content. `series_id`: the
    series of a stored instance, of which there is a new one when it was deleted and stored anew. `shared_attributes`:
    what the instances of that series share, as JSON, where the index was told of the whole instance.
    """

    outcome: Outcome
    location_is_kept: bool
    conflict_id: int | None = None
    notes: tuple[str, ...] = ()
    series_id: int | None = None
    shared_attributes: bytes | None = None


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance that can be delivered; `correction`: the id of what is changed in it on its way out.

    Everything else is of the object as it is stored.
    """

    instance_id: int
    uids: InstanceUids
    sop_class_uid: str
    transfer_syntax_uid: str
    number_of_frames: int
    layout: InstanceLayout
    location: Location
    object_digest: Digest
    dataset_digest: Digest
    correction: int | None = None

    @property
    def object_tag(self) -> str:
        """Equal ones stand for equal files that leave."""
        return self._tag(self.object_digest)

    @property
    def dataset_tag(self) -> str:
        """Equal ones stand for equal datasets that leave."""
        return self._tag(self.dataset_digest)

    def _tag(self, digest: Digest) -> str:
        tag = digest.value[:32]
        return tag if self.correction is None else f"{tag}.{self.correction:x}"


@dataclass(frozen=True, slots=True)
class KeptObject:
    """A stored object as it is checked: what it is, where it and its copies lie, and the digest at reception."""

    sop_class_uid: str
    location: Location
    object_digest: Digest
    copies: tuple[Location, ...] = ()
