"""All running campaigns, each with a worker in this process."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable

from vna.errors import Unavailable, VnaError
from vna.index.campaigns import CampaignIndex
from vna.migration.campaign_worker import CampaignWorker
from vna.migration.sources.base import MigrationSource, SupportsPrepare
from vna.migration.study_work import Tools
from vna.model.campaign import Campaign
from vna.model.migration import SourceSettings

log = logging.getLogger(__name__)

OpenSource = Callable[[SourceSettings], MigrationSource]
"""A source, ready to be asked. Raises ConfigError, SourceUnavailable."""

_LOOK_EVERY = 0.5
_TRY_AGAIN = 10.0


class MigrationWorkers:
    """Works on the campaigns that are running, as they come and go. `run` is called once."""

    def __init__(
        self, campaigns: CampaignIndex, get_tools: Callable[[], Tools], open_source: OpenSource
    ) -> None:
        self._campaigns, self._get_tools, self._open = campaigns, get_tools, open_source
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._threads: dict[int, threading.Thread] = {}
        self._not_before: dict[int, float] = {}
        self._told: dict[int, str] = {}

    def run(self, stopping: threading.Event, name: str = "", *, until_done: bool = False) -> None:
        """Work until `stopping` is set: on the campaign `name`, empty: on all. `until_done`: as long as one runs."""
        while not stopping.is_set():
            try:
                running = [c for c in self._campaigns.running() if name in {"", c.name}]
            except Unavailable as exc:
                log.warning("migration: %s", exc)
                running = []
            else:
                if until_done and not running and not self._alive():
                    break
            for campaign in running:
                self._begin(campaign, stopping)
            stopping.wait(_LOOK_EVERY)
        for thread in self._alive():
            thread.join()

    def _alive(self) -> list[threading.Thread]:
        return [thread for thread in self._threads.values() if thread.is_alive()]

    def _begin(self, campaign: Campaign, stopping: threading.Event) -> None:
        number = campaign.campaign_id
        known = self._threads.get(number)
        if known is not None and known.is_alive():
            return
        if time.monotonic() < self._not_before.get(number, 0.0):
            return
        thread = threading.Thread(
            target=self._work, args=(campaign, stopping), name=f"campaign-{number}", daemon=True
        )
        self._threads[number] = thread
        thread.start()

    def _work(self, campaign: Campaign, stopping: threading.Event) -> None:
        try:
            source = self._open(campaign.source)
            try:
                if isinstance(source, SupportsPrepare):
                    source.prepare()
                self._told.pop(campaign.campaign_id, None)
                tools = self._get_tools()
                worker = CampaignWorker(campaign, source, tools, self._campaigns, self._name)
                worker.run(stopping.is_set)
            finally:
                source.close()
        except VnaError as exc:
            told = f"campaign {campaign.name} can't be worked on here now: {exc}"
            if self._told.get(campaign.campaign_id) != told:
                log.warning("%s; it is tried again every %.0f s", told, _TRY_AGAIN)
            self._told[campaign.campaign_id] = told
            self._not_before[campaign.campaign_id] = time.monotonic() + _TRY_AGAIN
        except Exception:
            log.exception("the work on campaign %s failed in an unforeseen way", campaign.name)
            self._not_before[campaign.campaign_id] = time.monotonic() + _TRY_AGAIN
