"""The one parse at a store: UIDs, attributes per level, layout and frame table of an object (PS3.3,
PS3.5).
"""

from __future__ import annotations

from dataclasses import dataclass

from vna.dicom.attribute_reader import AttributeReader
from vna.dicom.elements import Scanner
from vna.dicom.encoding import UNDEFINED_LENGTH, Buffer, Encoding
from vna.dicom.envelope import (
    DEFLATED_UIDS,
    NATIVE_UIDS,
    Envelope,
    Syntax,
    find_syntax,
    read_envelope,
)
from vna.dicom.frames import PixelFacts, Pixels, encapsulated_pixels, native_pixels
from vna.dicom.header_elements import Dataset, Recent
from vna.dicom.identity import Identity, Known, identify
from vna.dicom.level_cache import LevelCache
from vna.errors import InvalidInstance
from vna.model.frames import FrameTable
from vna.model.identifiers import InstanceUids
from vna.model.instances import InstanceLayout, LevelAttributes

DIRECTORY_STORAGE = "1.2.840.10008.1.3.10"
_DIRECTORY_RECORDS = 0x00041220
_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_META_SOP_CLASS, _META_SOP_INSTANCE = 0x00020002, 0x00020003
_EXTENDED_OFFSETS, _EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002
_VIDEO = tuple(f"1.2.840.10008.1.2.4.10{n}" for n in range(9))
_FLOAT_BITS = {0x7FE00008: 32, 0x7FE00009: 64}
_MAX_TABLE_BYTES = 2**26


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
    ) -> Header:
        """As `read_header`."""
        view: Buffer = buffer if isinstance(buffer, bytes) else memoryview(buffer)
        envelope = read_envelope(view)
        syntax = find_syntax(view, envelope.dataset_offset, envelope.transfer_syntax_uid)
        scanner = Scanner(view)
        dataset = self._recent.read(scanner, envelope.dataset_offset, syntax)
        _refuse_directory(envelope, dataset, scanner)
        reader = AttributeReader(dataset.elements, syntax.encoding, self._levels)
        identity = _identify(envelope, reader, sop_instance_uid, sop_class_uid)
        layout, pixels, declared = _layout(dataset, syntax, envelope, reader, len(view))
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


def _layout(
    dataset: Dataset, syntax: Syntax, envelope: Envelope, reader: AttributeReader, stored: int
) -> tuple[InstanceLayout, Pixels | None, int]:
    """The layout, the pixel data if there is any, and the declared number of frames (0: none that
    is usable); `stored` is the object's size in bytes.
    """
    end, begin = len(dataset.buffer), envelope.dataset_offset
    if syntax.deflated and syntax.transfer_syntax_uid not in DEFLATED_UIDS:
        # Nobody would know that positions are those of the inflated dataset: it is one opaque run.
        return InstanceLayout(begin, stored, -1, 0, stored), None, 0
    if dataset.pixel_element < 0:
        return InstanceLayout(begin, end, -1, 0, end), None, 0
    scanner = Scanner(dataset.buffer)
    tag, offset, length = scanner.value_at(dataset.pixel_element, end, syntax.encoding)
    declared = reader.number_of_frames()
    facts = _facts(reader, tag, declared)
    if length == UNDEFINED_LENGTH:
        pixels = _encapsulated(dataset, syntax, reader, offset, facts)
    else:
        pixels = _native(dataset, syntax, reader, (offset, length), facts)
    if dataset.is_whole and pixels.tail_offset < end - 8:
        _read_tail(scanner, pixels.tail_offset, syntax.encoding, reader)
    layout = InstanceLayout(begin, dataset.pixel_element, offset, pixels.length, pixels.tail_offset)
    return layout, pixels, declared


def _facts(reader: AttributeReader, tag: int, declared: int) -> PixelFacts:
    number = reader.number
    return PixelFacts(
        number(0x00280010),
        number(0x00280011),
        number(0x00280002),
        _FLOAT_BITS.get(tag) or number(0x00280100),
        reader.text(0x00280004),
        declared,
    )


def _native(
    dataset: Dataset,
    syntax: Syntax,
    reader: AttributeReader,
    span: tuple[int, int],
    facts: PixelFacts,
) -> Pixels:
    offset, length = span
    available = len(dataset.buffer) - offset if dataset.is_whole else length
    if syntax.transfer_syntax_uid not in NATIVE_UIDS and length:
        reader.warn(f"pixel data of {syntax.transfer_syntax_uid} is not encapsulated")
        if length * 8 < facts.frame_bits * (facts.number_of_frames or 1):
            present = min(length, available)
            return Pixels(present, offset + present, None, ())
    return native_pixels(offset, length, available, facts)


def _encapsulated(
    dataset: Dataset, syntax: Syntax, reader: AttributeReader, offset: int, facts: PixelFacts
) -> Pixels:
    uid = syntax.transfer_syntax_uid
    if uid in NATIVE_UIDS:
        reader.warn(f"pixel data of {uid} is encapsulated")
    extended = None
    if _EXTENDED_OFFSETS in dataset.elements:
        tables = (
            reader.data(tag, _MAX_TABLE_BYTES) for tag in (_EXTENDED_OFFSETS, _EXTENDED_LENGTHS)
        )
        extended = (next(tables), next(tables))
    declared = facts.number_of_frames or (0 if reader.has(0x00280008) else 1)
    return encapsulated_pixels(
        dataset.buffer, offset, declared, is_stream=uid.startswith(_VIDEO), extended=extended
    )


def _read_tail(
    scanner: Scanner, position: int, encoding: Encoding, reader: AttributeReader
) -> None:
    """Elements behind the pixel data count too, where the header did not have them."""
    tokens, _ = scanner.elements(position, len(scanner.buffer), encoding)
    found = [token for token in tokens if token[0] < 0x7FE00000]
    if found and not scanner.truncated:
        reader.warn("elements stand behind the pixel data")
        reader.add(scanner.buffer, found)
    elif scanner.truncated:
        reader.warn("bytes behind the pixel data are no elements")
