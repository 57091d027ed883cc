"""What a C-MOVE or C-GET asks for: which instances, and in which form (PS3.4 C.4.2.1.4, Y.4, Z.4)."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from vna.dicom.frame_keys import KEYWORDS, FrameKeys, InvalidFrameKeys
from vna.model.chosen import Chosen, Kind
from vna.model.identifiers import Level, Selection
from vna.scp.exchange import Exchange
from vna.scp.extended import options_of
from vna.scp.hierarchy import require_hierarchy
from vna.scp.identifier import (
    MAX_IDENTIFIER_BYTES,
    QUERY_RETRIEVE_LEVEL,
    Identifier,
    Keys,
    read_identifier,
    read_keys,
    text_of,
    to_selection,
)
from vna.scp.policy import Model, model_of
from vna.scp.rendition import AsStored, Extracted, Rendition, WithoutBulkData

FRAME = "FRAME"


@dataclass(frozen=True, slots=True)
class RetrieveRequest:
    """The instances to send, and what is sent of each."""

    chosen: Chosen
    rendition: Rendition


def read_request(exchange: Exchange) -> RetrieveRequest:
    """Understand the identifier and select. Raises InvalidQuery, ExtractionError, Unavailable."""
    data = exchange.message.read_data(MAX_IDENTIFIER_BYTES)
    model = model_of(exchange.message.context.abstract_syntax)
    return _READERS[model](exchange, data, model)


def _read_query_retrieve(exchange: Exchange, data: bytes, model: Model) -> RetrieveRequest:
    identifier = read_identifier(data, exchange.transfer_syntax_uid, model)
    sop_class_uid = exchange.message.context.abstract_syntax
    options = options_of(exchange.association, sop_class_uid, exchange.door.config)
    if not options.relational:
        require_hierarchy(identifier, model)
    chosen = exchange.door.retrieve.choose(to_selection(identifier))
    return RetrieveRequest(chosen, AsStored(exchange.door))


def _read_without_bulk_data(exchange: Exchange, data: bytes, model: Model) -> RetrieveRequest:
    identifier = read_identifier(data, exchange.transfer_syntax_uid, model)
    chosen = exchange.door.retrieve.choose(_instances_of(identifier))
    return RetrieveRequest(chosen, WithoutBulkData(exchange.door))


def _read_composite(exchange: Exchange, data: bytes, model: Model) -> RetrieveRequest:
    keys = read_keys(data, exchange.transfer_syntax_uid)
    if text_of(keys.get(QUERY_RETRIEVE_LEVEL, {})).strip(" \0").upper() == FRAME:
        return _read_frames(exchange, Identifier(Level.IMAGE, keys))
    identifier = read_identifier(data, exchange.transfer_syntax_uid, model)
    chosen = exchange.door.retrieve.choose(_instances_of(identifier))
    return RetrieveRequest(chosen, AsStored(exchange.door))


def _read_frames(exchange: Exchange, identifier: Identifier) -> RetrieveRequest:
    """A new instance of some frames of one (Y.3.3), made before anything is sent."""
    door, keys = exchange.door, frame_keys_of(identifier.keys)
    selection = _instances_of(identifier)
    if len(selection.sop_instance_uids) != 1:
        raise InvalidFrameKeys("frames are requested of more than one SOP Instance")
    found = door.retrieve.load(door.retrieve.choose(selection).ids)
    if not found:
        return RetrieveRequest(Chosen(), AsStored(door))
    (source,) = found
    extract = door.pixels.extracts.frames(source, keys)
    kind = Kind(extract.instance.sop_class_uid, extract.instance.transfer_syntax_uid)
    chosen = Chosen(array("q", [source.instance_id]), array("I", [0]), (kind,))
    return RetrieveRequest(chosen, Extracted(door, extract))


def frame_keys_of(keys: Keys) -> FrameKeys:
    """The one frame range key of an identifier (Y.3.2.1). Raises InvalidFrameKeys."""
    found = [key for key in KEYWORDS if keys.get(key, {}).get("Value")]
    if len(found) != 1:
        raise InvalidFrameKeys("not one, but none or several of the frame range keys have a value")
    values = cast("list[object]", keys[found[0]]["Value"])
    if not all(isinstance(value, (int, float)) for value in values):
        raise InvalidFrameKeys(f"{KEYWORDS[found[0]]} is not a list of numbers")
    return FrameKeys(found[0], tuple(cast("list[float]", values)))


def _instances_of(identifier: Identifier) -> Selection:
    """Only SOP Instance UIDs count in the models of annexes Y and Z."""
    return Selection(sop_instance_uids=to_selection(identifier).sop_instance_uids)


_READERS: dict[Model, Callable[[Exchange, bytes, Model], RetrieveRequest]] = {
    Model.PATIENT_ROOT: _read_query_retrieve,
    Model.STUDY_ROOT: _read_query_retrieve,
    Model.COMPOSITE_ROOT: _read_composite,
    Model.WITHOUT_BULK_DATA: _read_without_bulk_data,
}
