"""Builds what works on migrations from an archive."""

from __future__ import annotations

from vna.bootstrap import Archive
from vna.index.inventory_ledger import InventoryLedger
from vna.index.transfer_ledger import TransferLedger
from vna.migration.pixel_check import PixelCheck
from vna.migration.proof import Prover
from vna.migration.sources.registry import open_source
from vna.migration.study_work import Tools
from vna.migration.workers import OpenSource


def tools_of(archive: Archive) -> Tools:
    """What studies are worked on with."""
    ledger = TransferLedger(archive.database)
    pixels = PixelCheck(archive.decoders, archive.config.archive.max_transcode_bytes)
    return Tools(
        ledger,
        InventoryLedger(archive.database),
        archive.store,
        Prover(ledger, archive.objects, archive.spool, pixels),
    )


def opener_of(archive: Archive) -> OpenSource:
    """What opens the source of a campaign. Raises ConfigError, SourceError."""
    return lambda settings: open_source(settings, archive.spool)
