"""A migration as the ledger keeps it: campaigns, their studies and instances, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from storage_backends.base import Digest
from vna.model.identifiers import InstanceUids
from vna.model.instances import Location, Outcome
from vna.model.migration import FoundInstance, FoundStudy, Scope, SourceSettings
from vna.model.rules import RulesText

LEASE_SECONDS = 6.0
"""A worker that gave no sign of life for so long is dead: others take over its studies."""

PULSE_SECONDS = 0.5
"""How often a worker gives one, and learns what it is to do."""


class CampaignState(StrEnum):
    """What workers do about a campaign: nothing yet, work, wait, or nothing any more."""

    NEW = "new"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"


class ItemState(StrEnum):
    """Where a study, or an instance, is on its way."""

    DISCOVERED = "discovered"
    QUEUED = "queued"
    TRANSFERRING = "transferring"
    LANDED = "landed"
    VERIFIED = "verified"
    MISMATCHED = "mismatched"
    FAILED = "failed"
    EXCLUDED = "excluded"
    PARKED = "parked"


STATES = {
    ItemState.DISCOVERED: "the source has it",
    ItemState.QUEUED: "it waits for its transfer",
    ItemState.TRANSFERRING: "a worker is about it",
    ItemState.LANDED: "it is durable in the archive, and was not verified yet",
    ItemState.VERIFIED: "it was read again from the storage and is what came",
    ItemState.MISMATCHED: "what is in the archive is not proven to be what the source has",
    ItemState.FAILED: "the last attempt did not bring it; it is tried again",
    ItemState.EXCLUDED: "it is not to be transferred",
    ItemState.PARKED: "all attempts are used up; it waits for a person",
}
EXCEPTIONAL = (ItemState.MISMATCHED, ItemState.FAILED, ItemState.EXCLUDED, ItemState.PARKED)
"""States that a person may want to look at."""


class Reason(StrEnum):
    """Why an item is where it is: the code; a detail may follow in words."""

    NONE = ""
    NOT_DELIVERED = "not-delivered"
    REFUSED = "refused"
    RULES = "rules"
    SOURCE_ERROR = "source-error"
    SOURCE_UNAVAILABLE = "source-unavailable"
    SOURCE_BUSY = "source-busy"
    ARCHIVE_UNAVAILABLE = "archive-unavailable"
    UNFORESEEN = "unforeseen"
    WORKER_LOST = "worker-lost"
    LOST_AT_SOURCE = "lost-at-source"
    EMPTY = "empty"
    GONE_FROM_SOURCE = "gone-from-source"
    FEWER_THAN_CLAIMED = "fewer-than-claimed"
    NOT_ALL_LISTED = "not-all-listed"
    UNREADABLE = "unreadable"
    NOT_LISTED = "not-listed"
    UNSTABLE_UIDS = "unstable-uids"
    NOT_IN_ARCHIVE = "not-in-archive"
    DAMAGED = "damaged-in-storage"
    BYTES_DIFFER = "bytes-differ"
    UIDS_DIFFER = "uids-differ"
    CLASS_DIFFERS = "class-differs"
    FRAMES_DIFFER = "frames-differ"
    SIZE_DIFFERS = "size-differs"
    HEADER_DIFFERS = "header-differs"
    LOSSY = "compressed-lossily"
    COLLISION = "uid-collision"
    NOT_DECODABLE = "not-decodable"
    NOT_CORRECTED = "not-corrected"
    SEVERAL_PATIENTS = "several-patients"
    INSTANCES = "instances"


REASONS: Mapping[str, str] = {
    Reason.NOT_DELIVERED: "the source did not send it, whatever its answer said",
    Reason.REFUSED: "it came, and can't be kept: no DICOM, or not identifiable",
    Reason.RULES: "a rule can't be followed with it, and says that it is parked then; it was not kept",
    Reason.SOURCE_ERROR: "the source can't give it",
    Reason.SOURCE_UNAVAILABLE: "the source broke off",
    Reason.SOURCE_BUSY: "the source had no resources for it",
    Reason.ARCHIVE_UNAVAILABLE: "the archive could not keep it",
    Reason.UNFORESEEN: "an error of the archive; the log has more",
    Reason.WORKER_LOST: "workers ended again and again while they were about it",
    Reason.LOST_AT_SOURCE: "the source counts instances of the study and lists none",
    Reason.EMPTY: "the source has the study and no instance of it",
    Reason.GONE_FROM_SOURCE: "an earlier inventory listed it, the newest does not",
    Reason.FEWER_THAN_CLAIMED: "the source lists fewer instances than it counts",
    Reason.NOT_ALL_LISTED: "the source can't be made to list all instances of the study",
    Reason.UNREADABLE: "the inventory found it and could not read it",
    Reason.NOT_LISTED: "it came, although the inventory does not have it; it is kept",
    Reason.UNSTABLE_UIDS: "the source sends other UIDs than it lists",
    Reason.NOT_IN_ARCHIVE: "it had landed, and the archive does not have it any more",
    Reason.DAMAGED: "its object is missing or damaged in the storage; it is fetched again",
    Reason.BYTES_DIFFER: "what is kept under its UID is not what came",
    Reason.UIDS_DIFFER: "its header names another study or series than the source",
    Reason.CLASS_DIFFERS: "its header names another SOP class than the source",
    Reason.FRAMES_DIFFER: "it has another number of frames than the source says",
    Reason.SIZE_DIFFERS: "it has another size than the source says",
    Reason.HEADER_DIFFERS: "its header and the source's answer differ in more than the rules allow",
    Reason.LOSSY: "it came in a lossy transfer syntax in which the source does not keep it",
    Reason.COLLISION: "its UID stands for another image as well; both are kept",
    Reason.NOT_DECODABLE: "its pixel data can't be decoded",
    Reason.NOT_CORRECTED: "what leaves the archive of it is not corrected as the rules say",
    Reason.SEVERAL_PATIENTS: "by the rules its instances are of several patients; it is shown with one of them",
    Reason.INSTANCES: "some of its instances are in that state",
}


DIFFERENCES = (
    *("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "NumberOfFrames"),
    *("PatientID", "IssuerOfPatientID", "StudyDate", "StudyTime", "AccessionNumber"),
)
"""Keywords in which header and source may differ where a campaign allows it."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The most that a source is asked for, by all workers together; 0: no bound but `associations`, which is one."""

    associations: int = 4
    instances_per_second: float = 0.0
    bytes_per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """Hours with ceilings of their own: `days` from 0, a Monday; from `start` to `end`, in minutes of the day.

    One that ends before it starts goes on into the next day. `associations` 0: no transfer in these hours.
    """

    days: tuple[int, ...]
    start: int
    end: int
    ceilings: Ceilings


