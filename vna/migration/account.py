"""What is to be said of a campaign as a whole, in its certificate and in its report."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from typing import Any

from vna.config_storage import secret_options
from vna.index.campaign_rules import CampaignRules
from vna.index.final_checks import FinalCheckIndex
from vna.index.ledger_export import LedgerExport
from vna.index.ledger_status import LedgerStatusIndex
from vna.index.snapshot import Snapshot
from vna.migration.final_check_text import check_document
from vna.model.campaign import Campaign
from vna.model.migration import SourceSettings
from vna.model.rules import RulesVersion

LEFT_OUT = "(left out)"
_URL = re.compile(r"(?P<scheme>[^:/]*://)(?P<place>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL)


def account_of(snapshot: Snapshot, campaign: Campaign) -> dict[str, Any]:
    """Where it takes from, by which rules, what was counted, and what its final check found. Raises Unavailable."""
    return {
        "campaign": {
            "name": campaign.name,
            "state": campaign.state.value,
            "created_at": campaign.created_at,
            "changed_at": campaign.changed_at,
            "scope": dataclasses.asdict(campaign.scope),
            "settings": dataclasses.asdict(campaign.settings),
        },
        "source": source_document(campaign.source),
        "rules": [
            _rules_document(version) for version in CampaignRules(snapshot).versions(campaign)
        ],
        "inventories": LedgerExport(snapshot).inventories(campaign),
        "final_check": _final_check(snapshot, campaign),
        "counts": _counts(snapshot, campaign),
    }


def _counts(snapshot: Snapshot, campaign: Campaign) -> dict[str, dict[str, int]]:
    status = LedgerStatusIndex(snapshot).status(campaign)
    counts = {"studies": status.studies, "instances": status.instances, "bytes": status.sizes}
    return {name: dict(sorted(found.items())) for name, found in counts.items()}


def _rules_document(version: RulesVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "declared_at": version.declared_at,
        "declared_by": version.declared_by,
        "system": version.rules.system,
        "digest": version.digest,
        "text": version.rules.text,
        "maps": {
            name: f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
            for name, text in version.rules.maps.items()
        },
    }


def source_document(source: SourceSettings) -> dict[str, Any]:
    """The source and its options, without what should be a secret."""
    secret = secret_options(source.options)
    options = {
        name: LEFT_OUT if name in secret else _without_secrets(value)
        for name, value in source.options.items()
    }
    return {"kind": source.kind, "options": options}


def _without_secrets(value: str) -> str:
    """A URL without its user and what is behind its path; nothing of one in which a password could be cut in two."""
    found = _URL.fullmatch(value)
    if found is None:
        return value
    if "@" in found["path"] + found["rest"]:
        return LEFT_OUT
    rest = found["rest"][0] + LEFT_OUT if found["rest"] else ""
    return found["scheme"] + found["place"].rpartition("@")[2] + found["path"] + rest


def _final_check(snapshot: Snapshot, campaign: Campaign) -> dict[str, Any] | None:
    """The newest final check that came to its end; None without any."""
    checks = FinalCheckIndex(snapshot).checks(campaign)
    return next((check_document(one) for one in checks if one.ended_at is not None), None)
