"""Tag rules of a campaign as the ledger keeps them: every version, as it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RulesText:
    """Rules as they were declared: the TOML text, the content of each CSV map by its name in that text, and the
    Modifying System (0400,0563) of corrections by them. Without a text there are no rules.
    """

    text: str = ""
    maps: Mapping[str, str] = field(default_factory=dict)
    system: str = ""

    @property
    def digest(self) -> str:
        """Of all of it: equal digests are equal rules."""
        tree = {"maps": dict(self.maps), "system": self.system, "text": self.text}
        data = json.dumps(tree, sort_keys=True, ensure_ascii=False).encode()
        return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True, slots=True)
class RulesVersion:
    """A version of the rules of a campaign, from `declared_at` until the next one."""

    version: int
    declared_at: datetime
    declared_by: str
    digest: str
    rules: RulesText
