"""Campaigns of migration in Postgres: what was asked for, and whether workers work on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from vna.audit import AuditAction, AuditEvent
from vna.errors import ConfigError, NotFound
from vna.index.audit import record_within
from vna.index.campaign_rules import declare_within
from vna.index.database import Connection, Database
from vna.index.jsonb import to_jsonb
from vna.index.sql import load
from vna.model.campaign import (
    EXCEPTIONAL,
    Campaign,
    CampaignSettings,
    CampaignState,
    Ceilings,
    ItemState,
    NewCampaign,
    Window,
)
from vna.model.identifiers import Origin
from vna.model.migration import Scope, SourceSettings

_REMOVED_AT_ONCE = 200
_RETRIED = (*EXCEPTIONAL, ItemState.VERIFIED)
_BEFORE: dict[CampaignState, tuple[CampaignState, ...]] = {
    CampaignState.RUNNING: (CampaignState.NEW, CampaignState.PAUSED, CampaignState.DONE),
    CampaignState.PAUSED: (CampaignState.RUNNING,),
}
"""From which states a person may bring a campaign into one."""


class CampaignIndex:
    """What was asked for. Shared by all threads; everything raises Unavailable. Changes are audited with `origin`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: NewCampaign, origin: Origin) -> Campaign:
        """A new campaign, which does nothing yet. Raises ConfigError when there is one of that name."""
        values = {
            "name": new.name,
            "source": to_jsonb({"kind": new.source.kind, "options": dict(new.source.options)}),
            "scope": to_jsonb(_scope_tree(new.scope)),
            "settings": to_jsonb(dataclasses.asdict(new.settings)),
        }

        def insert(connection: Connection) -> Any:
            with connection.transaction():
                row = connection.execute(load("queries/migration_add"), values).fetchone()
                if row is not None:
                    if new.rules is not None:
                        declare_within(connection, row[0], new.rules, origin)
                    record_within(connection, _event(new.name, "added", origin))
                return row

        row = self._database.attempt(insert)
        if row is None:
            raise ConfigError(f"there is a campaign {new.name!r} already: choose another name")
        return _campaign(row)

    def find(self, name: str) -> Campaign:
        """Raises NotFound."""
        found = self._campaigns("migration_campaigns", name=name)
        if not found:
            raise NotFound(f"no campaign {name!r}: `vna migrate status` lists them")
        return found[0]

    def all(self) -> list[Campaign]:
        """The oldest first."""
        return self._campaigns("migration_campaigns", name=None)

    def running(self) -> list[Campaign]:
        """Those that workers have to work on."""
        return self._campaigns("migration_running")

    def set_state(self, campaign: Campaign, state: CampaignState, origin: Origin) -> bool:
        """Have workers work on it, or wait; False when that makes no sense from the state it is in."""

        def change(connection: Connection) -> bool:
            with connection.transaction():
                if not _change_state(connection, campaign, state):
                    return False
                if state is CampaignState.RUNNING:
                    values = {"campaign": campaign.campaign_id}
                    connection.execute(load("queries/migration_release"), values)
                record_within(connection, _event(campaign.name, state.value, origin))
                return True

        return self._database.attempt(change)

    def change(self, campaign: Campaign, settings: CampaignSettings, origin: Origin) -> None:
        """How it goes on from now on."""
        tree = to_jsonb(dataclasses.asdict(settings))
        values = {"campaign": campaign.campaign_id, "settings": tree}
        self._audited("migration_set_settings", values, _event(campaign.name, "changed", origin))

    def prioritise(self, campaign: Campaign, uids: Sequence[str], origin: Origin) -> int:
        """Have these studies go first, in their order; returns how many of them the campaign has."""
        values = {
            "campaign": campaign.campaign_id,
            "uids": list(uids),
            "priorities": [len(uids) - number for number in range(len(uids))],
        }
        event = _event(campaign.name, "prioritised", origin, len(uids))
        return len(self._audited("migration_prioritise", values, event))

    def exclude(self, campaign: Campaign, uids: Sequence[str], detail: str, origin: Origin) -> int:
        """Keep these studies from being transferred, as far as they are not; returns how many."""
        values = {"campaign": campaign.campaign_id, "uids": list(uids), "detail": detail}
        event = _event(campaign.name, "excluded", origin, len(uids))
        return len(self._audited("migration_exclude", values, event))

    def retry(
        self,
        campaign: Campaign,
        origin: Origin,
        *,
        states: Sequence[ItemState] = (ItemState.PARKED, ItemState.FAILED, ItemState.MISMATCHED),
        uids: Sequence[str] | None = None,
        reason: str = "",
    ) -> int:
        """Try studies in these states again, with all their attempts; returns how many. What is verified is verified
        again, and not fetched. A campaign that was done runs again then.
        """
        values = {
            "campaign": campaign.campaign_id,
            "states": [state.value for state in states if state in _RETRIED],
            "uids": None if uids is None else list(uids),
            "reason": reason,
        }

        def rearm(connection: Connection) -> int:
            with connection.transaction():
                rows = connection.execute(
                    load("queries/migration_retry_studies"), values
                ).fetchall()
                studies = [number for (number,) in rows]
                again = {"studies": studies, "states": values["states"]}
                connection.execute(load("queries/migration_retry_instances"), again)
                if studies:
                    _change_state(
                        connection, campaign, CampaignState.RUNNING, (CampaignState.DONE,)
                    )
                event = _event(campaign.name, "retried", origin, len(studies))
                record_within(connection, event)
                return len(studies)

        return self._database.attempt(rearm)

    def finish(self, campaign: Campaign) -> bool:
        """Call it done if nothing is left to do; what has to wait for a person is nothing that workers can do."""
        event = _event(campaign.name, CampaignState.DONE.value, Origin("migration"))
        return bool(self._audited("migration_is_done", {"campaign": campaign.campaign_id}, event))

    def remove(self, campaign: Campaign, origin: Origin) -> None:
        """Forget the campaign and its ledger; what it brought stays. Cut off, it goes on when it is called again."""
        values = {"campaign": campaign.campaign_id, "limit": _REMOVED_AT_ONCE}
        while True:
            row = self._database.attempt(
                lambda c: c.execute(load("queries/migration_remove_rows"), values).fetchone()
            )
            if row is None or not row[0]:
                break
        self._audited("migration_remove", values, _event(campaign.name, "removed", origin))

    def _campaigns(self, query: str, **values: object) -> list[Campaign]:
        rows = self._database.attempt(
            lambda c: c.execute(load(f"queries/{query}"), values).fetchall()
        )
        return [_campaign(row) for row in rows]

    def _audited(
        self, query: str, values: Mapping[str, object], event: AuditEvent
    ) -> list[tuple[Any, ...]]:
        def change(connection: Connection) -> list[tuple[Any, ...]]:
            with connection.transaction():
                cursor = connection.execute(load(f"queries/{query}"), values)
                rows = cursor.fetchall() if cursor.description else [()] * cursor.rowcount
                if rows:
                    record_within(connection, event)
                return rows

        return self._database.attempt(change)


