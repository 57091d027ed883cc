"""A received instance with a correction: what the index is told of it, and whether it can leave so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vna.dicom.attributes import BY_LEVEL
from vna.dicom.correcting import StoredHeader, check_correction, corrected_header
from vna.dicom.deflate import MAX_HEADER_BYTES, inflated_object
from vna.dicom.encoding import Buffer
from vna.dicom.envelope import DEFLATED_UIDS
from vna.dicom.header import Header, HeaderReader
from vna.dicom.inflation import inflated_pieces
from vna.dicom.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from vna.errors import InvalidInstance, Unsupported
from vna.model.corrections import Correction
from vna.model.identifiers import Level
from vna.model.instances import LevelAttributes
from vna.model.query import JsonElement
from vna.spool import Spooled

_CHARACTER_SET = "00080005"
_MAX_META = 2**20
_CHUNK = 2**20


def read_header(
    reader: HeaderReader, spooled: Spooled, correction: Correction | None, **told: str
) -> Header:
    """The header of `spooled` with its `correction`; `told`: as HeaderReader.read_held.

    Raises InvalidInstance, OutOfSpace, Unavailable.
    """
    if correction is None:
        return reader.read_held(spooled, **told)
    with spooled.buffer() as buffer:
        header = reader.read(buffer, character_set=correction.character_set, **told)
        return corrected(header, buffer, correction)


def corrected(header: Header, buffer: Buffer, correction: Correction) -> Header:
    """`header`, read of `buffer` by the character set of `correction`, with its elements.

    What leaves the archive is made once, so that it can't fail later. Raises InvalidInstance.
    """
    check_correction(correction)
    made = corrected_header(_stored(header, buffer), correction)
    elements: dict[str, JsonElement] = dict(correction.elements)
    if made.character_set is not None:
        named = [term for term in made.character_set if term]
        terms = [term or None for term in made.character_set] if named else []
        elements[_CHARACTER_SET] = {"vr": "CS", "Value": terms} if terms else {"vr": "CS"}
    levels = header.attributes
    return replace(
        header,
        attributes=LevelAttributes(
            patient=_changed(levels.patient, elements, Level.PATIENT),
            study=_changed(levels.study, elements, Level.STUDY),
            series=_changed(levels.series, elements, Level.SERIES),
            instance=_changed(levels.instance, elements, Level.IMAGE),
        ),
    )


def _stored(header: Header, buffer: Buffer) -> StoredHeader:
    layout, uid = header.layout, header.transfer_syntax_uid
    if uid in DEFLATED_UIDS:
        buffer, uid = _inflated(buffer, layout.dataset_offset), EXPLICIT_VR_LITTLE_ENDIAN
    tail = (
        layout.tail_offset if 0 <= layout.pixel_offset <= layout.tail_offset <= len(buffer) else -1
    )
    return StoredHeader(buffer, layout.dataset_offset, layout.header_length, tail, tail, uid)


def _inflated(buffer: Buffer, start: int) -> bytes:
    """The header of a deflated dataset, of which all can be inflated."""
    if start > _MAX_META:
        raise InvalidInstance(f"its file meta group has {start} bytes: it can't be corrected")
    view = memoryview(buffer)
    deflated = (bytes(view[at : at + _CHUNK]) for at in range(start, len(view), _CHUNK))
    try:
        for _ in inflated_pieces(deflated, is_strict=True):
            pass
    except Unsupported as exc:
        raise InvalidInstance(f"it can't be corrected: {exc}") from exc
    return inflated_object(buffer, start, MAX_HEADER_BYTES)


def _changed(
    attributes: dict[str, JsonElement], elements: Mapping[str, JsonElement], level: Level
) -> dict[str, JsonElement]:
    """A copy: the attributes may be shared with other instances."""
    changed = attributes.copy()
    for attribute in BY_LEVEL[level]:
        element = elements.get(attribute.key)
        if element is not None and element.get("Value"):
            changed[attribute.key] = element
        elif element is not None:
            changed.pop(attribute.key, None)
    return changed