@dataclass(frozen=True, slots=True)
class CampaignSettings:
    """How a campaign works.

    `order`: "newest" or "oldest" first. `attempts`: how often a study is tried before it is parked; the first retry
    comes after `retry_seconds`, each further one after twice as long. `decode`: whether every frame is
    decoded. `differences`: keywords in which header and source may differ. `timezone`: of the windows.
    """

    ceilings: Ceilings = field(default_factory=Ceilings)
    windows: tuple[Window, ...] = ()
    timezone: str = "UTC"
    order: str = "newest"
    attempts: int = 5
    retry_seconds: float = 30.0
    decode: bool = False
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewCampaign:
    """What a person asks for; `rules` None: nothing is corrected."""

    name: str
    source: SourceSettings
    scope: Scope = field(default_factory=Scope)
    settings: CampaignSettings = field(default_factory=CampaignSettings)
    rules: RulesText | None = None


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as it is now; `inventory` is the number of the newest one, 0 without any."""

    campaign_id: int
    state: CampaignState
    inventory: int
    created_at: datetime
    changed_at: datetime
    name: str
    source: SourceSettings
    scope: Scope
    settings: CampaignSettings


@dataclass(frozen=True, slots=True)
class StudyItem:
    """A study of a campaign that a worker has taken; `is_listed`: its instances are in the ledger."""

    study_id: int
    found: FoundStudy
    is_listed: bool
    attempts: int


@dataclass(frozen=True, slots=True)
class InstanceItem:
    """An instance of it. `received`: the digest of what came; `received_dataset` that of its dataset.

    `is_listed`: False for one that came although no inventory has it. `rules`: the version that it came by.
    """

    instance_id: int
    state: ItemState
    found: FoundInstance
    is_listed: bool = True
    outcome: Outcome | None = None
    received: Digest | None = None
    received_dataset: Digest | None = None
    rules: int | None = None


@dataclass(frozen=True, slots=True)
class Landing:
    """An instance that the archive has acknowledged to the worker. `instance_id` None: the inventory lacks it; `rules`:
    the version that it came by.
    """

    instance_id: int | None
    uids: InstanceUids
    sop_class_uid: str
    transfer_syntax_uid: str
    outcome: Outcome
    size: int
    received: Digest
    received_dataset: Digest
    conflict_id: int | None = None
    rules: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be written of an instance; `evidence` lists what was compared."""

    instance_id: int
    state: ItemState
    reason: Reason = Reason.NONE
    detail: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class StudyEnd:
    """How a worker leaves a study. `pause`: seconds until the next attempt; `is_counted`: this one used one up."""

    state: ItemState
    reason: Reason = Reason.NONE
    detail: str = ""
    pause: float = 0.0
    is_counted: bool = True


@dataclass(frozen=True, slots=True)
class AttemptNote:
    """What one fetch did, for the history."""

    asked: int
    taken: int
    taken_bytes: int
    seconds: float
    said: str


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """A version of an instance that the archive keeps: the visible one, or one in conflict with it. `correction`: the
    id of what is changed in it on its way out.
    """

    is_conflict: bool
    row_id: int
    uids: InstanceUids
    sop_class_uid: str
    transfer_syntax_uid: str
    number_of_frames: int
    location: Location
    object_digest: Digest
    dataset_digest: Digest
    pixel_digest: Digest | None
    correction: int | None = None


@dataclass(frozen=True, slots=True)
class WorkerPulse:
    """What a worker tells at each sign of life: studies it fetches, the limit it has set itself, what hinders it."""

    active: int
    limit: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker learns in return: it is number `rank` (from 0) of `workers` that take from the same source now;
    what the others have under way. `neighbours`: how other campaigns work that do so.
    """

    state: CampaignState
    settings: CampaignSettings
    workers: int
    rank: int
    others_active: int
    neighbours: tuple[CampaignSettings, ...] = ()
