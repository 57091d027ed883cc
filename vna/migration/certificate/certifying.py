"""Makes the certificate of a campaign, and writes down that it was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vna.audit import AuditAction, AuditEvent
from vna.index.audit import PostgresAuditLog
from vna.index.campaigns import CampaignIndex
from vna.index.database import Database
from vna.index.snapshot import snapshot
from vna.migration.certificate.keys import keep_public_key
from vna.migration.certificate.writing import Written, write_certificate
from vna.migration.whole_file import whole_file
from vna.model.identifiers import Origin


@dataclass(frozen=True, slots=True)
class Order:
    """Which campaign is certified where to, with which key, by whom; `public_key`: where the public one goes to."""

    name: str
    output: Path
    key: Ed25519PrivateKey
    origin: Origin
    public_key: Path | None = None


def certify(database: Database, order: Order, on_lines: Callable[[int], None]) -> Written:
    """The file is there when it is whole, and stands in the audit trail. Raises ConfigError, NotFound, Unavailable."""
    with whole_file(order.output) as file:
        with snapshot(database) as moment:
            campaign = CampaignIndex(moment).find(order.name)
            if order.public_key is not None:
                keep_public_key(order.key.public_key(), order.public_key)
            written = write_certificate(
                moment, campaign, order.key, file, operator=order.origin.peer, on_lines=on_lines
            )
        PostgresAuditLog(database).record(_event(order, written))
    return written


def _event(order: Order, written: Written) -> AuditEvent:
    detail: dict[str, str | int] = {
        "campaign": order.name,
        "what": "certified",
        "lines": written.lines,
        "hash": written.last_hash,
        "key": written.fingerprint,
    }
    return AuditEvent(AuditAction.MIGRATION_CHANGED, order.origin, detail=detail)
