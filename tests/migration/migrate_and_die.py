"""A process that works on a campaign, and dies by SIGKILL at a chosen step if there is one.

Arguments: database URL, directory, step or ""; without any it reads these as JSON, a line each, and forks for each of
them: a fork has all imports behind it. It answers with how that ended, as os.waitstatus_to_exitcode tells it.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import orjson

from tests.migration.conftest import Site, make_site
from tests.services.dying import Patch, die_at
from vna.errors import Unavailable
from vna.index import transfer_ledger
from vna.index.database import Database
from vna.index.inventory_ledger import InventoryLedger
from vna.index.transfer_ledger import TransferLedger
from vna.migration import campaign_worker
from vna.migration.proof import Prover
from vna.model.campaign import CampaignState
from vna.services.store import StoreService

LEASE = 1.0
"""Of these processes: shorter than usual, so that the tests need not wait for it."""

STEPS: dict[str, tuple[Patch, bool]] = {
    "a study is claimed": ((TransferLedger, "claim"), True),
    "its instances are being listed": ((InventoryLedger, "instances"), False),
    "its instances are listed": ((InventoryLedger, "instances"), True),
    "instances are asked for": ((TransferLedger, "transferring"), True),
    "an instance is about to be stored": ((StoreService, "store"), False),
    "an instance is stored": ((StoreService, "store"), True),
    "the landing is noted": ((TransferLedger, "landed"), True),
    "the fetch is over": ((TransferLedger, "attempted"), True),
    "everything is verified": ((Prover, "prove"), True),
    "the end is about to be written": ((TransferLedger, "finish"), False),
    "the end is written": ((TransferLedger, "finish"), True),
}
"""What has just happened -> the function at which the process dies, and whether after it or before."""


def hurry() -> None:
    """Shorter leases and pulses for this process."""
    vars(transfer_ledger)["LEASE_SECONDS"] = LEASE
    vars(campaign_worker)["PULSE_SECONDS"] = 0.1


def fill(site: Site, directory: Path) -> None:
    """The source has the files of a folder."""
    for path in sorted((directory / "source").iterdir()):
        site.source.add(path.read_bytes())


def main(url: str, directory: Path, step: str) -> None:
    """Works until nothing runs any more, whatever becomes of the database meanwhile."""
    hurry()
    with Database(url, pool_size=8) as database:
        site = make_site(database, directory)
        fill(site, directory)
        if step:
            place, is_after = STEPS[step]
            die_at(place, is_after=is_after)
        os.write(1, b"working\n")
        while True:
            try:
                running = site.campaigns.running()
                if not running:
                    break
                site.worker(running[0]).run(threading.Event().is_set)
            except Unavailable:
                threading.Event().wait(0.1)
    os.write(1, CampaignState.DONE.value.encode() + b"\n")


def fork_for_each_line() -> None:
    """Until the end of the input."""
    for line in sys.stdin:
        url, directory, step = orjson.loads(line)
        child = os.fork()
        if not child:
            main(url, Path(directory), step)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    if sys.argv[1:]:
        main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
    else:
        fork_for_each_line()
