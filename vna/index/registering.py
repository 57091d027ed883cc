"""A received instance as the parameters of the index's one writing call."""

from __future__ import annotations

from storage_backends.base import Digest
from vna.dicom.person_names import names_by_key
from vna.index.differences import SharedAttributes
from vna.index.jsonb import to_jsonb, to_text
from vna.index.known_parents import KnownSeries
from vna.index.prepared import Row
from vna.index.prepared_texts import Parameter
from vna.model.frames import pack_frames
from vna.model.identifiers import Origin
from vna.model.instances import InstanceLayout, NewInstance, Outcome, Registration
from vna.model.query import JsonElement

# In columns of their own, and there as they count; not twice.
_STUDY_COLUMNS = frozenset({"0020000D"})
_SERIES_COLUMNS = frozenset({"0020000E"})
_INSTANCE_COLUMNS = frozenset({"00080016", "00080018"})
_SHORT = {b"\1": "blake3", b"\2": "blake3-pixel-tree"}
_INSTANCE_NUMBER = "00200013"
_OUTCOMES = {outcome.value.encode(): outcome for outcome in Outcome}
PATIENT_MISMATCH = (
    "the study is known under another patient; the instance was linked to the study as it is known"
)


def parameters_of(
    new: NewInstance, origin: Origin, known: KnownSeries | None = None
) -> list[Parameter]:
    """What queries/register.sql takes, in its order; patient, study and series as NULL where `known` was told of
    them.
    """
    with_parents = known is None
    shared = None if known is None else known.shared
    is_short = shared is not None  # there, only versions serve that can read all short forms
    instance, differences = _instance(new, shared)
    levels, layout, location = new.attributes, new.layout, new.location
    return [
        new.uids.study_instance_uid,
        new.uids.series_instance_uid,
        new.uids.sop_instance_uid,
        new.sop_class_uid,
        new.transfer_syntax_uid,
        _first_text(levels.patient.get("00100021")),
        _first_text(levels.patient.get("00100020")),
        _with_values(levels.patient) if with_parents else None,
        _with_values(levels.study, _STUDY_COLUMNS) if with_parents else None,
        _with_values(levels.series, _SERIES_COLUMNS) if with_parents else None,
        instance,
        _array(layout),
        new.number_of_frames,
        None if new.frames is None else pack_frames(new.frames, in_short=is_short),
        packed_digest(new.object_digest),
        packed_digest(new.dataset_digest),
        None if new.pixel_digest is None else packed_digest(new.pixel_digest),
        [to_text(warning) for warning in new.warnings] or None,
        location.backend,
        location.key,
        location.offset,
        location.length,
        origin.door,
        to_text(origin.peer),
        origin.address,
        origin.correlation_id,
        to_jsonb(names_by_key(levels.patient, levels.study)) if with_parents else None,
        to_jsonb(names_by_key(levels.series)) if with_parents else None,
        None if known is None else known.series_id,
        differences,
        *copies_of(new),
        new.correction,
    ]


def copies_of(new: NewInstance) -> tuple[list[str] | None, list[str] | None]:
    """The backends of its copies, and their keys, without one those that are to be written; None: there are none."""
    if not new.copies and not new.later:
        return None, None
    return (
        [*(place.backend for place in new.copies), *new.later],
        [*(place.key for place in new.copies), *("" for _ in new.later)],
    )


def _instance(new: NewInstance, shared: SharedAttributes | None) -> tuple[Parameter, Parameter]:
    """The attributes of the instance: all, and no differences, or what has a column of its own, and the differences."""
    attributes = _valued(new.attributes.instance, _INSTANCE_COLUMNS)
    if shared is None:
        return to_jsonb(attributes), None
    number = attributes.get(_INSTANCE_NUMBER)
    columns = to_jsonb({_INSTANCE_NUMBER: number}) if number is not None else "{}"
    return columns, to_jsonb(shared.differences(attributes))


def registration_of(row: Row) -> Registration | None:
    """The answer of queries/register.sql; None: it needs patient, study and series after all."""
    outcome, location_is_kept, conflict_id, is_mismatch, series_id, shared = row
    if outcome is None:
        return None
    notes = (PATIENT_MISMATCH,) if is_mismatch == b"t" and outcome == b"stored" else ()
    return Registration(
        _OUTCOMES[outcome],
        location_is_kept == b"t",
        None if conflict_id is None else int(conflict_id),
        notes,
        None if series_id is None else int(series_id),
        shared,
    )


def _array(layout: InstanceLayout) -> str:
    numbers = (
        layout.dataset_offset,
        layout.header_length,
        layout.pixel_offset,
        layout.pixel_length,
        layout.tail_offset,
    )
    return "{" + ",".join(map(str, numbers)) + "}"


def packed_digest(digest: Digest) -> bytes:
    """A digest as the index keeps it: algorithm, colon, raw bytes."""
    return digest.algorithm.encode() + b":" + bytes.fromhex(digest.value)


def unpacked_digest(packed: bytes) -> Digest:
    """The inverse of `packed_digest`; also of those that the index has made shorter."""
    short = _SHORT.get(packed[:1])
    if short is not None:
        return Digest(short, bytes(packed[1:]).hex())
    algorithm, _, value = bytes(packed).partition(b":")
    return Digest(algorithm.decode(), value.hex())


def _with_values(
    attributes: dict[str, JsonElement], without: frozenset[str] = frozenset()
) -> bytes | str:
    return to_jsonb(_valued(attributes, without))


def _valued(attributes: dict[str, JsonElement], without: frozenset[str]) -> dict[str, JsonElement]:
    return {
        key: element
        for key, element in attributes.items()
        if element.get("Value") and key not in without
    }


def _first_text(element: JsonElement | None) -> str:
    values = (element or {}).get("Value")
    value = values[0] if isinstance(values, list) and values else ""
    return to_text(str(value)).strip() if value is not None else ""
