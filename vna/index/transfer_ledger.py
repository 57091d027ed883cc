"""The ledger as the queue of workers: studies are claimed, what has landed is noted, what came of it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from storage_backends.base import Digest
from vna.index.campaigns import settings_of
from vna.index.database import Connection, Database
from vna.index.inventory_ledger import found_study
from vna.index.jsonb import to_text
from vna.index.registering import packed_digest, unpacked_digest
from vna.index.sql import load
from vna.model.campaign import (
    LEASE_SECONDS,
    AttemptNote,
    Campaign,
    CampaignState,
    InstanceItem,
    ItemState,
    KeptVersion,
    Landing,
    Orders,
    StudyEnd,
    StudyItem,
    Verdict,
    WorkerPulse,
)
from vna.model.identifiers import InstanceUids
from vna.model.instances import Location, Outcome
from vna.model.migration import FoundInstance

MOST_LOSSES = 10
"""A study over which so many workers in a row ended without getting on is parked."""


class TransferLedger:
    """What workers write. Shared by all threads; everything raises Unavailable, and is harmless to repeat.

    The lease of all studies that a worker holds is its own sign of life (`pulse`).
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def enlist(self, campaign: Campaign, name: str) -> int | None:
        """The number of a new worker; None when the campaign was removed."""
        row = self._row("migration_enlist", campaign=campaign.campaign_id, name=name)
        return None if row is None else int(row[0])

    def pulse(self, worker: int, pulse: WorkerPulse) -> Orders | None:
        """A sign of life; None when this worker counts as dead, and holds nothing any more."""
        row = self._row(
            "migration_pulse",
            worker=worker,
            active=pulse.active,
            pace=pulse.limit,
            note=to_text(pulse.note),
            lease=LEASE_SECONDS,
        )
        if row is None:
            return None
        state, settings, workers, rank, active, neighbours = row
        others = tuple(map(settings_of, neighbours))
        return Orders(CampaignState(state), settings_of(settings), workers, rank, active, others)

    def tidy(self, campaign: Campaign) -> int:
        """Take the studies of dead workers, and those whose next attempt has come, back into the queue."""
        values = {
            "campaign": campaign.campaign_id,
            "lease": LEASE_SECONDS,
            "most": MOST_LOSSES,
        }

        def sweep(connection: Connection) -> int:
            connection.execute(load("queries/migration_bury"), values)
            found = connection.execute(load("queries/migration_inherit"), values).rowcount
            return found + connection.execute(load("queries/migration_due"), values).rowcount

        return self._database.attempt(sweep)

    def resign(self, worker: int) -> None:
        """This worker does no more; what it holds goes back into the queue at the next `tidy`."""
        self._execute("migration_resign", worker=worker)

    def claim(self, campaign: Campaign, worker: int) -> StudyItem | None:
        """The next study, held by `worker` from now on; None when none waits, or the worker counts as dead."""
        row = self._row("migration_claim", campaign=campaign.campaign_id, worker=worker)
        if row is None:
            return None
        number, uid, claimed, tree, is_listed, attempts = row
        return StudyItem(number, found_study(uid, claimed, tree), is_listed, attempts)

    def samples(
        self, campaign: Campaign, limit: int, uids: Sequence[str] | None = None
    ) -> list[StudyItem]:
        """Some studies, spread over the whole campaign; or those of `uids`. Nobody holds them."""
        values = {
            "campaign": campaign.campaign_id,
            "limit": limit,
            "uids": None if uids is None else [to_text(uid) for uid in uids],
        }
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/migration_samples"), values).fetchall()
        )
        return [StudyItem(row[0], found_study(*row[1:4]), row[4], 0) for row in rows]

    def instances(self, study: StudyItem) -> list[InstanceItem]:
        """What is listed of a study, and what came beside that, by series."""
        values = {"study": study.study_id}
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/migration_instances_of"), values).fetchall()
        )
        return [_item(study.found.study_instance_uid, row) for row in rows]

    def transferring(self, ids: Sequence[int]) -> None:
        """These instances are asked for now."""
        self._execute("migration_transferring", ids=list(ids))

    def landed(self, study_id: int, landings: Sequence[Landing]) -> None:
        """The archive has acknowledged these instances of a study. True whoever holds the study meanwhile."""
        listed = [item for item in landings if item.instance_id is not None]
        others = [item for item in landings if item.instance_id is None]

        def write(connection: Connection) -> None:
            with connection.transaction():
                if listed:
                    values = _landed(listed) | {"ids": [item.instance_id for item in listed]}
                    connection.execute(load("queries/migration_landed"), values)
                if others:
                    values = _landed(others) | _unlisted(others) | {"study": study_id}
                    connection.execute(load("queries/migration_landed_unlisted"), values)

        self._database.attempt(write)

    def attempted(self, study_id: int, worker: int, note: AttemptNote) -> None:
        """Remember what a fetch brought."""
        self._execute(
            "migration_attempt",
            study=study_id,
            worker=worker,
            asked=note.asked,
            taken=note.taken,
            bytes=note.taken_bytes,
            seconds=note.seconds,
            said=to_text(note.said),
        )

    def study_landed(self, study_id: int, worker: int) -> None:
        """The study is there; its verification is what is left."""
        self._execute("migration_study_landed", study=study_id, worker=worker)

    def finish(
        self, study_id: int, worker: int, verdicts: Sequence[Verdict], end: StudyEnd
    ) -> bool:
        """Let go of a study; False, and nothing is written, when others hold it by now."""
        values = {
            "study": study_id,
            "worker": worker,
            "state": end.state.value,
            "reason": end.reason.value,
            "detail": to_text(end.detail),
            "pause": end.pause,
            "counted": end.is_counted,
        }

        def write(connection: Connection) -> bool:
            with connection.transaction():
                held = connection.execute(load("queries/migration_hold"), values).fetchone()
                if held is None:
                    return False
                if verdicts:
                    connection.execute(load("queries/migration_verdicts"), verdict_values(verdicts))
                connection.execute(load("queries/migration_finish"), values)
                return True

        return self._database.attempt(write)

    def kept(self, sop_instance_uids: Sequence[str]) -> dict[str, list[KeptVersion]]:
        """What the archive has under each of these UIDs that it knows; the visible version first."""
        values = {"uids": [to_text(uid) for uid in sop_instance_uids]}
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/migration_kept"), values).fetchall()
        )
        versions: dict[str, list[KeptVersion]] = {}
        for version in sorted(map(_version, rows), key=lambda v: (v.is_conflict, v.row_id)):
            versions.setdefault(version.uids.sop_instance_uid, []).append(version)
        return versions

    def others(self, study: StudyItem) -> int:
        """How many instances of the study the archive has that did not come with this campaign."""
        uid = to_text(study.found.study_instance_uid)
        return int(self._row("migration_others", uid=uid, study=study.study_id)[0])

    def of_other_patients(self, study: StudyItem) -> int:
        """How many instances of the study are corrected to be another patient's than it is shown with."""
        uid = to_text(study.found.study_instance_uid)
        return int(self._row("migration_other_patients", uid=uid)[0])

    def _row(self, query: str, **values: object) -> Any:
        return self._database.attempt(
            lambda c: c.execute(load(f"queries/{query}"), values).fetchone()
        )

    def _execute(self, query: str, **values: object) -> None:
        self._database.attempt(lambda c: c.execute(load(f"queries/{query}"), values))


