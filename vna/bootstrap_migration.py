"""Builds what works on migrations from an archive."""

from __future__ import annotations

from vna.bootstrap import Archive
from vna.errors import ConfigError
from vna.index.campaign_rules import CampaignRules
from vna.index.inventory_ledger import InventoryLedger
from vna.index.transfer_ledger import TransferLedger
from vna.migration.move_listeners import MoveListeners
from vna.migration.pixel_check import PixelCheck
from vna.migration.proof import Prover
from vna.migration.rules.in_force import RulesBook
from vna.migration.sources.base import MigrationSource
from vna.migration.sources.registry import open_source
from vna.migration.study_work import Tools
from vna.migration.workers import OpenSource
from vna.model.migration import SourceSettings


def tools_of(archive: Archive) -> Tools:
    """What studies are worked on with."""
    ledger = TransferLedger(archive.database)
    pixels = PixelCheck(archive.decoders, archive.config.archive.max_transcode_bytes)
    return Tools(
        ledger,
        InventoryLedger(archive.database),
        archive.store,
        Prover(ledger, archive.objects, archive.spool, pixels),
        RulesBook(CampaignRules(archive.database)),
    )


def opener_of(archive: Archive) -> OpenSource:
    """What opens the source of a campaign. Raises ConfigError, SourceError."""
    listeners = MoveListeners(archive.spool)

    def open_(settings: SourceSettings) -> MigrationSource:
        source = open_source(settings, archive.spool, listeners)
        if source.capabilities().adopts and not archive.objects.adopts:
            source.close()
            raise ConfigError(
                f"source option adopt: the storage {archive.objects.default!r} is a bucket, or encrypts, and "
                "can't take files over where they lie: set adopt=false to copy them"
            )
        return source

    return open_
