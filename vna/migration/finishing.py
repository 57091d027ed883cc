"""The end of a campaign: nothing new at the source, and everything of the ledger in the archive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vna.index.campaigns import CampaignIndex
from vna.index.database import Database
from vna.index.final_checks import FinalCheckIndex
from vna.index.ledger_status import LedgerStatusIndex
from vna.migration.final_check import FinalChecking
from vna.migration.proof import Rules
from vna.migration.sources.base import MigrationSource
from vna.migration.stocktaking import Stock, Stocktaking
from vna.migration.study_work import Tools
from vna.model.campaign import Campaign, CampaignState, ItemState
from vna.model.final_check import FinalCheck, Findings
from vna.model.identifiers import Origin

_OPEN = (
    *(ItemState.DISCOVERED, ItemState.QUEUED, ItemState.TRANSFERRING),
    *(ItemState.LANDED, ItemState.FAILED),
)
_STOPPED = "it was stopped: finish it again to go on"


@dataclass(frozen=True, slots=True)
class FinishOptions:
    """How a campaign is to be finished: `rereads` every object, with so many `threads`; what a person has accepted."""

    rereads: bool = False
    threads: int = 4
    accepts_gaps: bool = False
    accepts_exceptions: bool = False


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told how far it is, and says whether to stop."""

    on_stock: Callable[[Stock], None] = lambda _: None
    on_findings: Callable[[Findings], None] = lambda _: None
    should_stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Finish:
    """What came of it: the last inventory, the check, and why the campaign is not finished ("": it is)."""

    stock: Stock
    check: FinalCheck | None
    why_not: str


class Finishing:
    """Finishes campaigns. Everything that it begins goes on when it is begun again."""

    def __init__(self, database: Database, tools: Tools, watcher: Watcher) -> None:
        self._campaigns, self._checks = CampaignIndex(database), FinalCheckIndex(database)
        self._status, self._tools, self._watcher = LedgerStatusIndex(database), tools, watcher

    def run(
        self, campaign: Campaign, source: MigrationSource, options: FinishOptions, origin: Origin
    ) -> Finish:
        """Look for what is new at `source`; when nothing is, check everything.

        Raises SourceError and its children, Unavailable; ConfigError when somebody else finishes the campaign.
        """
        stock = Stocktaking(
            source,
            self._tools.inventory,
            campaign,
            threads=options.threads,
            on_progress=self._watcher.on_stock,
            should_stop=self._watcher.should_stop,
        ).take(accepts_gaps=options.accepts_gaps)
        if self._watcher.should_stop():
            return Finish(stock, None, _STOPPED)
        if not stock.is_complete and not options.accepts_gaps:
            return Finish(stock, None, "the inventory is not complete: --accept-gaps, if need be")
        if why := self._left(campaign.name, origin):
            self._checks.abandon(campaign)
            return Finish(stock, None, why)
        check = self._check(campaign.name, source, options, origin)
        return Finish(stock, check, self._why_not(campaign.name, check, origin))

    def _left(self, name: str, origin: Origin) -> str:
        """What workers have to do first; a campaign that was done goes on with it."""
        campaign = self._campaigns.find(name)
        studies = self._status.status(campaign).studies
        count = sum(studies.get(state, 0) for state in _OPEN)
        if not count:
            return ""
        if campaign.state is CampaignState.DONE:
            self._campaigns.set_state(campaign, CampaignState.RUNNING, origin)
        is_paused = campaign.state is CampaignState.PAUSED
        then = f"vna migrate resume {name}" if is_paused else "the campaign goes on with them"
        return f"{count} studies are still to be worked on: {then}; finish it when it is done"

    def _check(
        self, name: str, source: MigrationSource, options: FinishOptions, origin: Origin
    ) -> FinalCheck | None:
        tools, watcher, campaign = self._tools, self._watcher, self._campaigns.find(name)
        keeps_bytes = source.capabilities().keeps_bytes
        correcting = tools.rules.correcting(campaign)
        checking = FinalChecking(
            self._checks,
            tools,
            campaign,
            Rules(campaign.settings, keeps_bytes, watcher.should_stop, correcting),
            threads=options.threads,
            on_progress=watcher.on_findings,
        )
        return checking.run(
            origin, rereads=options.rereads, accepts_exceptions=options.accepts_exceptions
        )

    def _why_not(self, name: str, check: FinalCheck | None, origin: Origin) -> str:
        if check is None:
            return _STOPPED
        if check.has_passed:
            return ""
        left, found = self._left(name, origin), check.findings
        if found.faults:
            told = f"{found.faults} verified instances are not in the archive as they came"
            return f"{told}; {left or f'vna migrate exceptions {name} lists them'}"
        if left:
            return left
        if found.unexplained:
            return (
                f"{found.unexplained} instances are neither verified nor exceptions: "
                f"vna migrate retry {name} --state mismatched --state verified"
            )
        if check.accepts_exceptions or not found.to_accept:
            return "something was changed while it was checked: finish it again"
        return (
            f"{found.to_accept} exceptions wait for a person: vna migrate exceptions {name}, then retry them, "
            "or accept them with --accept-exceptions"
        )
