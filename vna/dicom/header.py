"""The one parse at a store: UIDs, attributes per level, layout and frame table of an object (PS3.3,
PS3.5).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import Protocol

from vna.dicom.attribute_reader import AttributeReader
from vna.dicom.elements import Scanner
from vna.dicom.encoding import Buffer, Sliceable
from vna.dicom.envelope import (
    Envelope,
    find_syntax,
    read_envelope,
)
from vna.dicom.header_elements import Dataset, Recent
from vna.dicom.identity import Identity, Known, identify
from vna.dicom.level_cache import LevelCache
from vna.dicom.pixel_layout import TakesAll, Walked, find_layout
from vna.errors import InvalidInstance
from vna.model.frames import FrameTable
from vna.model.identifiers import InstanceUids
from vna.model.instances import InstanceLayout, LevelAttributes

DIRECTORY_STORAGE = "1.2.840.10008.1.3.10"
_DIRECTORY_RECORDS = 0x00041220
_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_META_SOP_CLASS, _META_SOP_INSTANCE = 0x00020002, 0x00020003
_FIRST_BYTES = (2**20, 2**24)


@dataclass(frozen=True, slots=True)
class Header:
    """What the archive knows of an object without its pixels.

    `transfer_syntax_uid` is the one in which the dataset truly is. `number_of_frames` is 0 without
    pixel data. `frames` is None without pixel data, for video, and where frames can't be told
    apart.
    """

    uids: InstanceUids
    sop_class_uid: str
    transfer_syntax_uid: str
    attributes: LevelAttributes
    layout: InstanceLayout
    frames: FrameTable | None
    number_of_frames: int
    warnings: tuple[str, ...]


class Held(Protocol):
    """An object that waits to be stored: in one piece, or slice by slice where that is much cheaper."""

    def buffer(self) -> AbstractContextManager[memoryview]: ...
    def pieces(self) -> Sliceable | None: ...


class HeaderReader:
    """Parses objects one after the other, reading what repeats byte for byte only once.

    Shared by threads. Each remembers one header (128 KiB at most), since what a thread stores
    mostly belongs together; the results are those of a first reading. Patient, study and series
    attributes that repeat are the same objects: they must not be changed.
    """

    def __init__(self) -> None:
        self._levels = LevelCache()
        self._recent = Recent()

    def read(
        self,
        buffer: Buffer,
        *,
        sop_instance_uid: str = "",
        sop_class_uid: str = "",
        issuer_of_patient_id: str = "",
        character_set: tuple[str, ...] | None = None,
    ) -> Header:
        """As `read_header`; texts by the defined terms of `character_set` where it is given, () being the default
        repertoire, whatever the dataset says of itself.
        """
        view: Buffer = buffer if isinstance(buffer, bytes) else memoryview(buffer)
        told = (sop_instance_uid, sop_class_uid, issuer_of_patient_id)
        return self._header(self._walked(view), told, character_set)

    def read_held(
        self,
        held: Held,
        *,
        sop_instance_uid: str = "",
        sop_class_uid: str = "",
        issuer_of_patient_id: str = "",
    ) -> Header:
        """As the function of this name."""
        told = (sop_instance_uid, sop_class_uid, issuer_of_patient_id)
        pieces = held.pieces()
        walked = None if pieces is None else self._walked_to_pixels(pieces)
        if walked is not None:
            with suppress(TakesAll):
                return self._header(walked, told)
        with held.buffer() as buffer:
            return self._header(self._walked(buffer), told)

    def _walked(self, view: Buffer) -> Walked:
        envelope = read_envelope(view)
        syntax = find_syntax(view, envelope.dataset_offset, envelope.transfer_syntax_uid)
        scanner = Scanner(view)
        dataset = self._recent.read(scanner, envelope.dataset_offset, syntax)
        return Walked(envelope, syntax, scanner, dataset, dataset.buffer)

    def _walked_to_pixels(self, pieces: Sliceable) -> Walked | None:
        """As `_walked` of all pieces; None where their first bytes leave a doubt that this is the same."""
        for count in _FIRST_BYTES:
            first = memoryview(pieces[:count])
            walked = self._walked(first)
            dataset, scanner = walked.dataset, walked.scanner
            if walked.envelope.warnings or walked.syntax.warning or walked.syntax.deflated:
                break
            if dataset.pixel_element >= 0 and not (scanner.warnings or scanner.truncated):
                return replace(walked, whole=pieces)
        return None

    def _header(
        self,
        walked: Walked,
        told: tuple[str, str, str],
        character_set: tuple[str, ...] | None = None,
    ) -> Header:
        """`told`: what stands in for a SOP Instance UID, a SOP Class UID, and an issuer of the patient ID."""
        sop_instance_uid, sop_class_uid, issuer_of_patient_id = told
        envelope, syntax, scanner = walked.envelope, walked.syntax, walked.scanner
        _refuse_directory(envelope, walked.dataset, scanner)
        elements = walked.dataset.elements
        reader = AttributeReader(elements, syntax.encoding, self._levels, character_set)
        identity = _identify(envelope, reader, sop_instance_uid, sop_class_uid)
        layout, pixels, declared = find_layout(walked, reader)
        frames = pixels.frames if pixels else None
        warnings = (
            *envelope.warnings,
            *filter(None, (syntax.warning,)),
            *scanner.warnings,
            *identity.warnings,
            *(pixels.warnings if pixels else ()),
        )
        attributes = reader.levels(identity, issuer_of_patient_id)
        return Header(
            identity.uids,
            identity.sop_class_uid,
            syntax.transfer_syntax_uid,
            attributes,
            layout,
            frames,
            (declared or (frames.count if frames else 1)) if pixels else 0,
            tuple(dict.fromkeys((*warnings, *reader.warnings))),
        )


def read_header(
    buffer: Buffer,
    *,
    sop_instance_uid: str = "",
    sop_class_uid: str = "",
    issuer_of_patient_id: str = "",
) -> Header:
    """Parse an object: a Part 10 file, or a bare dataset.

    The arguments stand in for what the object lacks (C-STORE command, configuration). Whatever can
    be read around is a warning, a missing SOP Class UID too. Raises InvalidInstance for a DICOMDIR,
    without a SOP Instance UID, and for UIDs that can't identify an object.
    """
    return HeaderReader().read(
        buffer,
        sop_instance_uid=sop_instance_uid,
        sop_class_uid=sop_class_uid,
        issuer_of_patient_id=issuer_of_patient_id,
    )


def read_held(held: Held) -> Header:
    """As `read_header` of what waits to be stored; raises what reading that does."""
    return HeaderReader().read_held(held)


def _refuse_directory(envelope: Envelope, dataset: Dataset, scanner: Scanner) -> None:
    is_directory = envelope.meta.get(_META_SOP_CLASS) == DIRECTORY_STORAGE
    if is_directory or (
        _DIRECTORY_RECORDS in dataset.elements and _SOP_INSTANCE not in dataset.elements
    ):
        raise InvalidInstance("this is a DICOMDIR: import the files that it lists instead")
    if not dataset.elements:
        reason = scanner.warnings[-1] if scanner.warnings else "it is empty"
        raise InvalidInstance(f"no DICOM dataset was found: {reason}")


def _identify(
    envelope: Envelope, reader: AttributeReader, sop_instance_uid: str, sop_class_uid: str
) -> Identity:
    meta = envelope.meta
    announced = Known(
        meta.get(_META_SOP_CLASS, "") or sop_class_uid,
        meta.get(_META_SOP_INSTANCE, "") or sop_instance_uid,
    )
    own = InstanceUids(reader.text(_STUDY), reader.text(_SERIES), reader.text(_SOP_INSTANCE))
    identity = identify(own, reader.text(_SOP_CLASS), announced)
    if identity.sop_class_uid == DIRECTORY_STORAGE:
        raise InvalidInstance("this is a DICOMDIR: import the files that it lists instead")
    return identity
