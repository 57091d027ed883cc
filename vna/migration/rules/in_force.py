"""The rules of running campaigns, each version read from the ledger once."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC

from vna.index.campaign_rules import CampaignRules
from vna.migration.correction_check import Correcting
from vna.migration.rules.correcting import Corrector, Terms
from vna.migration.rules.declaration import RuleSet, parse_rules
from vna.migration.rules.values import LONGEST
from vna.model.campaign import Campaign
from vna.model.rules import RulesVersion
from vna.recent import Recent

_MOST_KNOWN = 8


@dataclass(frozen=True, slots=True)
class InForce:
    """A version of a campaign's rules, ready to be applied. `number` None: there are none."""

    corrector: Corrector
    number: int | None = None


NO_RULES = InForce(Corrector(RuleSet(), Terms()))


class RulesBook:
    """Reads and remembers versions. Shared by threads; everything raises Unavailable."""

    def __init__(self, index: CampaignRules) -> None:
        self._index = index
        self._known: Recent[tuple[int, int], InForce] = Recent(_MOST_KNOWN)
        self._lock = threading.Lock()

    def newest(self, campaign: Campaign) -> InForce:
        """What comes now goes by these."""
        number = self._index.newest(campaign)
        return self.version(campaign, number) if number else NO_RULES

    def version(self, campaign: Campaign, number: int) -> InForce:
        """One version. Raises NotFound."""
        key = campaign.campaign_id, number
        with self._lock:
            found = self._known.get(key)
            if found is None:
                found = in_force(campaign.name, self._index.version(campaign, number))
                self._known.put(key, found)
            return found

    def correcting(self, campaign: Campaign) -> Correcting:
        """What the versions of its rules make of objects."""
        return lambda number, view: self.version(campaign, number).corrector.correction(view)


def in_force(campaign: str, version: RulesVersion) -> InForce:
    """Raises ConfigError for rules that this version of the archive does not understand."""
    rules = parse_rules(version.rules)
    label = f"campaign {campaign}, version {version.version}"
    source = campaign.replace("\\", "/")[: LONGEST["LO"]]
    terms = Terms(label, source, version.declared_at.astimezone(UTC))
    corrector = Corrector(rules, terms)
    return InForce(corrector, None if corrector.is_idle else version.version)
