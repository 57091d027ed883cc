"""What a migration source tells of its studies and instances, before anything is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from vna.model.identifiers import InstanceUids


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Where a campaign takes from: the kind of connector and its options, as they were given.

    Options name files that hold secrets, never the secrets: they are kept in the ledger and shown.
    """

    kind: str
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Scope:
    """Which studies an inventory looks for; what is empty does not narrow.

    Dates are inclusive. `undated`: also the studies without a Study Date, or with one that no range
    finds; only of meaning where the dates narrow nothing, else they are out anyway.
    """

    first_date: date | None = None
    last_date: date | None = None
    modalities: tuple[str, ...] = ()
    patient_id: str = ""
    study_instance_uids: tuple[str, ...] = ()
    undated: bool = True


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study as the source tells of it: texts as they came, "" where it says nothing.

    `study_date` and `study_time` are DA and TM texts, which need not be valid. `number_of_instances` is
    the source's claim, None without one: it is never evidence. `place` is for the source alone.
    """

    study_instance_uid: str
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    study_date: str = ""
    study_time: str = ""
    accession_number: str = ""
    modalities: tuple[str, ...] = ()
    study_description: str = ""
    number_of_instances: int | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class FoundInstance:
    """An instance as the source tells of it.

    `transfer_syntax_uid` as it is stored there, "" when the source does not say; `size` in bytes of
    the object and `number_of_frames` None likewise. `modality` is that of the series. `place` is for the source
    alone: a file's path, an object's key.
    """

    uids: InstanceUids
    sop_class_uid: str = ""
    transfer_syntax_uid: str = ""
    size: int | None = None
    number_of_frames: int | None = None
    modality: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a source can do, as far as the engine goes by it.

    `keeps_bytes`: what arrives is the stored object byte for byte, file meta included. `fetches_series` and
    `fetches_instances`: less than a study can be asked for. `counts_instances`: its studies come with
    a number of instances. `adopts`: objects are taken over where they lie, without a copy.
    """

    kind: str
    keeps_bytes: bool = False
    fetches_series: bool = True
    fetches_instances: bool = True
    counts_instances: bool = True
    adopts: bool = False


@dataclass(frozen=True, slots=True)
class FetchFailure:
    """An instance that was asked for and did not come, or came and could not be taken; "" names none."""

    sop_instance_uid: str
    reason: str
    transient: bool = False


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What happened at one fetch, for people and for the pace; whether the study is complete it does not say.

    `taken` objects and `taken_bytes` were handed over; `first_seconds` passed until the first of them (None: none
    came). `said` is how the source described the end (a status, its counters), which proves nothing. `was_busy`: the
    source asked for less (0xA7xx, 429, 503). `was_stopped`: it ended because it was told to.
    """

    taken: int = 0
    taken_bytes: int = 0
    first_seconds: float | None = None
    failures: tuple[FetchFailure, ...] = ()
    said: str = ""
    was_busy: bool = False
    was_stopped: bool = False
