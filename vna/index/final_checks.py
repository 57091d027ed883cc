"""Final checks of campaigns in Postgres: what is asked of ledger and archive, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vna.audit import AuditAction, AuditEvent
from vna.index.audit import record_within
from vna.index.database import Connection, Database
from vna.index.inventory_ledger import found_study
from vna.index.jsonb import to_jsonb, to_text
from vna.index.sql import load
from vna.index.transfer_ledger import verdict_values
from vna.model.campaign import Campaign, ItemState, StudyEnd, StudyItem, Verdict
from vna.model.final_check import FinalCheck, Findings, findings_of, tree_of
from vna.model.identifiers import Origin

_RESUMED_WITHIN_DAYS = 7


@dataclass(frozen=True, slots=True)
class CheckedStudy:
    """A study as a final check sees it. `seen`: the newest inventory that has it; `exceptions`: of its instances."""

    item: StudyItem
    seen: int
    state: ItemState
    reason: str
    exceptions: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Instances, and their bytes, of studies in a state, by their own state and reason."""

    study_state: ItemState
    state: ItemState
    reason: str
    count: int
    size: int


@dataclass(frozen=True, slots=True)
class Missing:
    """A verified instance of which the archive has no version with these bytes any more.

    `has_another`: it has one with others; `is_deleted`: it lies in the trash.
    """

    instance_id: int
    study_id: int
    has_another: bool
    is_deleted: bool


class FinalCheckIndex:
    """Where final checks read and write. Shared by all threads; everything raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, campaign: Campaign, origin: Origin, *, rereads: bool) -> FinalCheck | None:
        """A new check, or the one that was cut off less than a week ago; None when others begin one at the moment."""
        values = {
            "campaign": campaign.campaign_id,
            "reread": rereads,
            "operator": origin.peer,
            "days": _RESUMED_WITHIN_DAYS,
            "findings": to_jsonb(tree_of(Findings())),
        }

        def begin(connection: Connection) -> Any:
            with connection.transaction():
                found = connection.execute(load("queries/migration_check_begin"), values).fetchone()
                if found is not None:
                    return found
                return connection.execute(load("queries/migration_check_new"), values).fetchone()

        row = self._database.attempt(begin)
        if row is None:
            return None
        number, inventory, position, began_at, tree = row
        return FinalCheck(
            check_id=number,
            inventory=inventory,
            position=position,
            began_at=began_at,
            ended_at=None,
            is_reread=rereads,
            has_passed=False,
            accepts_exceptions=False,
            operator=origin.peer,
            findings=findings_of(tree),
            is_current=False,
        )

    def abandon(self, campaign: Campaign) -> None:
        """Something new has come: what was checked before has to be checked again."""
        values = {"campaign": campaign.campaign_id}
        self._database.attempt(lambda c: c.execute(load("queries/migration_check_abandon"), values))

    def studies(self, campaign: Campaign, after: int, limit: int) -> list[CheckedStudy]:
        """The next studies behind the id `after`."""
        rows = self._rows(
            "migration_check_studies", campaign=campaign.campaign_id, after=after, limit=limit
        )
        return [
            CheckedStudy(
                StudyItem(number, found_study(uid, claimed, tree), is_listed, attempts),
                seen,
                ItemState(state),
                reason,
                exceptions,
            )
            for number, uid, claimed, tree, is_listed, attempts, seen, state, reason, exceptions in rows
        ]

    def tallies(self, studies: Sequence[int]) -> list[Tally]:
        """What became of the instances of these studies."""
        rows = self._rows("migration_check_tally", studies=list(studies))
        return [
            Tally(ItemState(study), ItemState(state), *others) for study, state, *others in rows
        ]

    def missing(self, studies: Sequence[int]) -> list[Missing]:
        """Verified instances of these studies that the archive does not have any more."""
        rows = self._rows("migration_check_faults", studies=list(studies))
        return [Missing(*row) for row in rows]

    def others(self, studies: Sequence[int]) -> int:
        """How many instances the archive has of these studies of which the ledger knows nothing."""
        return int(self._rows("migration_check_others", studies=list(studies))[0][0])

    def doubt(self, study_id: int, verdicts: Sequence[Verdict], end: StudyEnd) -> bool:
        """These instances are not verified any more; False, and nothing is written, while a worker has the study."""
        values = {
            "study": study_id,
            "state": end.state.value,
            "reason": end.reason.value,
            "detail": to_text(end.detail),
        }

        def write(connection: Connection) -> bool:
            with connection.transaction():
                if (
                    connection.execute(load("queries/migration_check_hold"), values).fetchone()
                    is None
                ):
                    return False
                connection.execute(load("queries/migration_verdicts"), verdict_values(verdicts))
                connection.execute(load("queries/migration_check_doubt"), values)
                return True

        return self._database.attempt(write)

    def went_on(self, check: FinalCheck, position: int, to: int, findings: Findings) -> bool:
        """Remember that the check got from the study `position` to `to`; False: others go on with it."""
        values = {"check": check.check_id, "from": position, "to": to}
        tree = to_jsonb(tree_of(findings))
        return bool(self._rows("migration_check_went", **values, findings=tree))

    def end(
        self,
        campaign: Campaign,
        check: FinalCheck,
        findings: Findings,
        origin: Origin,
        *,
        passed: bool,
        accepts: bool,
    ) -> bool:
        """The check is over; when it has `passed`, and nothing has come up meanwhile, the campaign is finished."""
        values = {
            "check": check.check_id,
            "campaign": campaign.campaign_id,
            "inventory": check.inventory,
            "accepts": accepts,
            "findings": to_jsonb(tree_of(findings)),
        }

        def end(connection: Connection) -> bool:
            with connection.transaction():
                row = None
                if passed:
                    row = connection.execute(
                        load("queries/migration_check_done"), values
                    ).fetchone()
                told = {**values, "passed": row is not None}
                connection.execute(load("queries/migration_check_end"), told)
                if row is not None:
                    record_within(connection, _event(campaign, check, findings, origin))
                return row is not None

        return self._database.attempt(end)

    def checks(self, campaign: Campaign, limit: int = 100) -> list[FinalCheck]:
        """Those of a campaign, the newest first."""
        rows = self._rows("migration_checks", campaign=campaign.campaign_id, limit=limit)
        return [_check(row) for row in rows]

    def newest(self, campaign: Campaign) -> FinalCheck | None:
        """The newest check of a campaign, one that was cut off included."""
        return next(iter(self.checks(campaign, 1)), None)

    def _rows(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        return self._database.attempt(
            lambda c: c.execute(load(f"queries/{query}"), values).fetchall()
        )


def _check(row: Sequence[Any]) -> FinalCheck:
    values = [*row[:9], findings_of(row[9]), row[10]]
    return FinalCheck(*values)


def _event(campaign: Campaign, check: FinalCheck, findings: Findings, origin: Origin) -> AuditEvent:
    detail: dict[str, str | int] = {
        "campaign": campaign.name,
        "what": "finished",
        "inventory": check.inventory,
        "verified": findings.instances[ItemState.VERIFIED],
        "exceptions": findings.exceptions.total(),
    }
    return AuditEvent(AuditAction.MIGRATION_CHANGED, origin, detail=detail)
