"""Writes a ledger as a certificate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vna import __version__
from vna.errors import VnaError
from vna.index.ledger_export import LedgerExport
from vna.index.snapshot import Snapshot
from vna.migration.account import account_of
from vna.migration.certificate import keys
from vna.migration.certificate.chain import ChainWriter
from vna.migration.certificate.form import FOOT, FORMAT, HEAD, STUDY, VERSION, Tally
from vna.model.campaign import Campaign

_TOLD_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Written:
    """What came into a certificate. `counts`: studies, instances and bytes by state."""

    lines: int
    counts: Mapping[str, Mapping[str, int]]
    attempts: int
    last_hash: str
    fingerprint: str


def write_certificate(
    snapshot: Snapshot,
    campaign: Campaign,
    key: Ed25519PrivateKey,
    file: BinaryIO,
    *,
    operator: str = "",
    on_lines: Callable[[int], None] = lambda _: None,
) -> Written:
    """The whole ledger of a campaign, as it was at the moment of `snapshot`, chained and signed with `key`.

    Raises VnaError when the ledger contradicts itself, Unavailable, OSError.
    """
    ledger, chain, tally = LedgerExport(snapshot), ChainWriter(), Tally()
    account = account_of(snapshot, campaign)
    file.write(chain.line(_head(snapshot, account, operator)))
    study = ""
    for kind, values in ledger.entries(campaign):
        tally.add(kind, values)
        if kind == STUDY:
            study = values.get("study_instance_uid", "")
        file.write(chain.line({"line": kind, "study_instance_uid": study, **values}))
        if not chain.count % _TOLD_EVERY:
            on_lines(chain.count)
    counts = tally.counts()
    _check_counts(account["counts"], counts)
    file.write(_foot(chain, tally, key))
    return Written(
        chain.count, counts, tally.attempts, chain.last, keys.fingerprint(key.public_key())
    )


def _head(snapshot: Snapshot, account: Mapping[str, Any], operator: str) -> dict[str, Any]:
    return {
        "line": HEAD,
        "format": FORMAT,
        "version": VERSION,
        "made_at": snapshot.moment,
        "made_by": {"software": f"vna {__version__}", "operator": operator},
        **account,
    }


def _foot(chain: ChainWriter, tally: Tally, key: Ed25519PrivateKey) -> bytes:
    values = {
        "line": FOOT,
        "lines": chain.count + 1,
        "counts": tally.counts(),
        "attempts": tally.attempts,
        "public_key": keys.text_of(key.public_key()),
    }
    return chain.seal(values, lambda last: keys.sign(key, last))


def _check_counts(kept: Mapping[str, Any], counted: Mapping[str, Any]) -> None:
    """Two ways to count have to agree before anything is signed."""
    if _without_zeros(kept) != _without_zeros(counted):
        raise VnaError(
            f"the ledger contradicts itself, nothing was signed: its counts are {kept}, its rows are {counted}"
        )


def _without_zeros(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {
        name: {state: number for state, number in found.items() if number}
        for name, found in counts.items()
    }
