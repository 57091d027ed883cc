"""How far a campaign is, and what a person should look at, as text and as documents."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from vna.index.ledger_status import InstanceException, LedgerStatus, StudyException
from vna.migration.account import source_document
from vna.migration.candidates import printable
from vna.migration.final_check_text import check_document, check_line
from vna.migration.forecast import Forecast, forecast
from vna.migration.hours import ceilings_text, window_text
from vna.model.campaign import REASONS, Campaign, ItemState
from vna.model.final_check import FinalCheck

_OPEN = (
    *(ItemState.DISCOVERED, ItemState.QUEUED, ItemState.TRANSFERRING),
    *(ItemState.LANDED, ItemState.FAILED),
)
_GIB = 2**30
_DAY, _HOUR = 86400, 3600


def remaining(status: LedgerStatus) -> int:
    """Instances that are still to be worked on; of studies that are not listed, as many as the source claims."""
    return sum(status.instances.get(state, 0) for state in _OPEN) + status.claimed


def forecast_of(status: LedgerStatus) -> Forecast | None:
    """When it will be done, at the rate of the last half hour."""
    return forecast(remaining(status), [count for count, _ in status.minutes])


def status_document(
    campaign: Campaign, status: LedgerStatus, check: FinalCheck | None = None
) -> dict[str, object]:
    """The status of a campaign for machines, with its newest final check."""
    ahead = forecast_of(status)
    return {
        "campaign": campaign.name,
        "state": campaign.state.value,
        "inventory": campaign.inventory,
        "inventory_is_open": status.is_inventory_open,
        "source": source_document(campaign.source),
        "settings": dataclasses.asdict(campaign.settings),
        "studies": dict(status.studies),
        "studies_not_listed": status.unlisted,
        "instances": dict(status.instances),
        "bytes": dict(status.sizes),
        "remaining_instances": remaining(status),
        "forecast": None if ahead is None else dataclasses.asdict(ahead),
        "workers": [dataclasses.asdict(worker) for worker in status.workers],
        "final_check": None if check is None else check_document(check),
    }


def status_lines(
    campaign: Campaign, status: LedgerStatus, check: FinalCheck | None = None
) -> Iterator[str]:
    """The same for people."""
    inventory = f"inventory {campaign.inventory}" if campaign.inventory else "no inventory"
    is_open = ", not complete" if status.is_inventory_open else ""
    yield f"{campaign.name}: {campaign.state.value}, {campaign.source.kind}, {inventory}{is_open}"
    yield f"  studies    {_counts(status.studies)}"
    if status.unlisted:
        yield f"             {status.unlisted} of them not listed yet, said to have {status.claimed} instances"
    size = sum(
        status.sizes.get(state, 0)
        for state in (ItemState.LANDED, ItemState.VERIFIED, ItemState.MISMATCHED)
    )
    yield f"  instances  {_counts(status.instances)}; {size / _GIB:.2f} GiB in the archive"
    yield f"  pace       {_rate(status)}"
    yield f"  ceilings   {ceilings_text(campaign.settings.ceilings)}"
    for window in campaign.settings.windows:
        yield f"             {window_text(window)}"
    for worker in status.workers:
        note = f"; {worker.note}" if worker.note else ""
        yield f"  worker     {worker.name}: {worker.active} studies, limit {worker.limit:.1f}{note}"
    if check is not None:
        yield f"  finish     {check_line(check)}"
    if not status.workers and not (check is not None and check.is_current):
        yield "  worker     none: `vna serve` or `vna migrate work` works on campaigns that run"


def exception_document(exception: StudyException) -> dict[str, object]:
    """An exception for machines."""
    return dataclasses.asdict(exception)


def exception_lines(exception: StudyException) -> Iterator[str]:
    """The same for people; what the source wrote can't command their terminal."""
    return map(printable, _exception_lines(exception))


def _exception_lines(exception: StudyException) -> Iterator[str]:
    again = exception.next_attempt_at
    later = f"; again at {again:%Y-%m-%d %H:%M:%S %Z}" if again is not None else ""
    yield (
        f"study {exception.study_instance_uid or '(none)'}: {exception.state}{_why(exception)}, "
        f"{exception.attempts} attempts{later}"
    )
    for instance in exception.instances:
        place = f", {instance.place}" if instance.place else ""
        conflict = f", conflict {instance.conflict_id}" if instance.conflict_id else ""
        yield (
            f"  instance {instance.sop_instance_uid or '(none)'}{place}: {instance.state}{_why(instance)}, "
            f"{instance.attempts} attempts{conflict}"
        )


def _why(item: StudyException | InstanceException) -> str:
    if not item.reason:
        return f" ({item.detail})" if item.detail else ""
    known = REASONS.get(item.reason, "")
    detail = f" [{item.detail}]" if item.detail else ""
    return f", {item.reason}: {known}{detail}"


def _counts(counts: Mapping[str, int]) -> str:
    parts = [f"{counts[state]} {state}" for state in ItemState if counts.get(state)]
    total = sum(counts.values())
    return f"{total}: {', '.join(parts)}" if parts else "none"


def _rate(status: LedgerStatus) -> str:
    left = remaining(status)
    ahead = forecast_of(status)
    if ahead is None:
        return f"{left} instances left; nothing can be said of the time yet"
    size = sum(size for _, size in status.minutes) / max(1, sum(n for n, _ in status.minutes))
    rate = f"{ahead.rate:.1f} instances/s, {ahead.rate * size / 2**20:.1f} MiB/s"
    if not left:
        return f"{rate}; nothing left"
    high = _duration(ahead.high) if ahead.high is not None else "for ever"
    return (
        f"{rate}; {left} instances left: {_duration(ahead.seconds)} "
        f"({_duration(ahead.low)} to {high})"
    )


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole >= 2 * _DAY:
        return f"{whole / _DAY:.1f} days"
    if whole >= _HOUR:
        return f"{whole // _HOUR} h {whole % _HOUR // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
