"""What a final check has found, as text and as a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vna.model.campaign import REASONS
from vna.model.final_check import FinalCheck, tree_of

_GIB = 2**30


def check_document(check: FinalCheck) -> dict[str, object]:
    """The check for machines."""
    return {
        "result": result_of(check),
        "passed": check.has_passed,
        "current": check.is_current,
        "inventory": check.inventory,
        "began_at": check.began_at,
        "ended_at": check.ended_at,
        "reread": check.is_reread,
        "accepts_exceptions": check.accepts_exceptions,
        "operator": check.operator,
        "findings": tree_of(check.findings),
    }


def result_of(check: FinalCheck) -> str:
    """In a word: passed, outdated (it has passed; something was changed since), failed or unfinished."""
    if check.ended_at is None:
        return "unfinished"
    if not check.has_passed:
        return "failed"
    return "passed" if check.is_current else "outdated"


def check_line(check: FinalCheck) -> str:
    """The check in a line, for the status of a campaign."""
    found = check.findings
    moment = f"{check.ended_at or check.began_at:%Y-%m-%d %H:%M:%S %Z}"
    how = "every object read again" if check.is_reread else "digests compared"
    meaning = {
        "passed": f"passed {moment}",
        "outdated": f"passed {moment}, before the newest changes: make it again",
        "failed": f"not passed {moment}",
        "unfinished": f"begun {moment}, and not ended",
    }[result_of(check)]
    return f"{meaning}: {found.checked} instances in the archive, {how}; {_exceptions(check)}"


def check_lines(check: FinalCheck) -> Iterator[str]:
    """The check in full, for people."""
    found = check.findings
    size = found.sizes["verified"] / _GIB
    yield f"  studies     {_counts(found.studies)}"
    yield f"  instances   {_counts(found.instances)}"
    read = f", {found.reread} of them read again" if check.is_reread else ""
    yield f"  checked     {found.checked} verified instances, {size:.2f} GiB{read}"
    for level, counts in (
        ("instances", found.exceptions),
        ("studies", found.study_exceptions),
    ):
        for key, count in sorted(counts.items()):
            state, _, reason = key.partition(" ")
            why = f", {reason}: {REASONS.get(reason, '')}" if reason else ""
            yield f"  exceptions  {count} {level} {state}{why}"
    for count, text in (
        (found.faults, "verified instances are not in the archive any more as they came"),
        (found.unexplained, "instances are neither verified nor exceptions"),
        (found.gone, "studies are not at the source any more"),
        (found.others, "more instances of these studies in the archive came another way"),
    ):
        if count:
            yield f"  note        {count} {text}"


def _exceptions(check: FinalCheck) -> str:
    count = check.findings.exceptions.total() + check.findings.study_exceptions.total()
    accepted = ", accepted" if check.accepts_exceptions and count else ""
    return f"{count} exceptions{accepted}"


def _counts(counts: Mapping[str, int]) -> str:
    parts = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    return f"{sum(counts.values())}: {parts}" if parts else "none"
