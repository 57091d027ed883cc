"""The tag rules of campaigns in Postgres: every version stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vna.audit import AuditAction, AuditEvent
from vna.errors import NotFound
from vna.index.audit import record_within
from vna.index.database import Connection, Database
from vna.index.jsonb import to_jsonb, to_text
from vna.index.sql import load
from vna.model.campaign import Campaign
from vna.model.identifiers import Origin
from vna.model.rules import RulesText, RulesVersion


class CampaignRules:
    """Shared by all threads; everything raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def declare(self, campaign: Campaign, rules: RulesText, origin: Origin) -> int:
        """What comes from now on goes by `rules`; the number of that version. Audited with `origin`."""

        def write(connection: Connection) -> int | None:
            with connection.transaction():
                number = declare_within(connection, campaign.campaign_id, rules, origin)
                if number is not None:
                    record_within(connection, _event(campaign, number, origin))
                return number

        number = self._database.attempt(write)
        return self.newest(campaign) if number is None else number

    def newest(self, campaign: Campaign) -> int:
        """The number of the version in force; 0 when there never were any rules."""
        values = {"campaign": campaign.campaign_id}
        row = self._database.attempt(
            lambda c: c.execute(load("queries/migration_rules_newest"), values).fetchone()
        )
        return 0 if row is None else int(row[0])

    def version(self, campaign: Campaign, number: int) -> RulesVersion:
        """One of them. Raises NotFound."""
        found = self._versions(campaign, number)
        if not found:
            raise NotFound(
                f"campaign {campaign.name} has no version {number} of its rules: "
                f"`vna migrate rules {campaign.name}` lists them"
            )
        return found[0]

    def versions(self, campaign: Campaign) -> list[RulesVersion]:
        """All of them, the oldest first."""
        return self._versions(campaign, None)

    def _versions(self, campaign: Campaign, number: int | None) -> list[RulesVersion]:
        values = {"campaign": campaign.campaign_id, "version": number}
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/migration_rules_versions"), values).fetchall()
        )
        return [_version(row) for row in rows]


def _event(campaign: Campaign, number: int, origin: Origin) -> AuditEvent:
    detail: dict[str, str | int] = {"campaign": campaign.name, "what": "rules", "version": number}
    return AuditEvent(AuditAction.MIGRATION_CHANGED, origin, detail=detail)


def _version(row: Sequence[Any]) -> RulesVersion:
    number, declared_at, declared_by, digest, rules, maps, system = row
    return RulesVersion(number, declared_at, declared_by, digest, RulesText(rules, maps, system))


def declare_within(
    connection: Connection, campaign_id: int, rules: RulesText, origin: Origin
) -> int | None:
    """The number of the new version; None, and nothing is written, when it would be the same as the newest one."""
    values = {
        "campaign": campaign_id,
        "by": origin.peer,
        "system": rules.system,
        "digest": rules.digest,
        "rules": to_text(rules.text),
        "maps": to_jsonb(rules.maps),
    }
    row = connection.execute(load("queries/migration_rules_declare"), values).fetchone()
    return None if row is None else int(row[0])
