"""What an attempt makes of a study: pure decisions, from what is in the ledger and what came."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vna.model.campaign import (
    CampaignSettings,
    InstanceItem,
    ItemState,
    Reason,
    StudyEnd,
    StudyItem,
    Verdict,
)
from vna.model.migration import FetchReport

TO_FETCH = frozenset(
    {ItemState.DISCOVERED, ItemState.QUEUED, ItemState.TRANSFERRING, ItemState.FAILED}
)
"""States of instances that are still to come."""

LONGEST_PAUSE = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch brought: `landed` of the listed instances, `unlisted` beside them, and why some can't be kept:
    `uncorrectable` by the rules. `patients`: issuer and ID of their patients, before and after they were corrected.
    """

    report: FetchReport
    landed: Collection[int] = frozenset()
    unlisted: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)
    uncorrectable: Mapping[str, str] = field(default_factory=dict)
    patients: Collection[tuple[tuple[str, str], tuple[str, str]]] = frozenset()


def nothing_listed(study: StudyItem, settings: CampaignSettings) -> StudyEnd:
    """A study without instances: an empty shell, or one that the source has lost."""
    if study.found.number_of_instances:
        return missed(study, settings, Reason.LOST_AT_SOURCE)
    return StudyEnd(ItemState.EXCLUDED, Reason.EMPTY)


def missed(
    study: StudyItem, settings: CampaignSettings, reason: Reason, detail: str = ""
) -> StudyEnd:
    """An attempt that did not bring everything: the next one, or the end of them."""
    if study.attempts >= settings.attempts:
        return StudyEnd(ItemState.PARKED, reason, detail)
    pause = min(LONGEST_PAUSE, settings.retry_seconds * 2.0 ** (study.attempts - 1))
    return StudyEnd(ItemState.FAILED, reason, detail, pause=pause)


def are_unstable(items: Sequence[InstanceItem], fetched: Fetched | None) -> bool:
    """Whether the source seems to send other UIDs than it lists: asking again would bring more of them each time."""
    if fetched is None or not fetched.unlisted or fetched.landed:
        return False
    return any(item.state in TO_FETCH for item in items)


def missing(
    study: StudyItem,
    items: Sequence[InstanceItem],
    fetched: Fetched | None,
    settings: CampaignSettings,
) -> list[Verdict]:
    """A verdict, with its reason, for each instance that is still to come after a fetch."""
    is_last = study.attempts >= settings.attempts or are_unstable(items, fetched)
    state = ItemState.PARKED if is_last else ItemState.FAILED
    reasons = {} if fetched is None else _reasons(fetched)
    otherwise = (
        Reason.NOT_DELIVERED,
        "" if fetched is None else f"the source said: {fetched.report.said or 'nothing'}",
    )
    verdicts = [
        Verdict(item.instance_id, state, *reasons.get(item.found.uids.sop_instance_uid, otherwise))
        for item in items
        if item.state in TO_FETCH
    ]
    return [  # other rules may help, further attempts will not
        replace(verdict, state=ItemState.PARKED) if verdict.reason is Reason.RULES else verdict
        for verdict in verdicts
    ]


def end_of(
    study: StudyItem,
    items: Sequence[InstanceItem],
    verdicts: Sequence[Verdict],
    fetched: Fetched | None,
    settings: CampaignSettings,
) -> StudyEnd:
    """How a study stands when all that could be done about it in this attempt was done."""
    told = {verdict.instance_id: verdict for verdict in verdicts}
    states = [told[i.instance_id].state if i.instance_id in told else i.state for i in items]
    if are_unstable(items, fetched):
        return StudyEnd(ItemState.PARKED, Reason.UNSTABLE_UIDS)
    if ItemState.FAILED in states or ItemState.PARKED in states:
        return _incomplete(study, states, verdicts, settings)
    if ItemState.MISMATCHED in states:
        reasons = {v.reason for v in verdicts if v.state is ItemState.MISMATCHED}
        reason = reasons.pop() if len(reasons) == 1 else Reason.INSTANCES
        count = states.count(ItemState.MISMATCHED)
        return StudyEnd(ItemState.MISMATCHED, reason, f"{count} of {len(states)} instances")
    listed = len({item.found.uids.sop_instance_uid for item in items if item.is_listed})
    claimed = study.found.number_of_instances or 0
    if claimed > listed:
        detail = f"it counts {claimed}, and lists {listed}"
        return StudyEnd(ItemState.MISMATCHED, Reason.FEWER_THAN_CLAIMED, detail)
    if all(state is ItemState.EXCLUDED for state in states):
        return StudyEnd(ItemState.EXCLUDED, Reason.INSTANCES)
    return StudyEnd(ItemState.VERIFIED)


def _incomplete(
    study: StudyItem,
    states: Sequence[ItemState],
    verdicts: Sequence[Verdict],
    settings: CampaignSettings,
) -> StudyEnd:
    open_states = {ItemState.FAILED, ItemState.PARKED}
    reasons = {verdict.reason for verdict in verdicts if verdict.state in open_states}
    reason = reasons.pop() if len(reasons) == 1 else Reason.INSTANCES
    count = sum(state in open_states for state in states)
    detail = f"{count} of {len(states)} instances"
    if ItemState.FAILED not in states:
        return StudyEnd(ItemState.PARKED, reason, detail)
    return missed(study, settings, reason, detail)


def _reasons(fetched: Fetched) -> dict[str, tuple[Reason, str]]:
    """By SOP Instance UID: what the source said of an instance, or why it could not be kept."""
    reasons = {
        failure.sop_instance_uid: (Reason.SOURCE_ERROR, failure.reason)
        for failure in fetched.report.failures
        if failure.sop_instance_uid
    }
    reasons |= {uid: (Reason.REFUSED, text) for uid, text in fetched.refused.items()}
    return reasons | {uid: (Reason.RULES, text) for uid, text in fetched.uncorrectable.items()}