def _item(study: str, row: Sequence[Any]) -> InstanceItem:
    number, state, series, uid, sop_class, syntax, size, frames, modality, place, *came = row
    is_listed, outcome, received, dataset, rules = came
    found = FoundInstance(
        InstanceUids(study, series, uid), sop_class, syntax, size, frames, modality, place
    )
    return InstanceItem(
        number,
        ItemState(state),
        found,
        is_listed,
        None if outcome is None else Outcome(outcome),
        _digest(received),
        _digest(dataset),
        rules,
    )


def _digest(packed: bytes | None) -> Digest | None:
    return None if packed is None else unpacked_digest(packed)


def _version(row: Sequence[Any]) -> KeptVersion:
    sop_class_uid, syntax, frames = row[5:8]
    return KeptVersion(
        is_conflict=row[0],
        row_id=row[1],
        uids=InstanceUids(*row[2:5]),
        sop_class_uid=sop_class_uid,
        transfer_syntax_uid=syntax,
        number_of_frames=frames,
        location=Location(*row[8:12]),
        object_digest=unpacked_digest(row[12]),
        dataset_digest=unpacked_digest(row[13]),
        pixel_digest=_digest(row[14]),
        correction=row[15],
    )


def _landed(landings: Sequence[Landing]) -> dict[str, object]:
    return {
        "outcomes": [item.outcome.value for item in landings],
        "sizes": [item.size for item in landings],
        "received": [packed_digest(item.received) for item in landings],
        "datasets": [packed_digest(item.received_dataset) for item in landings],
        "conflicts": [item.conflict_id for item in landings],
        "rules": [item.rules for item in landings],
    }


def _unlisted(landings: Sequence[Landing]) -> dict[str, object]:
    return {
        "series": [to_text(item.uids.series_instance_uid) for item in landings],
        "uids": [to_text(item.uids.sop_instance_uid) for item in landings],
        "classes": [to_text(item.sop_class_uid) for item in landings],
        "syntaxes": [to_text(item.transfer_syntax_uid) for item in landings],
    }


def verdict_values(verdicts: Sequence[Verdict]) -> dict[str, object]:
    """Verdicts as their statement takes them."""
    return {
        "ids": [item.instance_id for item in verdicts],
        "states": [item.state.value for item in verdicts],
        "reasons": [item.reason.value for item in verdicts],
        "details": [to_text(item.detail) for item in verdicts],
        "evidences": [item.evidence for item in verdicts],
    }