def _change_state(
    connection: Connection,
    campaign: Campaign,
    state: CampaignState,
    before: Sequence[CampaignState] = (),
) -> bool:
    values = {
        "campaign": campaign.campaign_id,
        "state": state.value,
        "from": [known.value for known in before or _BEFORE.get(state, ())],
    }
    return connection.execute(load("queries/migration_set_state"), values).fetchone() is not None


def _event(name: str, what: str, origin: Origin, studies: int | None = None) -> AuditEvent:
    detail: dict[str, str | int] = {"campaign": name, "what": what}
    if studies is not None:
        detail["studies"] = studies
    return AuditEvent(AuditAction.MIGRATION_CHANGED, origin, detail=detail)


def _campaign(row: Sequence[Any]) -> Campaign:
    number, state, inventory, created_at, changed_at, name, source, scope, settings = row
    return Campaign(
        campaign_id=number,
        state=CampaignState(state),
        inventory=inventory,
        created_at=created_at,
        changed_at=changed_at,
        name=name,
        source=SourceSettings(source["kind"], source["options"]),
        scope=_scope(scope),
        settings=settings_of(settings),
    )


def settings_of(tree: Mapping[str, Any]) -> CampaignSettings:
    """The settings that `dataclasses.asdict` made `tree` of; what an older version did not know has its default."""
    values = dict(tree)
    values["ceilings"] = Ceilings(**tree.get("ceilings", {}))
    values["windows"] = tuple(
        Window(tuple(item["days"]), item["start"], item["end"], Ceilings(**item["ceilings"]))
        for item in tree.get("windows", ())
    )
    values["differences"] = tuple(tree.get("differences", ()))
    return CampaignSettings(**values)


def _scope_tree(scope: Scope) -> dict[str, object]:
    tree = dataclasses.asdict(scope)
    for key in ("first_date", "last_date"):
        tree[key] = tree[key].isoformat() if tree[key] is not None else None
    return tree


def _scope(tree: Mapping[str, Any]) -> Scope:
    values = dict(tree)
    for key in ("first_date", "last_date"):
        values[key] = date.fromisoformat(tree[key]) if tree.get(key) else None
    for key in ("modalities", "study_instance_uids"):
        values[key] = tuple(tree.get(key, ()))
    return Scope(**values)
