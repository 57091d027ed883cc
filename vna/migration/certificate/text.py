"""What is said of a certificate that was made or checked, as text and as documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vna.migration.candidates import printable
from vna.migration.certificate.checking import Checked
from vna.migration.certificate.writing import Written

_CHECKS = {
    "passed": "the final check passed",
    "outdated": "the final check passed before the newest changes",
    "failed": "the final check did not pass",
}


def written_document(name: str, path: Path, written: Written) -> dict[str, object]:
    """For machines: what was made."""
    return {
        "campaign": name,
        "certificate": str(path),
        "lines": written.lines,
        **written.counts,
        "attempts": written.attempts,
        "hash": written.last_hash,
        "key": written.fingerprint,
    }


def written_lines(path: Path, written: Written) -> Iterator[str]:
    """The same for people."""
    yield f"{path}: {_counts(written.counts)}; {written.lines} lines"
    yield f"signed with the key {written.fingerprint}; who checks it has to know this number"


def checked_document(path: Path, found: Checked) -> dict[str, object]:
    """For machines: what was found to be as it was signed."""
    return {
        "certificate": str(path),
        "proven": True,
        "campaign": found.head["campaign"]["name"],
        "made_at": found.head["made_at"],
        "lines": found.lines,
        **found.foot["counts"],
        "attempts": found.foot["attempts"],
        "final_check": found.head["final_check"],
        "hash": found.last_hash,
        "key": found.fingerprint,
        "expected_key": found.is_expected_key,
    }


def checked_lines(path: Path, found: Checked) -> Iterator[str]:
    """The same for people: what is proven, and what is not. Anybody may have written it, for any terminal."""
    return map(printable, _checked_lines(path, found))


def _checked_lines(path: Path, found: Checked) -> Iterator[str]:
    head = found.head
    made_by = head["made_by"]
    yield f"{path}: campaign {head['campaign']['name']}, {_counts(found.foot['counts'])}"
    yield f"  made       {head['made_at']} by {made_by['operator']} with {made_by['software']}"
    yield f"  check      {_final_check(head['final_check'])}"
    yield f"  proven     all {found.lines} lines are as they were signed: none is changed, missing, added or moved"
    if found.is_expected_key:
        yield f"  signed by  the given key, {found.fingerprint}"
    else:
        yield (
            f"  signed by  {found.fingerprint}; whose key that is, is not proven: "
            "give the archive's with --public-key"
        )


def refused_document(path: Path, why: Exception) -> dict[str, object]:
    """For machines: why nothing is proven."""
    return {"certificate": str(path), "proven": False, "why": str(why)}


def _final_check(check: Mapping[str, Any] | None) -> str:
    if check is None:
        return "no final check was made before it"
    reread = ", every object read again" if check["reread"] else ""
    return f"{_CHECKS[check['result']]}, {check['ended_at']}{reread}"


def _counts(counts: Mapping[str, Mapping[str, int]]) -> str:
    instances = counts["instances"]
    parts = ", ".join(f"{number} {state}" for state, number in instances.items()) or "none"
    return (
        f"{sum(counts['studies'].values())} studies, {sum(instances.values())} instances ({parts})"
    )
